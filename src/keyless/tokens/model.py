"""The values of this package: a token taken apart, and a token proven.

``Unverified`` is what a peer claims; only the verifier makes ``VerifiedClaims``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Unverified:
    """A well-formed JWS with an allowed algorithm; **nothing** in it is proven yet. Use ``issuer`` to find the keys."""

    algorithm: str
    key_id: str | None
    issuer: str
    header: Mapping[str, object]
    claims: Mapping[str, object]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """What a verified token proves. ``audience`` is azp where present, else the one aud; times are epoch seconds."""

    issuer: str
    subject: str
    audience: str
    audiences: tuple[str, ...]
    issued_at: int
    expires_at: int
    not_before: int | None
    claims: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Bound:
    """An object that a service account token is bound to."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class VerifiedServiceAccount:
    """A service account token that the Kubernetes API server may trust, once it has looked the uids up."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]
    issued_at: int
    expires_at: int
    token_id: str
    pod: Bound | None
    node: Bound | None
    secret: Bound | None
    warn_after: int | None

    @property
    def username(self) -> str:
        """``system:serviceaccount:NAMESPACE:NAME``."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"
