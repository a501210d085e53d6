"""Objects under keys of KMS (SSE-KMS): each has a data key, and who may not use the key can neither write nor read.

A write asks for ``kms:GenerateDataKey``, a read for ``kms:Decrypt``, an upload in parts for both, as the caller and
through S3. The context that a key's policy sees is the object's ARN, or the bucket's where it has a bucket key.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms import KeysForServices

#: where the wrapped data key is kept with the object; never shown
DATA_KEY = "DataKey"
_NONCE_BYTES = 12
_REFUSED = "AccessDeniedException"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Seals and opens bodies under one data key; without one (SSE-S3) they are kept as they are."""

    key: bytes = b""

    def seal(self, body: bytes) -> bytes:
        """What is kept of ``body``."""
        if not self.key:
            return body
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.key).encrypt(nonce, body, None)

    def open(self, kept: bytes) -> bytes:
        """The body that ``seal`` was given."""
        if not self.key:
            return kept
        return AESGCM(self.key).decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], None)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a new object is kept with, and the envelope of its body."""

    described: dict[str, Any]
    envelope: Envelope


class Envelopes:
    """Makes and opens envelopes for a caller; refusals are worded as S3 words KMS's."""

    def __init__(self, keys: KeysForServices) -> None:
        self._keys = keys

    def new(self, call: Call, bucket: str, key: str, described: Mapping[str, Any]) -> Facts:
        """The facts of a new object, with a data key where its encryption is KMS's."""
        named = described.get("SSEKMSKeyId")
        if named is None:
            return Facts(dict(described), Envelope())
        _must_be_signed(call)
        try:
            arn = self._keys.arn_of(call, named)
            plain, wrapped = self._keys.data_key(call, arn, _context(bucket, key, described))
        except AwsError as error:
            raise _worded(error) from None
        return Facts({**described, "SSEKMSKeyId": arn, DATA_KEY: b64encode(wrapped).decode()}, Envelope(plain))

    def of(self, call: Call, bucket: str, key: str, described: Mapping[str, Any]) -> Envelope:
        """The envelope of an object, or an upload, that is there."""
        if DATA_KEY not in described:
            return Envelope()
        _must_be_signed(call)
        try:
            wrapped = b64decode(described[DATA_KEY])
            return Envelope(self._keys.open(call, wrapped, _context(bucket, key, described)))
        except AwsError as error:
            raise _worded(error) from None


def _must_be_signed(call: Call) -> None:
    """KMS knows nobody who is nobody: not even S3's own key is for the public."""
    if call.caller.kind == "Anonymous":
        text = "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4."
        raise AwsError("InvalidArgument", text, status=400)


def _context(bucket: str, key: str, described: Mapping[str, Any]) -> dict[str, str]:
    place = bucket if described.get("BucketKeyEnabled") else f"{bucket}/{key}"
    return {"aws:s3:arn": f"arn:aws:s3:::{place}"}


def _worded(error: AwsError) -> AwsError:
    """KMS's refusal: AccessDenied is S3's own, the others carry KMS's name in front of theirs."""
    if error.code == _REFUSED:
        return AwsError("AccessDenied", error.message, status=403)
    return AwsError(f"KMS.{error.code}", error.message, status=400)
