"""Service account tokens as the API server verifies them (being written)."""

from __future__ import annotations

from collections.abc import Collection

from keyless.tokens.keys import KeySet
from keyless.tokens.model import VerifiedServiceAccount
from keyless.tokens.refusals import TokenRefusal


def verify_service_account(
    token: str, keys: KeySet, *, issuer: str, audiences: Collection[str], now: int
) -> VerifiedServiceAccount | TokenRefusal:
    """Verify a bearer token; ``audiences`` of the result is the intersection. Look the uids up afterwards."""
    raise NotImplementedError
