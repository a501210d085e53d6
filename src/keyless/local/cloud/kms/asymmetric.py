"""Asymmetric and HMAC keys: their material, and RSA, ECDSA and HMAC by AWS's algorithm names. No state, no calls."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from keyless.local.cloud.kms.specs import HMAC_BITS, RSA_BITS

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "1": hashes.SHA1,  # for RSAES_OAEP_SHA_1 alone: the strength of OAEP does not rest on collisions
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_SYMMETRIC_BYTES = 32


def new_material(spec: str) -> bytes:
    """Fresh secret bytes for a key of ``spec``: raw, or a private key in PKCS #8."""
    if spec in RSA_BITS or spec in _CURVES:
        return private_bytes(generate(spec))
    return secrets.token_bytes(HMAC_BITS.get(spec, _SYMMETRIC_BYTES * 8) // 8)


def generate(spec: str) -> PrivateKey:
    """A new key pair."""
    if spec in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[spec])
    return ec.generate_private_key(_CURVES[spec]())


def private_bytes(key: PrivateKey) -> bytes:
    """PKCS #8, DER."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_bytes(key: PrivateKey) -> bytes:
    """SubjectPublicKeyInfo, DER, as GetPublicKey answers it."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@lru_cache(maxsize=64)
def loaded(material: bytes) -> PrivateKey:
    """The private key in ``material``; checking an RSA key takes milliseconds, so it is done once."""
    key = serialization.load_der_private_key(material, None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return key


def digest_bytes(algorithm: str) -> int:
    """How long a digest for ``algorithm`` is."""
    return _hash(algorithm).digest_size


def sign(key: PrivateKey, algorithm: str, message: bytes, *, digest: bool) -> bytes:
    """Sign a message, or its digest."""
    chosen = Prehashed(_hash(algorithm)) if digest else _hash(algorithm)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _signature_padding(algorithm), chosen)
    return key.sign(message, ec.ECDSA(chosen))


def verified(key: PrivateKey, algorithm: str, message: bytes, signature: bytes, *, digest: bool) -> bool:
    """Whether ``signature`` is of ``message`` (or its digest) by ``key``."""
    chosen = Prehashed(_hash(algorithm)) if digest else _hash(algorithm)
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            key.public_key().verify(signature, message, _signature_padding(algorithm), chosen)
        else:
            key.public_key().verify(signature, message, ec.ECDSA(chosen))
    except InvalidSignature:
        return False
    return True


def most_plaintext_bytes(key: PrivateKey, algorithm: str) -> int:
    """How much RSA-OAEP holds."""
    return key.key_size // 8 - 2 * digest_bytes(algorithm) - 2


def encrypt(key: PrivateKey, algorithm: str, plaintext: bytes) -> bytes:
    """RSA-OAEP under the public half."""
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.public_key().encrypt(plaintext, _oaep(algorithm))


def decrypt_untrusted(key: PrivateKey, algorithm: str, ciphertext: bytes) -> bytes | None:
    """RSA-OAEP; None for bytes that do not open."""
    assert isinstance(key, rsa.RSAPrivateKey)
    try:
        return key.decrypt(ciphertext, _oaep(algorithm))
    except ValueError:
        return None


def mac(material: bytes, algorithm: str, message: bytes) -> bytes:
    """HMAC by AWS's name, such as HMAC_SHA_256."""
    return hmac.digest(material, message, "sha" + algorithm.rpartition("_")[2])


def _hash(algorithm: str) -> hashes.HashAlgorithm:
    return _HASHES[algorithm.rpartition("_")[2]]()


def _oaep(algorithm: str) -> padding.OAEP:
    return padding.OAEP(mgf=padding.MGF1(_hash(algorithm)), algorithm=_hash(algorithm), label=None)


def _signature_padding(algorithm: str) -> padding.AsymmetricPadding:
    if "_PSS_" in algorithm:
        # AWS salts with as many bytes as the digest has.
        return padding.PSS(mgf=padding.MGF1(_hash(algorithm)), salt_length=padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()
