"""What was stored after its hour was closed: revisions of the hour, each shown as what it changed. Pure.

An hour is closed a quarter of an hour after its end: from then on a report may have told of it. What a collector stores
later (S3 was away, a spool was found) never changes it silently: it is the hour's second revision, and so on. Which is
late is told by S3's own time in the receipts of a manifest; of a manifest without receipts nobody knows, and it is not
called late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from keyless.billing.ledger.manifests import Covered
from keyless.billing.ledger.model import HOUR, Member, hour_of

# How much later than its end an hour's last upload may come before the hour counts as closed.
GRACE = timedelta(minutes=15)
FIRST = 1
"""The revision of what was there when the hour was closed."""
Closing = Callable[[datetime], datetime]
"""From the start of an hour to when it is closed."""


@dataclass(frozen=True, slots=True, order=True)
class Correction:
    """One revision of a control plane's hour: how many segments came with it, and when they were stored."""

    hour: datetime
    control_plane: Member
    revision: int
    first_stored_at: datetime
    stored_at: datetime
    segments: int

    @property
    def place(self) -> tuple[str, datetime, int]:
        """Control plane, hour and number."""
        return self.control_plane.id, self.hour, self.revision


def closed_until(newest: datetime) -> datetime:
    """The watermark: hours up to here are closed where somebody has stored usage up to ``newest``."""
    return hour_of(newest - GRACE)


def hour_closing(hour: datetime) -> datetime:
    """When an hour is closed for reports from day to day."""
    return hour + HOUR + GRACE


def revisions(hour: datetime, segments: Sequence[Covered], closing: Closing = hour_closing) -> list[int]:
    """The revision of each segment of one control plane's hour.

    Late ones that were stored within a quarter of an hour are one: a spool that is emptied is one correction.
    """
    if not any(each.receipts for each in segments):
        return [FIRST] * len(segments)
    closes = closing(hour)
    late = sorted({at for each in segments if (at := each.stored_at) is not None and at > closes})
    number: dict[datetime, int] = {}
    begun, current = None, FIRST
    for at in late:
        if begun is None or at - begun > GRACE:
            begun, current = at, current + 1
        number[at] = current
    return [number.get(each.stored_at, FIRST) if each.stored_at else FIRST for each in segments]


def by_manifest(manifests: Iterable[Covered], closing: Closing = hour_closing) -> dict[str, int]:
    """The revisions that are not the first, by the SHA-256 of the manifest."""
    found: dict[str, int] = {}
    for hour, segments in _by_hour(manifests, closing):
        numbers = zip(segments, revisions(hour, segments, closing), strict=True)
        found |= {each.sha256: number for each, number in numbers if number != FIRST}
    return found


def corrections(manifests: Iterable[Covered], closing: Closing = hour_closing) -> tuple[Correction, ...]:
    """Every revision that is not the first."""
    found: list[Correction] = []
    for hour, segments in _by_hour(manifests, closing):
        late: dict[int, list[Covered]] = {}
        for each, number in zip(segments, revisions(hour, segments, closing), strict=True):
            if number != FIRST:
                late.setdefault(number, []).append(each)
        for number, those in late.items():
            stored = [each.stored_at for each in those if each.stored_at is not None]
            found.append(Correction(hour, those[-1].control_plane, number, min(stored), max(stored), len(those)))
    return tuple(sorted(found, key=lambda c: (c.hour, c.control_plane.id, c.revision)))


def _by_hour(manifests: Iterable[Covered], closing: Closing) -> Iterable[tuple[datetime, list[Covered]]]:
    """The hours of control planes in which something came late, in order: of hundreds of thousands, mostly none."""

    def place(covered: Covered) -> tuple[datetime, str]:
        return hour_of(covered.start), covered.control_plane.id

    every = list(manifests)
    stored = [(each, each.stored_at) for each in every if each.receipts]
    late = {place(each) for each, at in stored if at is not None and at > closing(hour_of(each.start))}
    if not late:
        return
    those = [each for each in every if place(each) in late]
    for (hour, _), group in groupby(sorted(those, key=place), key=place):
        yield hour, list(group)
