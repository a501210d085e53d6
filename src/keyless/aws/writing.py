"""How an object is written: PutObject's members that the values ask for, and what a lesser server is spared. Pure.

The names are S3's: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html. What other servers answer to
members that they do not know, and which policies demand which header: docs/reference/facts/s3-writes.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

ENCRYPTIONS = ("", "AES256", "aws:kms", "aws:kms:dsse")
CHECKSUMS = ("SHA256", "CRC32", "none")
STYLES = ("auto", "path", "virtual")
ACLS = ("", "bucket-owner-full-control", "bucket-owner-read")
"""Those that give the bucket's owner what a writer of another account stored."""
HEADERS = {
    "ContentType": "Content-Type",
    "ContentMD5": "Content-MD5",
    "IfNoneMatch": "If-None-Match",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "ACL": "x-amz-acl",
    "ChecksumAlgorithm": "x-amz-sdk-checksum-algorithm",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ChecksumCRC32": "x-amz-checksum-crc32",
}
"""The header that carries each member."""
_OWNER = re.compile(r"[0-9]{12}", re.ASCII)
_KEY = re.compile(
    r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+|alias/[A-Za-z0-9/_-]+|[A-Za-z0-9-]{1,128})",
    re.ASCII,
)
_REFUSES_HEADER = frozenset({"InvalidArgument", "InvalidRequest", "InvalidHeader", "UnsupportedHeader", "BadRequest"})


class Spared(Enum):
    """What a server that does not know it is written to without."""

    CONDITION = "condition"
    CHECKSUM = "checksum"


@dataclass(frozen=True, slots=True)
class Writing:
    """What is said of every object that is stored; empty: nothing is said, and the bucket's own settings hold."""

    encryption: str = ""
    """``AES256``, ``aws:kms``, ``aws:kms:dsse``."""
    kms_key: str = ""
    """An id, ARN or alias; with ``aws:kms`` and without a key S3 takes ``alias/aws/s3``."""
    owner: str = ""
    """The account that the bucket must belong to: 12 digits."""
    acl: str = ""
    checksum: str = "SHA256"

    @property
    def faults(self) -> tuple[str, ...]:
        """Each as ``member: what is wrong``; S3 would refuse every write for it."""
        found = []
        for name, value, known in (
            ("serverSideEncryption", self.encryption, ENCRYPTIONS),
            ("acl", self.acl, ACLS),
            ("checksumAlgorithm", self.checksum, CHECKSUMS),
        ):
            if value not in known:
                found.append(f"{name}: expected {', '.join(filter(None, known))}, found {value!r}")
        if self.kms_key and not self.encryption.startswith("aws:kms"):
            found.append("ssekmsKeyId: expected serverSideEncryption aws:kms beside it, found " + repr(self.encryption))
        if self.kms_key and not _KEY.fullmatch(self.kms_key):
            found.append(f"ssekmsKeyId: expected a key's id, ARN or alias, found {self.kms_key!r}")
        if self.owner and not _OWNER.fullmatch(self.owner):
            found.append(f"expectedBucketOwner: expected an account of 12 digits, found {self.owner!r}")
        return tuple(found)

    def members(self, body: bytes, content_type: str, spared: frozenset[Spared] = frozenset()) -> Mapping[str, str]:
        """The members of PutObject beside bucket (with its owner), key and body."""
        said = {
            "ContentType": content_type,
            "IfNoneMatch": "" if Spared.CONDITION in spared else "*",
            "ServerSideEncryption": self.encryption,
            "SSEKMSKeyId": self.kms_key,
            "ACL": self.acl,
            **_sums(body, "none" if Spared.CHECKSUM in spared else self.checksum),
        }
        return {name: value for name, value in said.items() if value}


BARE = Writing()
"""The bucket's own settings hold."""


def _sums(body: bytes, algorithm: str) -> Mapping[str, str]:
    # Computed here: what the SDK computes itself it appends to the body, in chunks, which many servers cannot read.
    if algorithm == "SHA256":
        return {"ChecksumAlgorithm": algorithm, "ChecksumSHA256": _text(hashlib.sha256(body).digest())}
    if algorithm == "CRC32":
        return {"ChecksumAlgorithm": algorithm, "ChecksumCRC32": _text(zlib.crc32(body).to_bytes(4, "big"))}
    # Every S3 server knows it, and a bucket with Object Lock demands one of the two.
    return {"ContentMD5": _text(hashlib.md5(body, usedforsecurity=False).digest())}


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def spare(code: str, told: str, spared: frozenset[Spared], *, checksum: str) -> Spared | None:
    """What to leave out of the next try after a refusal; None: the refusal is about something else.

    ``told`` is the server's sentence. A condition may go, for a key holds the hash of its bytes; so may a checksum, for
    the signature covers the body.
    """
    text = told.lower()
    left = [each for each in (Spared.CONDITION, Spared.CHECKSUM) if each not in spared]
    if checksum == "none":
        left = [each for each in left if each is not Spared.CHECKSUM]
    about = [each for each in left if _named(each, text)]
    if code in _REFUSES_HEADER:
        return next(iter(about), None)
    if code in {"NotImplemented", "501", "HTTP 501", "MethodNotAllowed"} and "method" not in text:
        return next(iter(about or left), None)
    return None


def _named(part: Spared, text: str) -> bool:
    words = ("if-none-match", "conditional") if part is Spared.CONDITION else ("checksum",)
    return any(word in text for word in words)
