"""What a period's manifests prove: which stretches of which control planes are accounted for, and which are not.

The census is the union of the control planes that any collector saw in the host's API. A member owes usage for its
life: from its creation, or from when it was billed, to its deletion. What the intervals of its manifests leave open is
missing, unless somebody waived it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyless.billing.ledger.manifests import Covered, Life, lives, manifest_untrusted
from keyless.billing.ledger.model import Gvk, Member
from keyless.billing.ledger.waivers import Waiver

NO_MANIFEST = "NoManifest"
NOT_COVERED = "NotCovered"

__all__ = ["NOT_COVERED", "NO_MANIFEST", "Missing", "manifest_untrusted", "missing", "without"]

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """A stretch of a control plane's life for which the bucket holds no usage, of some kinds or (none named) of all."""

    control_plane: Member
    start: datetime
    end: datetime
    reason: str
    kinds: tuple[Gvk, ...] = ()


def missing(period: Interval, found: Iterable[Covered], waivers: Sequence[Waiver] = ()) -> list[Missing]:
    """What is neither accounted for nor waived within ``period`` (end exclusive; the caller cuts it off at now)."""
    by_plane: dict[str, list[Covered]] = {}
    manifests = list(found)
    for covered in manifests:
        by_plane.setdefault(covered.control_plane.id, []).append(covered)
    result: list[Missing] = []
    for plane_id, life in lives(manifests).items():
        owed = life.within(period)
        if owed[0] >= owed[1]:
            continue
        own = sorted(by_plane.get(plane_id, ()), key=lambda c: (c.start, c.end))
        waived = [(w.start, w.end) for w in waivers if w.control_plane == plane_id and w.start and w.end]
        result += _owed(life, owed, own, waived)
    return sorted(result, key=lambda m: (m.control_plane.id, m.start, m.end, m.reason, m.kinds))


def _owed(life: Life, owed: Interval, own: list[Covered], waived: Sequence[Interval]) -> list[Missing]:
    plane = life.control_plane
    slack = max((covered.slack for covered in own), default=timedelta(0))
    measured = [part for covered in own for part in _measured(covered)]
    found = [
        Missing(plane, *part, _reason(life, own, *part))
        for open_ in without(owed, measured)
        if open_[1] - open_[0] > slack
        # What a waiver leaves of a stretch is as short as two samples may lie apart, or it is missing.
        for part in without(open_, waived)
        if part[1] - part[0] > slack
    ]
    for gap in (gap for covered in own for gap in covered.gaps if gap.kinds):
        start, end = max(gap.start, owed[0]), min(gap.end, owed[1])
        parts = without((start, end), waived) if start < end else []
        found += [Missing(plane, *part, gap.reason, gap.kinds) for part in parts if part[1] - part[0] > slack]
    return found


def _measured(covered: Covered) -> list[Interval]:
    """The interval of a manifest, less what it says was not measured."""
    gaps = [(gap.start, gap.end) for gap in covered.gaps if not gap.kinds]
    return without((covered.start, covered.end), gaps)


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


def _reason(life: Life, own: list[Covered], start: datetime, end: datetime) -> str:
    """The collector's own word for a gap that it recorded there, else that nothing covers it."""
    recorded = [gap for covered in own for gap in covered.gaps if not gap.kinds]
    for gap in (*life.lost, *recorded):
        if gap.start < end and start < gap.end:
            return gap.reason
    return NOT_COVERED if own else NO_MANIFEST
