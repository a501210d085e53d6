"""The keys that sign reports: a file of one's own, or a KMS key whose material nobody has.

A key file is a PEM of an Ed25519 private key (``openssl genpkey -algorithm ed25519``). With KMS the caller needs
``kms:DescribeKey`` and ``kms:Sign`` (``kms:GenerateMac`` for an HMAC key), and to verify ``kms:Verify``
(``kms:VerifyMac``); what an asymmetric key signed is verified with its public key alone, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from keyless.api import Permanent, os_failure
from keyless.aws import AWS_FAILURES, Session
from keyless.aws.errors import Said
from keyless.billing.ledger.signed import Signature, message_of

ED25519 = "Ed25519"
# Of what a KMS key can: one that its public key verifies without options of ours, the shortest first.
PREFERRED = ("ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512", "RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_256")
_HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_OFFLINE = "or verify with its public key, which asks nobody: --verify-key"
_ADVICE: Mapping[str, str] = {
    "NotFound": "expected a key of this account and region; one of another account, or its alias, is named by its ARN",
    "AccessDenied": "allow kms:{operation} on it to the caller, and of another account's key in its own policy",
    "Disabled": "it is disabled: aws kms enable-key",
    "KMSInvalidState": "it is about to be deleted, or has no material: aws kms cancel-key-deletion, then enable-key",
    "InvalidKeyUsage": "expected a key that was made to sign (SIGN_VERIFY or GENERATE_VERIFY_MAC)",
    "KeyUnavailable": "try it again",
}
"""By KMS's code: docs of its operations."""
_INVALID = ("KMSInvalidSignatureException", "KMSInvalidMacException")


class Signing(Protocol):
    """Signs statements; raises ``Transient`` or ``Permanent``."""

    def sign(self, statement: bytes) -> Signature:
        """The signature of a statement."""


class Verifying(Protocol):
    """Verifies signatures; raises ``Transient`` or ``Permanent`` where it cannot."""

    def holds(self, signature: Signature) -> bool:
        """Whether this key made it."""


class KeyFile:
    """Implements ``Signing`` with a file. Raises ``Permanent`` that names it and never shows what it holds."""

    def __init__(self, path: Path) -> None:
        try:
            found = load_pem_private_key(_bytes(path), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise Permanent(f"{path}: {_EXPECTED}") from None
        if not isinstance(found, ed25519.Ed25519PrivateKey):
            raise Permanent(f"{path}: {_EXPECTED}")
        self._key = found

    def sign(self, statement: bytes) -> Signature:
        """Ed25519."""
        return Signature(statement, ED25519, fingerprint(self._key.public_key()), self._key.sign(message_of(statement)))


class PublicKey:
    """Implements ``Verifying`` with a file: Ed25519, or the public key of an asymmetric KMS key."""

    def __init__(self, path: Path) -> None:
        try:
            self._key = load_pem_public_key(_bytes(path))
        except (ValueError, UnsupportedAlgorithm):
            raise Permanent(f"{path}: expected a public key in PEM (openssl pkey -pubout)") from None

    def holds(self, signature: Signature) -> bool:
        """Whether the private half made it, by the algorithm that the file names."""
        message = message_of(signature.statement)
        try:
            self._check(signature, message)
        except InvalidSignature:
            return False
        return True

    def _check(self, signature: Signature, message: bytes) -> None:
        key, algorithm = self._key, signature.algorithm
        digest = _HASHES.get(algorithm.rpartition("_")[2])
        if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == ED25519:
            key.verify(signature.signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm.startswith("ECDSA_SHA_") and digest:
            key.verify(signature.signature, message, ec.ECDSA(digest()))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm.startswith("RSASSA_PSS_SHA_") and digest:
            # KMS salts with as many bytes as the digest has.
            pss = padding.PSS(padding.MGF1(digest()), padding.PSS.DIGEST_LENGTH)
            key.verify(signature.signature, message, pss, digest())
        elif isinstance(key, rsa.RSAPublicKey) and algorithm.startswith("RSASSA_PKCS1_V1_5_SHA_") and digest:
            key.verify(signature.signature, message, padding.PKCS1v15(), digest())
        else:
            # The file says so, and the file is not trusted: another algorithm is another key.
            raise InvalidSignature


class KmsKey:
    """Implements ``Signing`` and ``Verifying`` with a KMS key, by its id, ARN or alias."""

    def __init__(self, session: Session, key: str) -> None:
        self._session = session
        self._key = key
        self._described: Any = None

    def sign(self, statement: bytes) -> Signature:
        """By the first algorithm that the key has, which is asked for once: each signature is one more request."""
        if self._described is None:
            self._described = self._call("DescribeKey")["KeyMetadata"]
        try:
            return self._signed(self._described, statement)
        except Exception:
            # An alias may name another key by now, which signs by something else.
            self._described = None
            raise

    def _signed(self, found: Any, statement: bytes) -> Signature:
        message = message_of(statement)
        if macs := found.get("MacAlgorithms"):
            answer = self._call("GenerateMac", MacAlgorithm=macs[0], Message=message)
            return Signature(statement, macs[0], answer.get("KeyId", found["Arn"]), answer["Mac"])
        offered = found.get("SigningAlgorithms", ())
        algorithm = next((each for each in PREFERRED if each in offered), "")
        if not algorithm:
            said = f"expected a key that signs by one of {', '.join(PREFERRED)}, or an HMAC key"
            raise Permanent(f"{self._key}: {said}; found one for {found.get('KeyUsage', 'nothing')}")
        answer = self._call("Sign", SigningAlgorithm=algorithm, Message=message, MessageType="RAW")
        return Signature(statement, algorithm, answer.get("KeyId", found["Arn"]), answer["Signature"])

    def holds(self, signature: Signature) -> bool:
        """As KMS says."""
        message = message_of(signature.statement)
        try:
            if signature.algorithm.startswith("HMAC_"):
                mac = {"MacAlgorithm": signature.algorithm, "Mac": signature.signature, "Message": message}
                self._call("VerifyMac", **mac)
            else:
                signed = {"SigningAlgorithm": signature.algorithm, "Signature": signature.signature}
                self._call("Verify", **signed, Message=message, MessageType="RAW")
        except AWS_FAILURES as error:
            if error.code.removesuffix("Exception") in {each.removesuffix("Exception") for each in _INVALID}:
                return False
            raise
        return True

    def _call(self, operation: str, **params: Any) -> Any:
        """One request; a refusal names the key, and what to do about it."""
        try:
            return self._session.call_blocking("kms", operation, KeyId=self._key, **params)
        except AWS_FAILURES as error:
            advice = _advice(error.code, operation)
            if not advice:
                raise
            message = f"{error.message}: key {self._key}: {advice}"
            raise type(error)(Said(error.operation, error.code, message, error.request_id)) from error


def _advice(code: str, operation: str) -> str:
    """What to do about a refusal of KMS; empty where its own words are all there is."""
    found = _ADVICE.get(code.removesuffix("Exception"), "").format(operation=operation)
    return f"{found}; {_OFFLINE}" if found and operation == "Verify" else found


def fingerprint(key: ed25519.Ed25519PublicKey) -> str:
    """Names a public key: the SHA-256 of its SubjectPublicKeyInfo."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


_EXPECTED = "expected an Ed25519 private key in PEM without a password (openssl genpkey -algorithm ed25519)"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise os_failure(error) from None
