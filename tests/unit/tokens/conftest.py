"""Keys made once per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

from keyless.tokens import SigningKey
from unit.tokens.forge import CURVES, pem_of, token_of


@pytest.fixture(scope="session")
def rsa() -> RSAPrivateKey:
    return generate_rsa(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def other_rsa() -> RSAPrivateKey:
    return generate_rsa(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def curve_keys() -> dict[str, EllipticCurvePrivateKey]:
    return {algorithm: generate_private_key(curve()) for algorithm, curve in CURVES.items()}


@pytest.fixture(scope="session")
def key(rsa: RSAPrivateKey) -> SigningKey:
    return SigningKey.from_pem(pem_of(rsa))


@pytest.fixture(scope="session")
def other_key(other_rsa: RSAPrivateKey) -> SigningKey:
    return SigningKey.from_pem(pem_of(other_rsa))


@pytest.fixture
def sign(rsa: RSAPrivateKey) -> Callable[..., str]:
    def build(claims: Mapping[str, object] | str, *, header: Mapping[str, object] | str | None = None) -> str:
        return token_of(header or {"alg": "RS256", "kid": "k"}, claims, rsa)

    return build
