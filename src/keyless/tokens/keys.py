"""Signing keys of an issuer and the documents that publish them.

Shapes: facts/identity.md#issuer (EKS's discovery document and JWKS, field by field). Reading somebody's JWKS is in
:mod:`keyless.tokens.keysets`. Making a key needs randomness, so the caller makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from keyless.tokens.encoding import encode_integer

SMALLEST_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA private key of an issuer. ``kid`` is 40 hex digits that follow from the public key, as on EKS."""

    kid: str
    private: RSAPrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_pem(cls, pem: bytes | str) -> SigningKey:
        """Read a PEM private key (the caller generated it); raises ``ValueError`` if it is no RSA key ≥ 2048 bits."""
        key = load_pem_private_key(pem.encode("ascii") if isinstance(pem, str) else pem, password=None)
        if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_BITS:
            raise ValueError(f"expected an RSA private key of at least {SMALLEST_BITS} bits, found {describe(key)}")
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha1(der, usedforsecurity=False).hexdigest(), key)

    @property
    def public_jwk(self) -> dict[str, str]:
        """``{kty, kid, use, alg, n, e}`` as EKS publishes it."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": self.kid,
            "use": "sig",
            "alg": "RS256",
            "n": encode_integer(numbers.n),
            "e": encode_integer(numbers.e),
        }

    def sign(self, data: bytes) -> bytes:
        """The RS256 signature of ``data`` (PKCS #1 v1.5 is deterministic: no randomness is needed)."""
        return self.private.sign(data, PKCS1v15(), SHA256())


def describe(key: object) -> str:
    """A key's kind and size for a message; never its value."""
    return f"{type(key).__name__.strip('_')} of {getattr(key, 'key_size', '?')} bits"


def jwks(keys: Sequence[SigningKey]) -> dict[str, object]:
    """The JWKS document of an issuer."""
    return {"keys": [key.public_jwk for key in keys]}


def discovery(issuer: str) -> dict[str, object]:
    """The OpenID discovery document exactly as EKS serves it."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/keys",
        "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "claims_supported": ["sub", "iss"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
