"""Tags of objects and buckets.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.storage import Storage
from keyless.local.cloud.s3.tags import MOST_ON_BUCKETS, MOST_ON_OBJECTS, checked_tags
from keyless.local.cloud.s3.versions import Versions
from keyless.local.cloud.wire.http import HttpResponse


class Tagging:
    """Get, put and delete tags."""

    def __init__(self, storage: Storage, buckets: Buckets, objects: Objects, versions: Versions) -> None:
        self._storage = storage
        self._buckets = buckets
        self._objects = objects
        self._versions = versions

    def get_object(self, call: Call) -> dict[str, Any]:
        found = self._objects.readable(call)
        return {"TagSet": _set(found.stored.tags), **found.shown_version}

    def put_object(self, call: Call) -> dict[str, Any]:
        return self._write(call, checked_tags(_pairs(call), MOST_ON_OBJECTS))

    def delete_object(self, call: Call) -> dict[str, Any]:
        return self._write(call, {})

    def get_bucket(self, call: Call) -> dict[str, Any]:
        bucket = self._buckets.existing(call)
        if not bucket.tags:
            text = "The TagSet does not exist"
            raise AwsError("NoSuchTagSet", text, status=404, fields={"BucketName": bucket.name})
        return {"TagSet": _set(bucket.tags)}

    def put_bucket(self, call: Call) -> HttpResponse:
        tags = checked_tags(_pairs(call), MOST_ON_BUCKETS)
        self._storage.set_bucket_tags(self._buckets.existing(call).name, tags)
        return HttpResponse(204)  # as S3 answers, whatever the model says

    def delete_bucket(self, call: Call) -> None:
        self._storage.set_bucket_tags(self._buckets.existing(call).name, {})

    def _write(self, call: Call, tags: dict[str, str]) -> dict[str, Any]:
        found = self._objects.readable(call)
        self._versions.set_tags(call.params["Bucket"], found.stored, tags)
        return found.shown_version


def _pairs(call: Call) -> Sequence[tuple[str, str]]:
    return [(tag["Key"], tag["Value"]) for tag in call.params["Tagging"].get("TagSet") or ()]


def _set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
