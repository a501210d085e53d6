"""DeleteObject and DeleteObjects: conditions, locks, versions and markers.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.conditions import must_match
from keyless.local.cloud.s3.locks import must_be_deletable
from keyless.local.cloud.s3.objects import checked_key, checked_version, shown_id
from keyless.local.cloud.s3.storage import Bucket, Storage
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.versions import Removed, Versions

_MOST_AT_ONCE = 1000


class Deleting:
    """Deletes of objects and of their versions."""

    def __init__(self, storage: Storage, buckets: Buckets, targets: Targets, versions: Versions) -> None:
        self._storage = storage
        self._buckets = buckets
        self._targets = targets
        self._versions = versions

    def delete(self, call: Call) -> dict[str, Any]:
        bucket, key = self._buckets.existing(call), checked_key(call)
        return _told(self._remove(call, bucket, key, call.params.get("VersionId") or "", call.params.get("IfMatch")))

    def _remove(self, call: Call, bucket: Bucket, key: str, version: str, etag: str | None) -> Removed:
        if etag:
            must_match(etag, key, self._storage.object(bucket.name, key))
        if not version:
            return self._versions.delete(bucket, key, call.now)
        checked_version(version)
        if found := self._versions.find(bucket.name, key, version):
            must_be_deletable(found[0], call, self._targets)
        return self._versions.delete_version(bucket.name, key, version)

    def delete_many(self, call: Call) -> dict[str, Any]:
        bucket, asked = self._buckets.existing(call), call.params["Delete"]
        if not 0 < len(asked["Objects"]) <= _MOST_AT_ONCE:
            text = "The XML you provided was not well-formed or did not validate against our published schema"
            raise AwsError("MalformedXML", text, status=400)
        # The batch itself is nobody's to refuse: a caller without a right gets an error for each key.
        deleted, errors = [], []
        for item in asked["Objects"]:
            key, version = item["Key"], item.get("VersionId") or ""
            named = {"Key": key, **({"VersionId": version} if version else {})}
            try:
                action = "DeleteObjectVersion" if version else "DeleteObject"
                call.authorise(self._targets.object(call, action, bucket.name, key))
                removed = self._remove(call, bucket, key, version, item.get("ETag"))
            except AwsError as error:
                errors.append(named | {"Code": error.code, "Message": error.message})
                continue
            deleted.append({"Key": key, **_told_of_many(removed, version)})
        return {"Deleted": [] if asked.get("Quiet") else deleted, "Errors": errors}


def _told(removed: Removed) -> dict[str, Any]:
    return {**shown_id(removed.version), **({"DeleteMarker": True} if removed.marker else {})}


def _told_of_many(removed: Removed, named: str) -> dict[str, Any]:
    found: dict[str, Any] = {"VersionId": named} if named else {}
    return found | ({"DeleteMarker": True, "DeleteMarkerVersionId": removed.version} if removed.marker else {})
