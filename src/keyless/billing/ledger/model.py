"""The values that usage is made of.

Times are aware UTC datetimes; intervals are half open, ``[start, end)``. A *segment* is what a collector recorded
between two uploads, all within one UTC hour; it becomes one object in the bucket and one manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)


class Malformed(ValueError):
    """Bytes or a document that no collector of ours wrote; says what was expected and what was found."""


@dataclass(frozen=True, slots=True, order=True)
class Gvk:
    """A kind of managed resource, as the peer's tags name it. No part may be empty: the peer aborts on that."""

    group: str
    version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The number of managed resources of every kind at one moment. A kind that is not named was not there."""

    at: datetime
    counts: Mapping[Gvk, int]


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """An interval in which nothing was measured, and why."""

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A control plane that a collector saw in the host's API: a line of the census."""

    id: str
    group: str
    name: str
    host_namespace: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Source:
    """Whose usage a segment holds, and which run of which collector recorded it."""

    account: str
    control_plane: Member
    collector: str
    interval_seconds: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Everything recorded between two uploads.

    ``since`` is where the segment before it ended, or None where this collector knows of none.
    """

    source: Source
    sequence: int
    since: datetime | None
    samples: tuple[Sample, ...]
    gaps: tuple[Gap, ...] = ()
    census: tuple[Member, ...] = field(default=())

    @property
    def hour(self) -> datetime:
        """The UTC hour that the segment belongs to: that of its first sample."""
        return hour_of(self.samples[0].at)

    @property
    def start(self) -> datetime:
        """Where the interval that the segment accounts for begins."""
        first = self.samples[0].at
        return first if self.since is None else max(min(self.since, first), self.hour)

    @property
    def end(self) -> datetime:
        """Where it ends: the last sample."""
        return self.samples[-1].at


def hour_of(moment: datetime) -> datetime:
    """The start of the UTC hour that ``moment`` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds only where there are any: ``2026-10-31T23:10:00Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def moment_untrusted(text: object) -> datetime:
    """Read what :func:`stamp` wrote; raises ``Malformed``."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        raise Malformed(f"expected an RFC 3339 time, found {str(text)[:40]!r}") from None
    if moment.tzinfo is None:
        raise Malformed(f"expected a time with its zone, found {str(text)[:40]!r}")
    return moment.astimezone(UTC)
