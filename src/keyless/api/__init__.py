"""The nouns that every other package shares. Pure: no clock, randomness, environment, files, network or logging."""

from keyless.api.access import Access
from keyless.api.arn import Arn
from keyless.api.errors import Bug, KeylessError, Permanent, Refusal, Transient
from keyless.api.os_failures import os_failure
from keyless.api.reasons import Reason

__all__ = ["Access", "Arn", "Bug", "KeylessError", "Permanent", "Reason", "Refusal", "Transient", "os_failure"]
