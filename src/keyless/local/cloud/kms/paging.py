"""KMS's pages: ``Limit`` and ``Marker`` in, ``NextMarker`` and ``Truncated`` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyless.api.numbers import is_digits
from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError


def page(call: Call, member: str, found: Sequence[Any], *, most: int, default: int) -> dict[str, Any]:
    """The page that the call asks for, under ``member``."""
    marker = str(call.params.get("Marker") or "0")
    if not is_digits(marker):
        raise AwsError("InvalidMarkerException", "Marker is invalid")
    start, limit = int(marker), min(int(call.params.get("Limit") or default), most)
    shown = {member: list(found[start : start + limit]), "Truncated": start + limit < len(found)}
    return {**shown, "NextMarker": str(start + limit)} if shown["Truncated"] else shown
