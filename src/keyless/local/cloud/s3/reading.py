"""GetObject and HeadObject: conditions, ranges, parts, and the headers of the answer.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.conditions import must_be_wanted
from keyless.local.cloud.s3.describing import PARTS, must_be_at_hand, overrides, shown
from keyless.local.cloud.s3.objects import Found, Objects
from keyless.local.cloud.s3.parts import part_range
from keyless.local.cloud.s3.ranges import wanted_range


@dataclass(frozen=True, slots=True)
class Read:
    """What a read answers: the status (200 or 206), the members, and which bytes of the body."""

    status: int
    result: dict[str, Any]
    found: Found
    start: int
    end: int


class Reading:
    """Reads of objects."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def head(self, call: Call) -> tuple[int, dict[str, Any]]:
        """The status (200 or 206) and the result."""
        read = self._read(call)
        if call.params.get("ChecksumMode") == "ENABLED":
            # A checksum tells of the content: it takes the key.
            self._objects.must_open(call, read.found)
        return read.status, read.result

    def get(self, call: Call) -> tuple[int, dict[str, Any]]:
        """The status (200 or 206) and the result."""
        read = self._read(call)
        must_be_at_hand(read.found.stored)
        body = self._objects.body(call, read.found.bucket.name, read.found.stored)
        return read.status, read.result | {"Body": body if read.status == 200 else body[read.start : read.end]}

    def _read(self, call: Call) -> Read:
        found, params = self._objects.readable(call), call.params
        stored = found.stored
        must_be_wanted(params, stored)
        more = overrides(params, anonymous=call.caller.kind == "Anonymous")
        result = shown(stored, checksums=params.get("ChecksumMode") == "ENABLED")
        result |= found.shown_version | more
        parts = stored.described.get(PARTS, ())
        if number := params.get("PartNumber"):
            if params.get("Range"):
                text = "Cannot specify both Range header and partNumber query parameter"
                raise AwsError("InvalidRequest", text, status=400)
            span: tuple[int, int] | None = part_range(parts, int(number), stored.size)
            if parts:
                result["PartsCount"] = len(parts)
        else:
            span = wanted_range(params.get("Range") or "", stored.size)
        if span is None:
            return Read(200, result, found, 0, stored.size)
        start, end = span
        if end - start < stored.size:
            # A checksum is of the whole object; beside a part of it clients would take it for the part's.
            result = {k: v for k, v in result.items() if not k.startswith("Checksum")}
        result |= {"ContentLength": end - start, "ContentRange": f"bytes {start}-{end - 1}/{stored.size}"}
        return Read(206, result, found, start, end)
