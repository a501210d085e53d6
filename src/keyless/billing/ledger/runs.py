"""From samples to events, in one pass: memory grows with the number of kinds, not with time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyless.billing.ledger.model import HOUR, Gap, Gvk, Malformed, Sample, Unknown, hour_of


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """A stretch of samples in which a kind's number stayed the same, zero included."""

    gvk: Gvk
    start: datetime
    end: datetime
    value: int


class Runs:
    """Fed with the samples of one segment, in order; they lie within one hour."""

    def __init__(self, since: datetime | None, interval: timedelta) -> None:
        self.samples = 0
        self.intervals_sampled = 0
        """How many of the hour's intervals hold a sample."""
        self.longest = timedelta()
        """Between two samples."""
        self._since = since
        self._interval = interval
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._open: dict[Gvk, tuple[datetime, int]] = {}
        self._unknown: dict[Gvk, Unknown] = {}
        self._gaps: dict[tuple[datetime, datetime, str], set[Gvk]] = {}

    @property
    def hour(self) -> datetime:
        """The UTC hour of the segment: that of its first sample."""
        assert self._first is not None, "a segment without samples has no hour"
        return hour_of(self._first)

    @property
    def start(self) -> datetime:
        """Where the interval that the segment accounts for begins."""
        assert self._first is not None, "a segment without samples has no start"
        return self._first if self._since is None else max(min(self._since, self._first), self.hour)

    @property
    def end(self) -> datetime:
        """Where it ends: the last sample."""
        assert self._last is not None, "a segment without samples has no end"
        return self._last

    @property
    def intervals(self) -> int:
        """How many of the hour's intervals the segment touches."""
        return self._index(self.end) - self._index(self.start) + 1

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Kinds that could not be counted, once :meth:`finish` was read to its end."""
        return tuple(Gap(*place, kinds=tuple(sorted(kinds))) for place, kinds in sorted(self._gaps.items()))

    def add(self, sample: Sample) -> Iterator[Run]:
        """The runs that end with this sample. Raises ``Malformed`` where samples are out of order or of two hours."""
        before = self._last
        if before is not None and not before <= sample.at <= self.hour + HOUR:
            raise Malformed(f"expected samples of one hour in order, found {sample.at} after {before}")
        self._count(sample.at)
        yield from self._peaks(sample, before or self.start)
        for gvk in sorted(sample.unknown.keys() - self._unknown.keys()):
            if gvk in self._open and before is not None:
                start, value = self._open.pop(gvk)
                yield Run(gvk, start, before, value)
            self._unknown[gvk] = sample.unknown[gvk]
        for gvk in sorted(self._unknown.keys() - sample.unknown.keys()):
            self._note_gap(gvk, self._unknown.pop(gvk), sample.at)
            self._open[gvk] = (sample.at, sample.counts.get(gvk, 0))
        yield from self._changes(sample)

    def finish(self) -> Iterator[Run]:
        """The runs that end with the segment."""
        for gvk, (start, value) in sorted(self._open.items()):
            yield Run(gvk, start, self.end, value)
        for gvk, why in self._unknown.items():
            self._note_gap(gvk, why, self.end)
        self._open, self._unknown = {}, {}

    def _changes(self, sample: Sample) -> Iterator[Run]:
        new = [gvk for gvk in sample.counts if gvk not in self._open and gvk not in self._unknown]
        for gvk in sorted(new):
            # It appears now: until now there was none, as every earlier sample said by not naming it.
            if self._first is not None and self._first < sample.at:
                yield Run(gvk, self._first, sample.at, 0)
            self._open[gvk] = (sample.at, sample.counts[gvk])
        for gvk, (start, value) in sorted(self._open.items()):
            found = sample.counts.get(gvk, 0)
            if found != value:
                yield Run(gvk, start, sample.at, value)
                self._open[gvk] = (sample.at, found)

    def _peaks(self, sample: Sample, since: datetime) -> Iterator[Run]:
        for gvk, value in sorted(sample.peaks.items()):
            yield Run(gvk, since, sample.at, value)

    def _count(self, at: datetime) -> None:
        if self._first is None:
            self._first = at
        if self._last is not None:
            self.longest = max(self.longest, at - self._last)
        if self._last is None or self._index(at) != self._index(self._last):
            self.intervals_sampled += 1
        self._last = at
        self.samples += 1

    def _note_gap(self, gvk: Gvk, why: Unknown, end: datetime) -> None:
        start = max(why.since, self.start)
        if start < end:
            self._gaps.setdefault((start, end, why.reason), set()).add(gvk)

    def _index(self, at: datetime) -> int:
        return int((at - self.hour) / self._interval)
