"""Keys (being written)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA private key of an issuer. ``kid`` is 40 hex digits that follow from the public key."""

    kid: str
    pem: bytes

    @classmethod
    def from_pem(cls, pem: bytes | str) -> SigningKey:
        """Read a PEM private key (the caller generated it); raises ``ValueError`` if it is no RSA key ≥ 2048 bits."""
        raise NotImplementedError

    @property
    def public_jwk(self) -> dict[str, str]:
        """``{kty, kid, use, alg, n, e}`` as EKS publishes it."""
        raise NotImplementedError


class KeySet:
    """The usable keys of a JWKS, under the rules of STS (identity.md S8)."""


def parse_jwks(document: str | bytes | Mapping[str, object]) -> KeySet:
    """Read a JWKS; raises ``ValueError`` when it is none. Unusable keys are left out, each with its reason."""
    raise NotImplementedError


def jwks(keys: Sequence[SigningKey]) -> dict[str, object]:
    """The JWKS document of an issuer."""
    raise NotImplementedError


def discovery(issuer: str) -> dict[str, object]:
    """The OpenID discovery document exactly as EKS serves it."""
    raise NotImplementedError
