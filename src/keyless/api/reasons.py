"""The catalogue of reasons.

One CamelCase word means the same in a status condition, an event, the command line's text and JSON, the audit line and
the tests. Where AWS speaks, its own codes are used as they are and are not listed here.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason, as it appears to users. Sorted by the part of the product that says it first."""

    # identity
    IDENTITY_NOT_INJECTED = "IdentityNotInjected"

    # control planes
    CROSSPLANE_NOT_MANAGED = "CrossplaneNotManaged"

    # billing
    BILLING_PERIOD_INCOMPLETE = "BillingPeriodIncomplete"
    USAGE_MISSING = "UsageMissing"
