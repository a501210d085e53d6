"""A peer's JWKS and the signature it can check, under the rules of STS (facts/identity.md#key-sets).

- A key without ``kid`` is not indexed; a token without ``kid`` works only when exactly one key is.
- A later key with the same ``kid`` replaces the earlier one, even when the later one is unusable.
- ``use`` other than ``sig``, or any ``key_ops``, makes a key unusable; its ``alg`` is ignored: the token's decides.
- ``x5c`` must agree with the numbers; a certificate alone is no key.
- More than 100 keys of a type make that type unusable.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

from keyless.tokens.encoding import decode_integer_untrusted, object_untrusted
from keyless.tokens.keys import SigningKey

PublicKey = RSAPublicKey | EllipticCurvePublicKey
MOST_KEYS_OF_A_TYPE = 100
# Bound the work that a hostile JWKS can cause: larger numbers make each verification cost milliseconds.
MOST_RSA_BITS = 8192
MOST_EXPONENT_BITS = 64

_HASHES: dict[str, type[HashAlgorithm]] = {"256": SHA256, "384": SHA384, "512": SHA512}
_CURVES: dict[str, type[EllipticCurve]] = {"P-256": SECP256R1, "P-384": SECP384R1, "P-521": SECP521R1}
# The hash fixes the curve, see RFC 7518 §3.4.
_CURVE_OF_ALGORITHM = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", *_CURVE_OF_ALGORITHM})


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a JWKS by ``kid``, and why each of the others is not (``unusable``: label → reason)."""

    keys: Mapping[str, PublicKey]
    unusable: Mapping[str, str] = field(default_factory=dict)

    def find(self, kid: str | None) -> PublicKey | None:
        """The key for a token's ``kid``; without one, the only key there is."""
        if kid is not None:
            return self.keys.get(kid)
        return next(iter(self.keys.values())) if len(self.keys) == 1 else None


def parse_jwks(document: str | bytes | Mapping[str, object]) -> KeySet:
    """Read a JWKS; raises ``ValueError`` when it is none. Unusable keys are left out, each with its reason."""
    content = document if isinstance(document, Mapping) else object_untrusted(document)
    entries = content.get("keys")
    if not isinstance(entries, list):
        raise ValueError("a JWKS is an object with a list named keys")
    indexed: dict[str, PublicKey | str] = {}
    unusable: dict[str, str] = {}
    crowded = _crowded_types(entries)
    for position, entry in enumerate(entries):
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(kid, str) or not kid:
            unusable[f"key {position}"] = "no kid"
        else:
            indexed[kid] = _read(entry, crowded)
    unusable.update({kid: reason for kid, reason in indexed.items() if isinstance(reason, str)})
    return KeySet({kid: key for kid, key in indexed.items() if not isinstance(key, str)}, unusable)


def jwks_location(document: str | bytes, issuer: str) -> str:
    """Where the discovery ``document`` of ``issuer`` says the keys are; raises ``ValueError``."""
    content = object_untrusted(document)
    if content.get("issuer") != issuer:
        raise ValueError("the discovery document is for another issuer")
    location = content.get("jwks_uri")
    if not isinstance(location, str) or not location.startswith("https://"):
        raise ValueError("the discovery document has no https jwks_uri")
    return location


def key_set(keys: Sequence[SigningKey]) -> KeySet:
    """The set that verifies what ``keys`` sign: for an issuer that verifies its own tokens."""
    return KeySet({key.kid: key.private.public_key() for key in keys})


def _crowded_types(entries: list[object]) -> tuple[str, ...]:
    types = list(_types(entries))
    return tuple(kty for kty in ("RSA", "EC") if types.count(kty) > MOST_KEYS_OF_A_TYPE)


def _types(entries: list[object]) -> Iterator[object]:
    return (entry.get("kty") for entry in entries if isinstance(entry, dict))


def _read(jwk: Mapping[str, object], crowded: tuple[str, ...]) -> PublicKey | str:
    """The key, or why it cannot be used."""
    kty = jwk.get("kty")
    if kty in crowded:
        return f"more than {MOST_KEYS_OF_A_TYPE} {kty} keys"
    if jwk.get("use", "sig") != "sig":
        return "use is not sig"
    if "key_ops" in jwk:
        return "key_ops is set"
    try:
        key = _numbers(jwk)
        if "x5c" in jwk and _certified(jwk["x5c"]) != _spki(key):
            return "x5c certifies another key"
    except (ValueError, TypeError) as error:
        return f"unreadable: {error}"
    return key


def _numbers(jwk: Mapping[str, object]) -> PublicKey:
    if jwk.get("kty") == "RSA":
        n, e = decode_integer_untrusted(jwk.get("n")), decode_integer_untrusted(jwk.get("e"))
        if n.bit_length() > MOST_RSA_BITS:
            raise ValueError(f"modulus of more than {MOST_RSA_BITS} bits")
        if e.bit_length() > MOST_EXPONENT_BITS:
            raise ValueError(f"exponent of more than {MOST_EXPONENT_BITS} bits")
        return RSAPublicNumbers(e, n).public_key()
    curve = _CURVES.get(str(jwk.get("crv")))
    if jwk.get("kty") != "EC" or curve is None:
        raise ValueError(f"kty {jwk.get('kty')!r}, crv {jwk.get('crv')!r}")
    x, y = decode_integer_untrusted(jwk.get("x")), decode_integer_untrusted(jwk.get("y"))
    return EllipticCurvePublicNumbers(x, y, curve()).public_key()


def _certified(x5c: object) -> bytes:
    if not isinstance(x5c, list) or not x5c or not isinstance(x5c[0], str):
        raise ValueError("x5c is no list of certificates")
    return _spki(load_der_x509_certificate(base64.b64decode(x5c[0], validate=True)).public_key())


def _spki(key: object) -> bytes:
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise ValueError("neither RSA nor EC")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signature_holds(algorithm: str, key: PublicKey, data: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is ``key``'s over ``data``; a key of the wrong type or curve never signs."""
    digest = _HASHES[algorithm[2:]]()
    try:
        if isinstance(key, RSAPublicKey):
            if not algorithm.startswith("RS"):
                return False
            key.verify(signature, data, PKCS1v15(), digest)
            return True
        if key.curve.name != _CURVE_OF_ALGORITHM.get(algorithm):
            return False
        size = (key.curve.key_size + 7) // 8
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), data, ECDSA(digest))
    except InvalidSignature:
        return False
    return True
