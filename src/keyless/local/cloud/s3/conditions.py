"""The conditions of reads, writes, copies and deletes: 412, 304, 404. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html; for reads, RFC 9110 §13.2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.storage import Stored


def moment(seconds: float) -> datetime:
    """A time as S3 keeps it: whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def no_such_key(key: str) -> AwsError:
    """The object is not there."""
    return AwsError("NoSuchKey", "The specified key does not exist.", status=404, fields={"Key": key})


def must_be_wanted(params: Mapping[str, Any], stored: Stored) -> None:
    """A read: 412 for If-Match and If-Unmodified-Since, 304 for the other two."""
    modified = moment(stored.modified)
    if wanted := params.get("IfMatch"):
        if not _same(wanted, stored):
            raise failed("If-Match")
    elif (since := params.get("IfUnmodifiedSince")) and modified > since:
        raise failed("If-Unmodified-Since")
    if unwanted := params.get("IfNoneMatch"):
        if _same(unwanted, stored):
            raise _not_modified(stored)
    elif (since := params.get("IfModifiedSince")) and modified <= since:
        raise _not_modified(stored)


def source_must_be_wanted(params: Mapping[str, Any], stored: Stored) -> None:
    """A copy's source: every condition that does not hold is a 412."""
    modified = moment(stored.modified)
    if wanted := params.get("CopySourceIfMatch"):
        if not _same(wanted, stored):
            raise failed("x-amz-copy-source-If-Match")
    elif (since := params.get("CopySourceIfUnmodifiedSince")) and modified > since:
        raise failed("x-amz-copy-source-If-Unmodified-Since")
    if unwanted := params.get("CopySourceIfNoneMatch"):
        if _same(unwanted, stored):
            raise failed("x-amz-copy-source-If-None-Match")
    elif (since := params.get("CopySourceIfModifiedSince")) and modified <= since:
        raise failed("x-amz-copy-source-If-Modified-Since")


def may_be_written(params: Mapping[str, Any], key: str, existing: Stored | None) -> None:
    """A write: If-None-Match takes ``*`` alone, If-Match an ETag alone."""
    unwanted, wanted = params.get("IfNoneMatch"), params.get("IfMatch")
    if (unwanted and wanted) or (unwanted and unwanted != "*") or wanted == "*":
        text = "A header you provided implies functionality that is not implemented"
        header = "If-None-Match" if unwanted else "If-Match"
        raise AwsError("NotImplemented", text, status=501, fields={"Header": header})
    if unwanted and existing is not None:
        raise failed("If-None-Match")
    if wanted:
        must_match(wanted, key, existing)


def must_match(wanted: str, key: str, existing: Stored | None) -> None:
    """A write or delete of what is there and unchanged: 404 where it is not there, 412 where it changed."""
    if existing is None:
        raise no_such_key(key)
    if not _same(wanted, existing):
        raise failed("If-Match")


def failed(header: str) -> AwsError:
    """412, with the condition that did not hold."""
    text = "At least one of the pre-conditions you specified did not hold"
    return AwsError("PreconditionFailed", text, status=412, fields={"Condition": header})


def _same(etag: str, stored: Stored) -> bool:
    return etag == "*" or stored.etag.strip('"') in {one.strip().strip('"') for one in etag.split(",")}


def _not_modified(stored: Stored) -> AwsError:
    modified = format_datetime(moment(stored.modified), usegmt=True)
    return AwsError("NotModified", "Not Modified", status=304, headers={"etag": stored.etag, "last-modified": modified})
