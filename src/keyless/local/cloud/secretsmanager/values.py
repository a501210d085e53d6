"""Values under keys of KMS: each under a data key of its own, that one under the secret's key, as on AWS.

A customer key asks the caller for ``kms:GenerateDataKey`` and ``kms:Decrypt`` through this service, with the encryption
context ``SecretARN`` and ``SecretVersionId``. A refusal of KMS reaches the caller in Secrets Manager's words.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices, Place
from keyless.local.cloud.secretsmanager.model import Sealed, Secret

OWN_KEY = "alias/aws/secretsmanager"
MOST_BYTES = 65536
_NONCE_BYTES = 12
_REFUSED = "Access to KMS is not allowed"
_OTHER_KEY = " This version of secret is not encrypted with the current KMS key."
_CANNOT_ENCRYPT = (
    "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key is "
    "available, enabled, and not in an invalid state."
)
_CANNOT_DECRYPT = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."

Plain = str | bytes
"""A value: text, or bytes where the secret is binary."""


def value_in(params: Mapping[str, Any]) -> Plain | None:
    """The value that a request carries; None for none."""
    text, binary = params.get("SecretString"), params.get("SecretBinary")
    if text is not None and binary is not None:
        text = "You can't specify both a binary secret value and a string value in the same secret."
        raise AwsError("InvalidParameterException", text)
    found: Plain | None = text if text is not None else bytes(binary) if binary is not None else None
    if isinstance(found, str) and len(found.encode()) > MOST_BYTES:
        text = (
            "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have "
            f"length less than or equal to {MOST_BYTES}"
        )
        raise AwsError("ValidationException", text, status=400)
    return found


def key_named(key_id: str | None) -> str:
    """The key as the secret keeps it: the service's own is not named, as DescribeSecret leaves it out."""
    return "" if not key_id or key_id.endswith(OWN_KEY) else key_id


def shown(value: Plain) -> dict[str, Any]:
    """A value as GetSecretValue answers it."""
    return {"SecretString": value} if isinstance(value, str) else {"SecretBinary": value}


class Values:
    """Seals and opens for a caller."""

    def __init__(self, keys: KeysForServices) -> None:
        self._keys = keys

    def seal(self, call: Call, secret: Secret, version_id: str, value: Plain) -> Sealed:
        """Encrypt a new value of ``secret``; raises AccessDeniedException or EncryptionFailure."""
        key_id, context = secret.key_id or OWN_KEY, _context(secret.arn, version_id)
        try:
            plain, wrapped = self._keys.data_key(call, key_id, context, also=("Decrypt",))
        except AwsError as error:
            raise _worded(error, "EncryptionFailure", _CANNOT_ENCRYPT) from None
        return _sealed(plain, wrapped, value)

    def seal_at_start(self, place: Place, secret: Secret, version_id: str, value: Plain) -> Sealed:
        """Encrypt a value of an older state. Its key was never used, and may not be there: then the service's own."""
        context = _context(secret.arn, version_id)
        for key_id in filter(None, (secret.key_id, OWN_KEY)):
            try:
                return _sealed(*self._keys.data_key_at_start(place, key_id, context), value)
            except AwsError:
                continue
        raise AssertionError("the service's own key is always there")

    def open(self, call: Call, secret: Secret, version_id: str, sealed: Sealed) -> Plain:
        """Decrypt a value; raises AccessDeniedException or DecryptionFailure."""
        wrapped = b64decode(sealed.data_key)
        try:
            plain = self._keys.open(call, wrapped, _context(secret.arn, version_id))
        except AwsError as error:
            other = "" if self._is_current(call, secret, wrapped) else f".{_OTHER_KEY}"
            raise _worded(error, "DecryptionFailure", _CANNOT_DECRYPT, more=other) from None
        raw = b64decode(sealed.ciphertext)
        value = AESGCM(plain).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        return value.decode() if sealed.kind == "string" else value

    def _is_current(self, call: Call, secret: Secret, wrapped: bytes) -> bool:
        """Whether a version is sealed under the key that the secret has now."""
        try:
            return self._keys.arn_of(call, secret.key_id or OWN_KEY).endswith(self._keys.sealed_under(wrapped))
        except AwsError:
            return True


def _context(arn: str, version_id: str) -> dict[str, str]:
    return {"SecretARN": arn, "SecretVersionId": version_id}


def _sealed(plain: bytes, wrapped: bytes, value: Plain) -> Sealed:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    raw = value.encode() if isinstance(value, str) else value
    ciphertext = nonce + AESGCM(plain).encrypt(nonce, raw, None)
    stored = b64encode(wrapped).decode(), b64encode(ciphertext).decode()
    return Sealed("string", *stored) if isinstance(value, str) else Sealed("binary", *stored)


def _worded(error: AwsError, code: str, text: str, *, more: str = "") -> AwsError:
    if error.code == "AccessDeniedException":
        return AwsError("AccessDeniedException", _REFUSED + more, status=400)
    return AwsError(code, text, status=400)
