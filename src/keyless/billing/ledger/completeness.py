"""What a period's manifests prove: which stretches of which control planes are accounted for, and which are not.

The census is the union of the control planes that any collector saw in the host's API. A member owes usage for its
life: from its creation, or from when it was billed, to its deletion. What the intervals of its manifests leave open is
missing, unless somebody waived it, or the control plane was paused.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyless.billing.ledger.manifests import Covered, Joined, Life, Unmeasured, manifest_untrusted
from keyless.billing.ledger.model import Gvk, Member
from keyless.billing.ledger.waivers import Waiver

NO_MANIFEST = "NoManifest"
NOT_COVERED = "NotCovered"

__all__ = ["NOT_COVERED", "NO_MANIFEST", "Coverage", "Missing", "manifest_untrusted", "missing", "paused", "without"]

Interval = tuple[datetime, datetime]
PAUSE_EDGE = timedelta(minutes=2)
"""A collector ends before the API server that it counts in and begins after it: so much beside a pause is its own."""


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """A stretch of a control plane's life for which the bucket holds no usage, of some kinds or (none named) of all."""

    control_plane: Member
    start: datetime
    end: datetime
    reason: str
    kinds: tuple[Gvk, ...] = ()


class Coverage:
    """What manifests account for, told of one after another: memory grows with what is missing, not with time."""

    def __init__(self) -> None:
        self._joined = Joined()
        self._planes: dict[str, _Plane] = {}

    @property
    def lives(self) -> dict[str, Life]:
        """Every control plane that was named, by id."""
        return self._joined.lives

    def add(self, covered: Covered) -> None:
        """Count a manifest in."""
        self._joined.add(covered)
        plane = self._planes.get(covered.control_plane.id)
        if plane is None:
            plane = self._planes[covered.control_plane.id] = _Plane()
        plane.add(covered)

    def missing(self, period: Interval, waivers: Sequence[Waiver] = ()) -> list[Missing]:
        """What is neither accounted for nor waived within ``period`` (end exclusive; the caller cuts it off at now)."""
        result: list[Missing] = []
        for plane_id, life in self.lives.items():
            owed = life.within(period)
            if owed[0] >= owed[1]:
                continue
            waived = [(w.start, w.end) for w in waivers if w.control_plane == plane_id and w.start and w.end]
            result += _owed(life, owed, self._planes.get(plane_id) or _Plane(), waived)
        return sorted(result, key=lambda m: (m.control_plane.id, m.start, m.end, m.reason, m.kinds))


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class _Plane:
    """What one control plane's manifests account for."""

    def __init__(self) -> None:
        self.slack = timedelta(0)
        self.measured: list[Interval] = []
        self.gaps: list[Unmeasured] = []
        self.manifests = 0

    def add(self, covered: Covered) -> None:
        self.manifests += 1
        self.slack = max(self.slack, covered.slack)
        self.gaps += covered.gaps
        for part in _measured(covered):
            self._join(part)

    def _join(self, part: Interval) -> None:
        # Manifests mostly come in order; what lies as near as two samples may is one stretch, as it is to who reads it.
        at = bisect_left(self.measured, part)
        while at > 0 and part[0] - self.measured[at - 1][1] <= self.slack:
            at -= 1
            found = self.measured.pop(at)
            part = min(found[0], part[0]), max(found[1], part[1])
        while at < len(self.measured) and self.measured[at][0] - part[1] <= self.slack:
            found = self.measured.pop(at)
            part = min(found[0], part[0]), max(found[1], part[1])
        self.measured.insert(at, part)


def missing(period: Interval, found: Iterable[Covered], waivers: Sequence[Waiver] = ()) -> list[Missing]:
    """:meth:`Coverage.missing` of all of ``found``."""
    coverage = Coverage()
    for covered in found:
        coverage.add(covered)
    return coverage.missing(period, waivers)


def _owed(life: Life, owed: Interval, own: _Plane, waived: Sequence[Interval]) -> list[Missing]:
    plane, slack = life.control_plane, own.slack
    settled = [*waived, *paused(life, own.measured, slack)]
    gaps = sorted(own.gaps, key=lambda gap: (gap.start, gap.end))
    found = [
        Missing(plane, *part, _reason(life, gaps, *part, known=own.manifests > 0))
        for open_ in without(owed, own.measured)
        if open_[1] - open_[0] > slack
        # What a waiver leaves of a stretch is as short as two samples may lie apart, or it is missing.
        for part in without(open_, settled)
        if part[1] - part[0] > slack
    ]
    for gap in (gap for gap in gaps if gap.kinds):
        start, end = max(gap.start, owed[0]), min(gap.end, owed[1])
        parts = without((start, end), waived) if start < end else []
        found += [Missing(plane, *part, gap.reason, gap.kinds) for part in parts if part[1] - part[0] > slack]
    return found


def _measured(covered: Covered) -> list[Interval]:
    """The interval of a manifest, less what it says was not measured."""
    gaps = [(gap.start, gap.end) for gap in covered.gaps if not gap.kinds]
    whole = (covered.start, covered.end)
    return without(whole, gaps) if gaps else [whole] if whole[0] < whole[1] else []


def paused(life: Life, measured: Sequence[Interval], slack: timedelta) -> list[Interval]:
    """When the control plane did not run, as far as anybody who knows told of it.

    A pause of which no end is known goes on, unless a later one ended or something was measured since: then it was
    given up before it began, and what is open beside it is missing.
    """
    ended = [pause for pause in life.pauses if pause.end is not None]
    latest = max((end for _, end in measured), default=_FIRST)
    return [
        (pause.start - PAUSE_EDGE, _LAST if pause.end is None else pause.end + PAUSE_EDGE)
        for pause in life.pauses
        if pause.end is not None
        or (latest <= pause.start + slack and all(other.start < pause.start for other in ended))
    ]


def without(interval: Interval, taken: Iterable[Interval]) -> list[Interval]:
    """What is left of ``interval`` outside all of ``taken``."""
    left, at = [], interval[0]
    for start, end in sorted(taken):
        if start > at:
            left.append((at, min(start, interval[1])))
        at = max(at, end)
        if at >= interval[1]:
            return [part for part in left if part[0] < part[1]]
    return [part for part in (*left, (at, interval[1])) if part[0] < part[1]]


def _reason(life: Life, gaps: list[Unmeasured], start: datetime, end: datetime, *, known: bool) -> str:
    """The collector's own word for a gap that it recorded there, else that nothing covers it."""
    for gap in (*life.lost, *(gap for gap in gaps if not gap.kinds)):
        if gap.start < end and start < gap.end:
            return gap.reason
    return NOT_COVERED if known else NO_MANIFEST
