"""What is kept with an object beside its bytes, and how an answer shows it. Pure.

Kept under boto3's names in :attr:`Stored.described`, so that an answer is mostly a copy; times as epoch seconds.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.checksums import MEMBERS as CHECKSUMS
from keyless.local.cloud.s3.conditions import moment
from keyless.local.cloud.s3.envelopes import DATA_KEY
from keyless.local.cloud.s3.storage import Stored

_SAID = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires", "Metadata",
    "WebsiteRedirectLocation", "StorageClass",
)  # fmt: skip
#: what a copy takes along from its source unless the directive is REPLACE: all but the storage class
COPIED = frozenset(_SAID) - {"StorageClass", "WebsiteRedirectLocation"}
_UNTIL = "ObjectLockRetainUntilDate"
#: the sizes and checksums of an object's parts; shown by GetObjectAttributes, counted by GetObject
PARTS = "ObjectParts"
_LARGEST_METADATA_BYTES = 2048
_ARCHIVED = {"GLACIER", "DEEP_ARCHIVE"}


def described(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the request says about the object; raises MetadataTooLarge."""
    found = {name: params[name] for name in _SAID if params.get(name)}
    if found.get("StorageClass") == "STANDARD":
        del found["StorageClass"]
    size = sum(len(name.encode()) + len(str(value).encode()) for name, value in found.get("Metadata", {}).items())
    if size > _LARGEST_METADATA_BYTES:
        raise AwsError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            status=400,
            fields={"Size": str(size), "MaxSizeAllowed": str(_LARGEST_METADATA_BYTES)},
        )
    return found


def shown(stored: Stored, *, checksums: bool) -> dict[str, Any]:
    """The members of GetObject's and HeadObject's answers."""
    hidden = _INNER if checksums else _INNER | _SUMS
    result = {name: value for name, value in stored.described.items() if name not in hidden}
    if _UNTIL in result:
        result[_UNTIL] = datetime.fromtimestamp(result[_UNTIL], UTC)
    if "Metadata" in result:
        result["Metadata"] = {name: _header_text(value) for name, value in result["Metadata"].items()}
    result.setdefault("ContentType", "binary/octet-stream")
    if stored.tags:
        result["TagCount"] = len(stored.tags)
    return result | {
        "ETag": stored.etag,
        "ContentLength": stored.size,
        "LastModified": moment(stored.modified),
        "AcceptRanges": "bytes",
    }


_SUMS = frozenset({*CHECKSUMS, "ChecksumType"})
_INNER = frozenset({PARTS, DATA_KEY})


def _header_text(value: str) -> str:
    """S3 takes a header's bytes for Latin-1, and writes what is not ASCII in the form of RFC 2047."""
    if value.isascii():
        return value
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="


def sums(stored: Stored) -> dict[str, Any]:
    """The object's checksum and its type."""
    return {name: value for name, value in stored.described.items() if name in _SUMS}


def storage_class(stored: Stored) -> str:
    """The storage class as listings name it."""
    return str(stored.described.get("StorageClass", "STANDARD"))


def must_be_at_hand(stored: Stored) -> None:
    """Refuse to read what lies in an archive, as S3 does until it is restored."""
    found = storage_class(stored)
    if found in _ARCHIVED:
        text = "The operation is not valid for the object's storage class"
        raise AwsError("InvalidObjectState", text, status=403, fields={"StorageClass": found})


#: the members of a request, and of the answer, by which a reader overrides the answer's headers
_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


def overrides(params: Mapping[str, Any], *, anonymous: bool) -> dict[str, Any]:
    """The answer's headers that the request sets; only a signed request may."""
    found = {member: params[name] for name, member in _OVERRIDES.items() if params.get(name)}
    if "Expires" in found:
        found["Expires"] = format_datetime(found["Expires"].astimezone(UTC), usegmt=True)
    if found and anonymous:
        text = "Request specific response headers cannot be used for anonymous GET requests."
        raise AwsError("InvalidRequest", text, status=400)
    return found
