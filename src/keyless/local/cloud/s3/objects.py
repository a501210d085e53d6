"""Operations on objects: put, get, head, copy, delete, list.

Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.checksums import checked
from keyless.local.cloud.s3.listing import page
from keyless.local.cloud.s3.storage import Storage, Stored, etag_of
from keyless.local.cloud.s3.tags import header_tags
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.versions import Removed, Versions

#: what is stored with an object and given back as it came
DESCRIBED = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata",
)  # fmt: skip
MAX_KEYS = 1000
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Objects:
    """The objects of all buckets."""

    def __init__(self, storage: Storage, buckets: Buckets, targets: Targets, versions: Versions) -> None:
        self._versions = versions
        self._storage = storage
        self._buckets = buckets
        self._targets = targets

    def put(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call), str(call.params["Key"])
        body = _bytes(call.params.get("Body"))
        self.must_hold(call, bucket.name, key)
        checksums, tags = checked(call.params, body), header_tags(call.params.get("Tagging"))
        stored = Stored(key, call.now, etag_of(body), len(body), described(call.params) | checksums, tags=tags)
        version = self._versions.put(bucket, stored, body)
        return {"ETag": stored.etag, **checksums, **({"VersionId": version} if version else {})}

    def must_hold(self, call: Call, bucket: str, key: str) -> None:
        """Refuse a conditional write whose condition does not hold."""
        existing = self._storage.object(bucket, key)
        if call.params.get("IfNoneMatch") == "*" and existing is not None:
            raise _precondition("If-None-Match")
        if wanted := call.params.get("IfMatch"):
            if existing is None:
                raise no_such_key(key)
            if wanted.strip('"') != existing.etag.strip('"'):
                raise _precondition("If-Match")

    def head(self, call: Call) -> dict[str, Any]:
        stored = self.readable(call)
        _must_be_wanted(call.params, stored)
        return self._described(call, stored)

    def get(self, call: Call) -> tuple[int, dict[str, Any]]:
        """The status (200 or 206) and the result."""
        stored = self.readable(call)
        _must_be_wanted(call.params, stored)
        body = self._versions.body(call.params["Bucket"], stored)
        result = self._described(call, stored)
        found = _range(call.params.get("Range") or "", len(body))
        if found is None:
            return 200, result | {"Body": body}
        start, end = found
        part = body[start:end]
        # A checksum is of the whole object; beside a part of it clients would take it for the part's.
        result = {k: v for k, v in result.items() if not k.startswith("Checksum")}
        content_range = f"bytes {start}-{end - 1}/{len(body)}"
        return 206, result | {"Body": part, "ContentLength": len(part), "ContentRange": content_range}

    def copy(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call), str(call.params["Key"])
        source_bucket, source_key, version = _copy_source(str(call.params["CopySource"]))
        call.authorise(self._targets.object(call, "PutObject", bucket.name, key))
        reading = "GetObjectVersion" if version else "GetObject"
        call.authorise(self._targets.object(call, reading, source_bucket, source_key))
        source = self._found(source_bucket, source_key, version)
        if source is None:
            raise no_such_key(source_key)
        self.must_hold(call, bucket.name, key)
        kept = described(call.params) if call.params.get("MetadataDirective") == "REPLACE" else source.described
        replaced = call.params.get("TaggingDirective") == "REPLACE"
        tags = header_tags(call.params.get("Tagging")) if replaced else source.tags
        stored = Stored(key, call.now, source.etag, source.size, kept, tags=tags)
        made = self._versions.put(bucket, stored, self._versions.body(source_bucket, source))
        result: dict[str, Any] = {"CopyObjectResult": {"ETag": stored.etag, "LastModified": moment(call.now)}}
        if made:
            result["VersionId"] = made
        if version or self._storage.keeps_versions(source_bucket):
            result["CopySourceVersionId"] = source.version
        return result

    def delete(self, call: Call) -> dict[str, Any]:
        removed = self._remove(call, str(call.params["Key"]), call.params.get("VersionId") or "")
        return _told(removed)

    def _remove(self, call: Call, key: str, version: str) -> Removed:
        bucket = self._buckets.existing(call)
        if version:
            return self._versions.delete_version(bucket.name, key, version)
        return self._versions.delete(bucket, key, call.now)

    def delete_many(self, call: Call) -> dict[str, Any]:
        bucket = self._buckets.existing(call).name
        deleted, errors = [], []
        for item in call.params["Delete"]["Objects"]:
            version = item.get("VersionId") or ""
            action = "DeleteObjectVersion" if version else "DeleteObject"
            target = self._targets.object(call, action, bucket, item["Key"])
            if not call.allows(target):
                errors.append({"Key": item["Key"], "Code": "AccessDenied", "Message": "Access Denied"})
                continue
            deleted.append({"Key": item["Key"], **_told_of_many(self._remove(call, item["Key"], version), version)})
        quiet = call.params["Delete"].get("Quiet")
        return {"Deleted": [] if quiet else deleted, "Errors": errors}

    def list_v2(self, call: Call) -> dict[str, Any]:
        params = call.params
        after = _token(params.get("ContinuationToken")) or params.get("StartAfter") or ""
        found, result = self._page(call, after)
        result["KeyCount"] = len(found.objects) + len(found.prefixes)
        for member in ("ContinuationToken", "StartAfter"):
            if params.get(member):
                result[member] = params[member]
        if found.truncated:
            result["NextContinuationToken"] = found.last.encode().hex()
        return result

    def list_v1(self, call: Call) -> dict[str, Any]:
        found, result = self._page(call, call.params.get("Marker") or "")
        result["Marker"] = call.params.get("Marker") or ""
        if found.truncated and call.params.get("Delimiter"):
            result["NextMarker"] = found.last
        return result

    def _page(self, call: Call, after: str) -> tuple[Any, dict[str, Any]]:
        params, bucket = call.params, self._buckets.existing(call)
        prefix, delimiter = params.get("Prefix") or "", params.get("Delimiter") or ""
        wanted = params.get("MaxKeys")
        limit = MAX_KEYS if wanted is None else min(int(wanted), MAX_KEYS)
        walked = self._storage.walk(bucket.name, prefix, after)
        found = page(walked, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        coded = coder(params.get("EncodingType"))
        result: dict[str, Any] = {
            "Name": bucket.name,
            "Prefix": coded(prefix),
            "MaxKeys": limit,
            "IsTruncated": found.truncated,
            "Contents": [
                {
                    "Key": coded(o.key),
                    "LastModified": moment(o.modified),
                    "ETag": o.etag,
                    "Size": o.size,
                    "StorageClass": "STANDARD",
                }
                for o in found.objects
            ],
            "CommonPrefixes": [{"Prefix": coded(p)} for p in found.prefixes],
        }
        if delimiter:
            result["Delimiter"] = coded(delimiter)
        if params.get("EncodingType"):
            result["EncodingType"] = params["EncodingType"]
        return found, result

    def shown_version(self, call: Call, stored: Stored) -> dict[str, Any]:
        """The version's id, where the bucket has ever had versions."""
        return {"VersionId": stored.version} if self._buckets.existing(call).versioning else {}

    def _found(self, bucket: str, key: str, version: str) -> Stored | None:
        if not version:
            return self._storage.object(bucket, key)
        found = self._versions.find(bucket, key, version)
        if found is None:
            text = "The specified version does not exist."
            raise AwsError("NoSuchVersion", text, status=404, fields={"Key": key, "VersionId": version})
        if found[1]:
            text = "The specified method is not allowed against this resource."
            raise AwsError("MethodNotAllowed", text, status=405, fields={"ResourceType": "DeleteMarker"})
        return found[0]

    def readable(self, call: Call) -> Stored:
        """The object, or the version of it, that the parameters name; raises S3's error where it is not there."""
        bucket, key = self._buckets.existing(call).name, str(call.params["Key"])
        found = self._found(bucket, key, call.params.get("VersionId") or "")
        if found is None:
            # Who may not list must not learn that a key is free: AWS answers AccessDenied then.
            call.authorise(self._targets.bucket(call, "ListBucket"))
            raise no_such_key(key)
        return found

    def _described(self, call: Call, stored: Stored) -> dict[str, Any]:
        result = {k: v for k, v in stored.described.items() if not k.startswith("Checksum")}
        if call.params.get("ChecksumMode") == "ENABLED":
            result |= {k: v for k, v in stored.described.items() if k.startswith("Checksum")}
        result.setdefault("ContentType", "binary/octet-stream")
        if stored.tags:
            result["TagCount"] = len(stored.tags)
        return (
            result
            | self.shown_version(call, stored)
            | {
                "ETag": stored.etag,
                "ContentLength": stored.size,
                "LastModified": moment(stored.modified),
                "AcceptRanges": "bytes",
            }
        )


def _told(removed: Removed) -> dict[str, Any]:
    found: dict[str, Any] = {"VersionId": removed.version} if removed.version else {}
    return found | ({"DeleteMarker": True} if removed.marker else {})


def _told_of_many(removed: Removed, named: str) -> dict[str, Any]:
    found: dict[str, Any] = {"VersionId": named} if named else {}
    return found | ({"DeleteMarker": True, "DeleteMarkerVersionId": removed.version} if removed.marker else {})


def described(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the request says about the object."""
    return {name: params[name] for name in DESCRIBED if params.get(name)}


def moment(seconds: float) -> datetime:
    """A time as S3 keeps it: whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


def no_such_key(key: str) -> AwsError:
    """The object is not there."""
    return AwsError("NoSuchKey", "The specified key does not exist.", status=404, fields={"Key": key})


def _precondition(header: str) -> AwsError:
    text = "At least one of the pre-conditions you specified did not hold"
    return AwsError("PreconditionFailed", text, status=412, fields={"Condition": header})


def _must_be_wanted(params: Mapping[str, Any], stored: Stored) -> None:
    """RFC 9110 §13.2.2 in S3's form: 412 for If-Match and If-Unmodified-Since, 304 for the other two."""
    modified = moment(stored.modified)
    if wanted := params.get("IfMatch"):
        if wanted != "*" and wanted.strip('"') != stored.etag.strip('"'):
            raise _precondition("If-Match")
    elif (since := params.get("IfUnmodifiedSince")) and modified > since:
        raise _precondition("If-Unmodified-Since")
    if unwanted := params.get("IfNoneMatch"):
        if unwanted == "*" or unwanted.strip('"') == stored.etag.strip('"'):
            raise AwsError("NotModified", "Not Modified", status=304)
    elif (since := params.get("IfModifiedSince")) and modified <= since:
        raise AwsError("NotModified", "Not Modified", status=304)


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The half-open range of bytes that is asked for; None: all. One range only, as S3."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if start >= end:
        text = "The requested range is not satisfiable"
        raise AwsError("InvalidRange", text, status=416, fields={"ActualObjectSize": str(size)})
    return start, end


def _copy_source(text: str) -> tuple[str, str, str]:
    """Bucket, key and version; the version is empty where none is named."""
    path, _, query = text.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise AwsError("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    return bucket, key, dict(parse_qsl(query)).get("versionId", "")


def coder(encoding: str | None) -> Any:
    """How a listing writes keys."""
    return (lambda text: quote(text, safe="/*-._~")) if encoding == "url" else (lambda text: text)


def _token(token: str | None) -> str:
    if not token:
        return ""
    try:
        return bytes.fromhex(token).decode()
    except ValueError:
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect") from None


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else str(body).encode()
