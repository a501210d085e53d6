"""From event objects to the rows of the peer's report: for each hour the largest count of each kind.

The hour comes from the key alone, as at the peer; an event's own time is carried but not looked at. Repeated and
duplicated events are harmless, since the largest value counts.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.billing.ledger.model import HOUR, Gvk, Malformed
from keyless.billing.ledger.objects import EVENT_NAME

GZIP_MAGIC = b"\x1f\x8b"
TAGS = (
    ("mxp_id", "MXPID"),
    ("customresource_group", "Group"),
    ("customresource_version", "Version"),
    ("customresource_kind", "Kind"),
)


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """The largest number of resources of a kind in a control plane within ``[start, end)``."""

    start: datetime
    mxp_id: str
    gvk: Gvk
    end: datetime
    value: int


def rows(hour: datetime, end: datetime, bodies: Iterable[tuple[str, bytes]]) -> list[Row]:
    """Aggregate one hour's objects (key and body); raises ``Malformed`` that names the object."""
    largest: dict[tuple[str, Gvk], int] = {}
    for key, body in bodies:
        for event in events_untrusted(key, body):
            found = _counted(key, event)
            largest[found[0], found[1]] = max(largest.get((found[0], found[1]), 0), found[2])
    # The peer emits no row for a kind whose largest value is zero.
    return sorted(Row(hour, mxp, gvk, end, value) for (mxp, gvk), value in largest.items() if value > 0)


def events_untrusted(key: str, body: bytes) -> list[Any]:
    """The JSON array in an object, gzipped or plain. Anything cut short or trailing is refused, never passed over."""
    try:
        text = gzip.decompress(body) if body.startswith(GZIP_MAGIC) else body
        found = json.loads(text)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise Malformed(f"{key}: expected a JSON array of events, found {type(error).__name__}: {error}") from None
    if not isinstance(found, list):
        raise Malformed(f"{key}: expected a JSON array of events, found {type(found).__name__}")
    return found


def window_end(start: datetime, limit: datetime) -> datetime:
    """The end of the window that begins at ``start``, clipped at the end of the period."""
    return min(start + HOUR, limit)


def _counted(key: str, event: Any) -> tuple[str, Gvk, int]:
    folded = {str(k).lower(): v for k, v in event.items()} if isinstance(event, dict) else {}
    if folded.get("name") != EVENT_NAME:
        raise Malformed(f"{key}: expected event name {EVENT_NAME}, got {folded.get('name')}")
    tags = folded.get("tags") or {}
    for tag, label in TAGS:
        if not isinstance(tags, dict) or not tags.get(tag):
            raise Malformed(f"{key}: {label} tag is empty")
    value = folded.get("value", 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{key}: expected a number as value, found {type(value).__name__}")
    gvk = Gvk(str(tags["customresource_group"]), str(tags["customresource_version"]), str(tags["customresource_kind"]))
    return str(tags["mxp_id"]), gvk, int(value)
