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
    VALUES_INVALID = "ValuesInvalid"
    GROUP_NOT_LABELLED = "GroupNotLabelled"
    HOST_NAMESPACE_TAKEN = "HostNamespaceTaken"
    API_TAKEN = "ApiTaken"
    ATTACHED_SECRET_MISSING = "AttachedSecretMissing"
    CONNECTION_SECRET_REFUSED = "ConnectionSecretRefused"
    DEFINITION_OWNED_ELSEWHERE = "DefinitionOwnedElsewhere"
    BILLING_NOT_CONFIGURED = "BillingNotConfigured"
    USAGE_NOT_FLUSHED = "UsageNotFlushed"
    COMPONENTS_AVAILABLE = "ComponentsAvailable"
    COMPONENTS_UNAVAILABLE = "ComponentsUnavailable"
    IDENTITY_INJECTED = "IdentityInjected"
    DELETION_TIMED_OUT = "DeletionTimedOut"
    # Crossplane's own words for the conditions Ready and Synced.
    AVAILABLE = "Available"
    CREATING = "Creating"
    DELETING = "Deleting"
    RECONCILE_SUCCESS = "ReconcileSuccess"
    RECONCILE_ERROR = "ReconcileError"

    # billing
    BILLING_PERIOD_INCOMPLETE = "BillingPeriodIncomplete"
    USAGE_MISSING = "UsageMissing"
