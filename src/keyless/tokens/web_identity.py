"""Web identity tokens as STS verifies them (being written)."""

from __future__ import annotations

from collections.abc import Collection

from keyless.tokens.keys import KeySet
from keyless.tokens.model import Unverified, VerifiedClaims
from keyless.tokens.refusals import TokenRefusal


def inspect(token: str) -> Unverified | TokenRefusal:
    """Steps 2–3 of identity.md §1.12: JWT shape, crit, algorithm, iss. The caller then finds provider and JWKS."""
    raise NotImplementedError


def provider_not_found(issuer: str) -> TokenRefusal:
    """Step 4: "No OpenIDConnect provider found in your account for …"."""
    raise NotImplementedError


def keys_unavailable(detail: str) -> TokenRefusal:
    """Step 5: the issuer could not be asked (the text with two spaces)."""
    raise NotImplementedError


def verify_web_identity(
    token: Unverified, keys: KeySet, *, client_ids: Collection[str], now: int, leeway_seconds: int = 300
) -> VerifiedClaims | TokenRefusal:
    """Steps 5–9: key, signature, required claims and types, azp/aud against the provider's client ids, timestamps."""
    raise NotImplementedError
