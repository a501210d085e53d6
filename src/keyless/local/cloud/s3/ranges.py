"""Which bytes of an object a request asks for. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: one range; several, or one that is no range, are
ignored as RFC 9110 §14.2 allows.
"""

from __future__ import annotations

import re

from keyless.local.cloud.errors import AwsError

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,40})\s*-\s*([0-9]{0,40})\s*")
_COPIED = re.compile(r"bytes=([0-9]+)-([0-9]+)")


def wanted_range(text: str, size: int) -> tuple[int, int] | None:
    """The half-open range of bytes; None: all of them. Raises InvalidRange where no byte of it is there."""
    found = _RANGE.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(size - int(found[2]), 0), size
    else:
        if found[2] and int(found[2]) < int(found[1]):
            return None
        start, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
    if start >= end:
        raise _unsatisfiable(text, size)
    return start, end


def copied_range(text: str, size: int) -> tuple[int, int]:
    """The half-open range that a part is copied from; all of the source where ``text`` is empty."""
    if not text:
        return 0, size
    found = _COPIED.fullmatch(text)
    if found is None or int(found[2]) < int(found[1]):
        said = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the"
        raise AwsError("InvalidArgument", f"{said} zero-based offsets of the first and last bytes to copy", status=400)
    if int(found[2]) >= size:
        said = f"Range specified is not valid for source object of size: {size}"
        raise AwsError("InvalidArgument", said, status=400)
    return int(found[1]), int(found[2]) + 1


def _unsatisfiable(text: str, size: int) -> AwsError:
    return AwsError(
        "InvalidRange",
        "The requested range is not satisfiable",
        status=416,
        fields={"RangeRequested": text, "ActualObjectSize": str(size)},
        headers={"content-range": f"bytes */{size}"},
    )
