"""GetObjectAttributes: an object's facts without its body.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.checksums import MEMBERS
from keyless.local.cloud.s3.objects import Objects, moment


class Attributes:
    """The attributes that are asked for, but ``ObjectParts``: parts are not kept once an upload is complete."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def get(self, call: Call) -> dict[str, Any]:
        wanted = set(call.params.get("ObjectAttributes") or ())
        if not wanted:
            raise AwsError("InvalidArgument", "Invalid attribute name specified.", status=400)
        stored = self._objects.readable(call)
        checksums = {name: stored.described[name] for name in MEMBERS if name in stored.described}
        everything = {
            "ETag": stored.etag.strip('"'),
            "Checksum": checksums or None,
            "ObjectSize": stored.size,
            "StorageClass": "STANDARD",
        }
        found = {name: value for name, value in everything.items() if name in wanted}
        return {"LastModified": moment(stored.modified), **self._objects.shown_version(call, stored), **found}
