"""Operations on versioning: a bucket's setting, and the listing of all versions.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.acls import owner
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.conditions import moment
from keyless.local.cloud.s3.describing import storage_class
from keyless.local.cloud.s3.listing import common_prefix
from keyless.local.cloud.s3.listings import coder, limit_of, shown_algorithm, shown_coding
from keyless.local.cloud.s3.settings import LOCK, setting
from keyless.local.cloud.s3.storage import Storage
from keyless.local.cloud.s3.versions import Listed, Versions


class Versioning:
    """The bucket's setting and its versions."""

    def __init__(self, storage: Storage, buckets: Buckets, versions: Versions) -> None:
        self._storage = storage
        self._buckets = buckets
        self._versions = versions

    def get(self, call: Call) -> dict[str, Any]:
        status = self._buckets.existing(call).versioning
        return {"Status": status} if status else {}

    def put(self, call: Call) -> None:
        wanted = call.params["VersioningConfiguration"]
        if wanted.get("MFADelete") == "Enabled":
            raise AwsError("NotImplemented", "MFA delete is not part of this cloud's s3", status=501)
        if wanted.get("Status") not in {"Enabled", "Suspended"}:
            text = "The Versioning element must be specified"
            raise AwsError("IllegalVersioningConfigurationException", text, status=400)
        bucket = self._buckets.existing(call)
        if wanted["Status"] == "Suspended" and setting(bucket, LOCK):
            text = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            raise AwsError("InvalidBucketState", text, status=409)
        self._storage.set_versioning(bucket.name, wanted["Status"])

    def list(self, call: Call) -> dict[str, Any]:
        params, bucket = call.params, self._buckets.existing(call)
        prefix, delimiter = params.get("Prefix") or "", params.get("Delimiter") or ""
        limit = limit_of(params)
        key, version = params.get("KeyMarker") or "", params.get("VersionIdMarker") or ""
        if version and not key:
            text = "A version-id marker cannot be specified without a key marker."
            raise AwsError("InvalidArgument", text, status=400)
        coded, own = coder(params.get("EncodingType")), {"Owner": owner(call.account)}
        result: dict[str, Any] = {
            "Name": bucket.name, "Prefix": coded(prefix), "KeyMarker": coded(key), "VersionIdMarker": version,
            "MaxKeys": limit, "IsTruncated": False, "Versions": [], "DeleteMarkers": [], "CommonPrefixes": [],
        }  # fmt: skip
        result |= shown_coding(params)
        last: Listed | None = None
        folded = ""
        for count, (listed, shared) in enumerate(
            _folded(_behind(self._versions.walk(bucket.name, prefix, key), key, version), prefix, delimiter, key)
        ):
            if count >= limit:
                result["IsTruncated"] = limit > 0
                if last is None:
                    break
                result["NextKeyMarker"] = coded(folded or last.key)
                if not folded:
                    result["NextVersionIdMarker"] = last.stored.version
                break
            last, folded = listed, shared
            if shared:
                result["CommonPrefixes"].append({"Prefix": coded(shared)})
            else:
                result["DeleteMarkers" if listed.marker else "Versions"].append(_entry(listed, coded(listed.key)) | own)
        return result


def _behind(found: Iterator[Listed], key: str, version: str) -> Iterator[Listed]:
    """What comes after the markers: without a version's, the whole key is behind."""
    passed = False
    for listed in found:
        if listed.key == key:
            if version and passed:
                yield listed
            passed = passed or listed.stored.version == version
            continue
        yield listed


def _folded(found: Iterator[Listed], prefix: str, delimiter: str, marker: str) -> Iterator[tuple[Listed, str]]:
    """Each version, or the common prefix that stands for it and comes once."""
    last = marker
    for listed in found:
        shared = common_prefix(listed.key, prefix, delimiter)
        if not shared:
            yield listed, ""
        elif shared != last:
            last = shared
            yield listed, shared


def _entry(listed: Listed, key: str) -> dict[str, Any]:
    entry = {
        "Key": key,
        "VersionId": listed.stored.version,
        "IsLatest": listed.latest,
        "LastModified": moment(listed.stored.modified),
    }
    if not listed.marker:
        entry |= {"ETag": listed.stored.etag, "Size": listed.stored.size, "StorageClass": storage_class(listed.stored)}
        entry |= shown_algorithm(listed.stored)
    return entry
