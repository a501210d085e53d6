"""From event objects to the rows of the peer's report: for each hour the largest count of each kind.

The hour comes from the key alone, as at the peer; an event's own time is carried but not looked at. Repeated and
duplicated events are harmless, since the largest value counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.billing.ledger.events import Counts, counted_untrusted, events_of_untrusted, inflated_untrusted
from keyless.billing.ledger.model import HOUR, Gvk


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
    largest: Counts = {}
    for key, body in bodies:
        merge(largest, counted_untrusted(key, body))
    return rows_of(hour, end, largest)


def merge(largest: Counts, found: Counts) -> None:
    """Add one object's counts to those of its hour."""
    for key, value in found.items():
        if value > largest.get(key, -1):
            largest[key] = value


def rows_of(hour: datetime, end: datetime, largest: Counts) -> list[Row]:
    """An hour's rows in order. The peer emits none for a kind whose largest value is zero."""
    return [
        Row(hour, key[0], Gvk(key[1], key[2], key[3]), end, value)
        for key, value in sorted(largest.items())
        if value > 0
    ]


def events_untrusted(key: str, body: bytes) -> list[Any]:
    """The JSON array in an object, gzipped or plain; its events unchecked. Raises ``Malformed`` that names the key."""
    return events_of_untrusted(key, inflated_untrusted(key, body))


def window_end(start: datetime, limit: datetime) -> datetime:
    """The end of the window that begins at ``start``, clipped at the end of the period."""
    return min(start + HOUR, limit)
