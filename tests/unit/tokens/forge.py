"""Makes keys' documents and tokens, also those that no honest issuer would sign."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, SECP521R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keyless.tokens.encoding import encode, encode_integer

HASHES = {"256": SHA256, "384": SHA384, "512": SHA512}
CURVES = {"ES256": SECP256R1, "ES384": SECP384R1, "ES512": SECP521R1}
NAMES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
NOW = 1_800_000_000
ISSUER = "https://127.0.0.1:6443/clusters/keyless"


def pem_of(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def ec_jwk(algorithm: str, private: EllipticCurvePrivateKey, **more: object) -> dict[str, object]:
    numbers = private.public_key().public_numbers()
    size = (private.curve.key_size + 7) // 8
    coordinates = {name: encode(getattr(numbers, name).to_bytes(size, "big")) for name in ("x", "y")}
    return {"kty": "EC", "kid": algorithm, "crv": NAMES[algorithm], **coordinates, **more}


def rsa_jwk(private: RSAPrivateKey, **more: object) -> dict[str, object]:
    numbers = private.public_key().public_numbers()
    return {"kty": "RSA", "n": encode_integer(numbers.n), "e": encode_integer(numbers.e), **more}


def signature(algorithm: str, private: Any, data: bytes) -> bytes:
    digest = HASHES[algorithm[2:]]()
    if isinstance(private, RSAPrivateKey):
        return private.sign(data, PKCS1v15(), digest)
    r, s = decode_dss_signature(private.sign(data, ECDSA(digest)))
    size = (private.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def token_of(header: Mapping[str, object] | str, claims: Mapping[str, object] | str, private: Any) -> str:
    """Sign any header and claims; texts are taken as they are, so JSON can be strange."""
    parts = [encode((p if isinstance(p, str) else json.dumps(p)).encode()) for p in (header, claims)]
    algorithm = json.loads(header).get("alg") if isinstance(header, str) else header.get("alg", "RS256")
    data = ".".join(parts)
    if algorithm not in {"RS256", "RS384", "RS512", *CURVES}:
        algorithm = "RS256"
    return f"{data}.{encode(signature(str(algorithm), private, data.encode()))}"


def good_claims(**changes: object) -> dict[str, object]:
    claims: dict[str, object] = {
        "iss": ISSUER,
        "sub": "system:serviceaccount:ns:vector",
        "aud": ["sts.amazonaws.com"],
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 3600,
    }
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not ...}
