"""Values of SecureStrings under keys of KMS, and the limits on all values.

A standard parameter is encrypted by KMS itself (``kms:Encrypt``), an advanced one under a data key
(``kms:GenerateDataKey``); reading needs ``kms:Decrypt``, always with the encryption context ``PARAMETER_ARN``.
https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices
from keyless.local.cloud.ssm.model import SECURE, Parameter, Version
from keyless.local.cloud.ssm.names import invalid

OWN_KEY = "alias/aws/ssm"
STANDARD, ADVANCED, INTELLIGENT = "Standard", "Advanced", "Intelligent-Tiering"
_LIMITS = {STANDARD: 4096, ADVANCED: 8192}
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Stored:
    """A value as it is kept: as it came, or encrypted."""

    value: str
    key_id: str = ""
    data_key: str = ""


def tier_of(asked: str | None, value: str, last: Version | None, *, policies: bool) -> str:
    """The tier of a new version; raises ValidationException where it cannot be."""
    large = len(value.encode()) > _LIMITS[STANDARD] or policies
    tier = asked or (last.tier if last else STANDARD)
    if tier == INTELLIGENT:
        tier = ADVANCED if large or (last and last.tier == ADVANCED) else STANDARD
    if last and last.tier == ADVANCED and tier == STANDARD:
        raise invalid(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
            "advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced "
            "parameter and recreate it as a standard parameter."
        )
    if policies and tier == STANDARD:
        raise invalid("Parameter policies are for parameters of the advanced-parameter tier.")
    if len(value.encode()) > _LIMITS[tier]:
        more = (
            " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more "
            "information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
            "parameter-store-advanced-parameters.html"
        )
        text = f"{tier} tier parameters support a maximum parameter value of {_LIMITS[tier]} characters."
        raise invalid(text + (more if tier == STANDARD else ""))
    return tier


class Values:
    """Seals and opens for a caller."""

    def __init__(self, keys: KeysForServices) -> None:
        self._keys = keys

    def stored(self, call: Call, arn: str, value: str, *, secure: bool, tier: str) -> Stored:
        """A value ready to be kept; raises AccessDeniedException or InvalidKeyId."""
        if not secure:
            return Stored(value)
        key_id, context = str(call.params.get("KeyId") or OWN_KEY), {"PARAMETER_ARN": arn}
        try:
            if tier == STANDARD:
                sealed = self._keys.seal(call, key_id, value.encode(), context)
                return Stored(b64encode(sealed).decode(), key_id)
            plain, wrapped = self._keys.data_key(call, key_id, context)
        except AwsError as error:
            raise _worded(call, error) from None
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(plain).encrypt(nonce, value.encode(), arn.encode())
        return Stored(b64encode(sealed).decode(), key_id, b64encode(wrapped).decode())

    def shown(self, call: Call, parameter: Parameter, version: Version, *, decrypt: bool) -> str:
        """A value as it is read; without ``decrypt`` a SecureString is its ciphertext."""
        if version.type != SECURE or not decrypt:
            return version.value
        sealed, context = b64decode(version.value), {"PARAMETER_ARN": parameter.arn}
        try:
            if not version.data_key:
                return self._keys.open(call, sealed, context).decode()
            plain = self._keys.open(call, b64decode(version.data_key), context)
        except AwsError as error:
            raise _worded(call, error) from None
        return AESGCM(plain).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], parameter.arn.encode()).decode()


def _worded(call: Call, error: AwsError) -> AwsError:
    """KMS's refusal as Systems Manager passes it on: KMS's words, and where they come from."""
    code = "AccessDeniedException" if error.code == "AccessDeniedException" else "InvalidKeyId"
    source = f"Service: AWSKMS; Status Code: 400; Error Code: {error.code}; Request ID: {call.request_id}; Proxy: null"
    return AwsError(code, f"{error.message} ({source})".strip(), status=400)
