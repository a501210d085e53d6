"""GetObjectAttributes: an object's facts without its body.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.conditions import moment
from keyless.local.cloud.s3.describing import PARTS, storage_class, sums
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.parts import page

_KNOWN = {"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}


class Attributes:
    """The attributes that are asked for."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def get(self, call: Call) -> dict[str, Any]:
        wanted = set(call.params.get("ObjectAttributes") or ())
        if not wanted or not wanted <= _KNOWN:
            raise AwsError("InvalidArgument", "Invalid attribute name specified.", status=400)
        found = self._objects.readable(call)
        stored = found.stored
        everything = {
            "ETag": stored.etag.strip('"'),
            "Checksum": sums(stored) or None,
            "ObjectParts": _parts(stored.described.get(PARTS), call),
            "ObjectSize": stored.size,
            "StorageClass": storage_class(stored),
        }
        told = {name: value for name, value in everything.items() if name in wanted}
        return {"LastModified": moment(stored.modified), **found.shown_version, **told}


def _parts(parts: list[dict[str, Any]] | None, call: Call) -> dict[str, Any] | None:
    """How many parts there are; which, only where the client had checksums computed, as S3 does."""
    if not parts:
        return None
    found = {"TotalPartsCount": len(parts)}
    return found | page(parts, call.params) if len(parts[0]) > 2 else found
