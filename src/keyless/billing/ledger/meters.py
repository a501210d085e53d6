"""From the dimensions of a segment's samples to the rows of its meter object: one for each combination. Pure.

What the events count and no combination accounts for is a row without dimensions: the sums are equal whatever was not
known, and after a spoilt frame too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyless.billing.ledger.model import Described, Dimensions, Gvk, Measure, Meter, Metered, Sample

Kind = tuple[Meter, Gvk]
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Row:
    """One combination within one segment.

    ``at_peak`` is how many there were when there were most of the *kind*, so that rows of any grouping add up to the
    number that the events tell; ``most`` is the most of this combination alone.
    """

    at_peak: int = 0
    most: int = 0
    milliseconds: int = 0
    created: int = 0


@dataclass(slots=True)
class _Of:
    """One kind: its combinations now, since when each, and how they were when there were most."""

    counts: dict[Dimensions, int] = field(default_factory=dict)
    since: dict[Dimensions, datetime] = field(default_factory=dict)
    known: bool = True
    known_from: datetime | None = None
    """The sample at which it was known again."""
    total: int = 0
    best: int = 0
    peak: dict[Dimensions, int] = field(default_factory=dict)


class Meters:
    """Fed with the samples of one segment and their dimensions, in order."""

    def __init__(self) -> None:
        self.described = Described()
        self.unmeasured: dict[Kind, int] = {}
        """Kinds that could not be counted for a while, with the milliseconds of it."""
        self.any = False
        """Whether dimensions were recorded at all."""
        self._kinds: dict[Kind, _Of] = {}
        self._rows: dict[Dimensions, Row] = {}
        self._numbers: dict[int, Dimensions] = {}
        self._last: datetime | None = None
        self._start: datetime | None = None
        self._pending: Sample | None = None
        self._suspended_at: datetime | None = None

    def sample(self, sample: Sample, start: datetime) -> None:
        """The numbers that the events tell; ``start`` is where the segment begins."""
        self._settle()
        self._start, self._pending = start, sample

    def metered(self, metered: Metered) -> None:
        """The dimensions of the sample before."""
        if self._pending is None or self._pending.at != metered.at:
            return
        self.any = True
        if metered.whole:
            self._numbers = {}
        self._numbers.update(metered.new)
        self._suspend({*metered.unknown, *((Meter.MANAGED, gvk) for gvk in self._pending.unknown)}, metered.at)
        # A number without a meaning was told in a frame that is spoilt; the next whole frame tells all anew.
        rows = {self._numbers[n]: measure for n, measure in metered.rows.items() if n in self._numbers}
        if metered.whole:
            gone = [d for kind in self._kinds.values() for d in kind.counts if d not in rows]
            for dimensions in gone:
                self._set(dimensions, 0, metered.at)
        for dimensions, measure in rows.items():
            self._change(dimensions, measure, metered.at, whole=metered.whole)
        for peak in metered.peaks:
            self._peak({self._numbers[n]: count for n, count in peak.items() if n in self._numbers})
        self._settle()

    def finish(self) -> Iterator[tuple[Dimensions, Row]]:
        """The rows, in order, but for those that stand for nothing."""
        self._settle()
        if self._last is not None:
            for kind in self._kinds.values():
                for dimensions in kind.counts:
                    self._accrue(kind, dimensions, self._last)
        for kind in self._kinds.values():
            for dimensions, count in kind.peak.items():
                self._row(dimensions).at_peak = count
        for dimensions in sorted(self._rows, key=order):
            row = self._rows[dimensions]
            if row.most or row.at_peak or row.milliseconds or row.created:
                yield dimensions, row

    def _settle(self) -> None:
        """What a sample says counts, whatever its dimensions said or failed to say."""
        sample, self._pending = self._pending, None
        if sample is None:
            return
        unknown = {(Meter.MANAGED, gvk) for gvk in sample.unknown}
        others = {key for key, kind in self._kinds.items() if not kind.known and key[0] is not Meter.MANAGED}
        self._suspend(unknown | others, sample.at)
        known = {gvk for meter, gvk in self._kinds if meter is Meter.MANAGED}
        for gvk in sample.counts.keys() | known:
            if gvk not in sample.unknown:
                self._agree(gvk, sample.counts.get(gvk, 0), sample.at)
        for kind in self._kinds.values():
            if kind.known and kind.total > kind.best:
                kind.best, kind.peak = kind.total, dict(kind.counts)
        for gvk, most in sample.peaks.items():
            kind, rest = self._kind((Meter.MANAGED, gvk)), Dimensions(Meter.MANAGED, gvk)
            if most > kind.best:
                kind.peak = kind.peak | {rest: kind.peak.get(rest, 0) + most - kind.best}
                kind.best = most
        self._last = sample.at

    def _agree(self, gvk: Gvk, expected: int, at: datetime) -> None:
        """Make the combinations of a kind add up to its number."""
        kind, rest = self._kind((Meter.MANAGED, gvk)), Dimensions(Meter.MANAGED, gvk)
        if kind.total == expected:
            return
        told = kind.total - kind.counts.get(rest, 0)
        if told > expected:
            # Something was missed: which of them went, nobody knows.
            for dimensions in list(kind.counts):
                self._set(dimensions, 0, at)
            told = 0
        self._set(rest, expected - told, at)

    def _change(self, dimensions: Dimensions, measure: Measure, at: datetime, *, whole: bool) -> None:
        kind, row = self._kind((dimensions.meter, dimensions.gvk)), self._row(dimensions)
        before = self._last or self._start or at
        if whole:
            # Nothing is known of the number before: of a whole frame, ``extra_ms`` is told against the new one.
            if dimensions in kind.counts:
                self._accrue(kind, dimensions, before)
                kind.since[dimensions] = at
            if self._counts_at(kind, at):
                row.milliseconds += measure.count * _milliseconds(before, at)
        else:
            self._accrue(kind, dimensions, at)
        if self._counts_at(kind, at) and (self._last is not None or whole):
            row.milliseconds = max(row.milliseconds + measure.extra_ms, 0)
        row.created += measure.created
        self._put(kind, dimensions, measure.count, at)

    def _set(self, dimensions: Dimensions, count: int, at: datetime) -> None:
        kind = self._kind((dimensions.meter, dimensions.gvk))
        self._accrue(kind, dimensions, at)
        # Up to the first sample there was what it shows: it joins on to the segment before.
        self._put(kind, dimensions, count, at if self._last is not None else self._start or at)

    def _put(self, kind: _Of, dimensions: Dimensions, count: int, since: datetime) -> None:
        kind.total += count - kind.counts.pop(dimensions, 0)
        kind.since.pop(dimensions, None)
        if count > 0:
            kind.counts[dimensions], kind.since[dimensions] = count, since
            row = self._row(dimensions)
            row.most = max(row.most, count)

    def _peak(self, peak: Mapping[Dimensions, int]) -> None:
        for dimensions in list(peak)[:1]:
            kind, total = self._kind((dimensions.meter, dimensions.gvk)), sum(peak.values())
            seen = self._pending.peaks if self._pending is not None else {}
            if dimensions.meter is Meter.MANAGED and seen.get(dimensions.gvk) != total:
                # It was in the hour after, or the events do not tell it.
                return
            if total > kind.best:
                kind.best, kind.peak = total, dict(peak)
            for each, count in peak.items():
                row = self._row(each)
                row.most = max(row.most, count)

    def _suspend(self, unknown: set[Kind], at: datetime) -> None:
        """Time in which a kind was not known counts for nothing, from the last sample at which it was."""
        if self._suspended_at == at:
            return
        self._suspended_at, before = at, self._last or self._start or at
        for key in unknown:
            kind = self._kind(key)
            if kind.known:
                for dimensions in kind.counts:
                    self._accrue(kind, dimensions, before)
            kind.known = False
            self.unmeasured[key] = self.unmeasured.get(key, 0) + _milliseconds(before, at)
        for key, kind in self._kinds.items():
            if not kind.known and key not in unknown:
                self.unmeasured[key] = self.unmeasured.get(key, 0) + _milliseconds(before, at)
                kind.known, kind.known_from = True, at
                kind.since = dict.fromkeys(kind.counts, at)

    def _counts_at(self, kind: _Of, at: datetime) -> bool:
        """Whether the time up to this sample was measured."""
        return kind.known and kind.known_from != at

    def _accrue(self, kind: _Of, dimensions: Dimensions, until: datetime) -> None:
        since = kind.since.get(dimensions)
        if since is not None and kind.known:
            self._row(dimensions).milliseconds += kind.counts[dimensions] * _milliseconds(since, until)
            kind.since[dimensions] = max(until, since)

    def _kind(self, key: Kind) -> _Of:
        return self._kinds.setdefault(key, _Of())

    def _row(self, dimensions: Dimensions) -> Row:
        return self._rows.setdefault(dimensions, Row())


def order(of: Dimensions) -> tuple[object, ...]:
    """Sorts dimensions: what is not known stands first."""
    names = (of.provider, of.namespace, of.composite, of.claim, of.claim_namespace, of.composition, *of.labels)
    return (of.meter.value, of.gvk, tuple((name is not None, name or "") for name in names), int(of.limited))


def _milliseconds(start: datetime, end: datetime) -> int:
    return max(round((end - start) / _MILLISECOND), 0)
