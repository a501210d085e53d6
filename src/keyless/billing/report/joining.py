"""Segments of a control plane's hour become its uses: joined, and told apart by the revision that brought them.

The hour's maximum of a kind is that of the segment with the most, as the peer takes the largest event; its combinations
share it. Times of segments add up; where two segments overlap (two pods at once), the later one counts for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from keyless.billing.ledger.completeness import without
from keyless.billing.ledger.corrections import FIRST, Closing, hour_closing, revisions
from keyless.billing.ledger.events import Counts
from keyless.billing.ledger.manifests import Covered
from keyless.billing.ledger.meter_file import NUMBERS
from keyless.billing.ledger.meter_reading import MeterFile, row_untrusted
from keyless.billing.ledger.metered import COLUMNS
from keyless.billing.ledger.model import HOUR, Dimensions, Gvk, Malformed, Meter
from keyless.billing.report.model import HOUR_MS, Plane, Use, What

Kind = tuple[Meter, Gvk]
Knows = Callable[[Covered], bool]
BEFORE = 0
"""The revision of what an earlier report told already, whatever it was there."""
Content = MeterFile | Counts | None
Found = tuple[What, int, int, int]
"""How many at the kind's peak, for how many milliseconds, and how many made."""
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Told:
    """What segments say of themselves; filled while uses are made of them."""

    without_dimensions: int = 0
    limited: int = 0
    closing: Closing = hour_closing
    known: Knows | None = None
    """What an earlier report was made from; of it uses have the revision :data:`BEFORE`."""

    def numbers(self, hour: datetime, segments: list[Covered]) -> list[int]:
        """The revision of each segment of an hour."""
        found = revisions(hour, segments, self.closing)
        known = self.known
        if known is None:
            return found
        return [BEFORE if known(each) else number for each, number in zip(segments, found, strict=True)]


def hour_uses(
    hour: datetime, segments: list[tuple[Covered, Content]], told: Told, catalogue: Catalogue
) -> Iterator[Use]:
    """One control plane's hour, and what its later revisions changed of it."""
    numbers = told.numbers(hour, [covered for covered, _ in segments])
    if set(numbers) == {FIRST}:
        yield from _uses(hour, segments, told, catalogue)
        return
    before: dict[What, Use] = {}
    for number in sorted(set(numbers)):
        until = [each for each, revision in zip(segments, numbers, strict=True) if revision <= number]
        # What is told of segments is told once, with all of them.
        said = told if number == max(numbers) else Told()
        after = {use.what: use for use in _uses(hour, until, said, catalogue)} if until else {}
        for what in dict.fromkeys((*before, *after)):
            change = _change(before.get(what), after.get(what), number)
            if change is not None:
                yield change
        before = after


def _change(before: Use | None, after: Use | None, revision: int) -> Use | None:
    known = after or before
    assert known is not None, "one of the two names it"
    was, is_ = ((u.maximum, u.milliseconds, u.created) if u else (0, 0, 0) for u in (before, after))
    if was == is_:
        return None
    maximum, milliseconds, created = (b - a for a, b in zip(was, is_, strict=True))
    return Use(known.hour, known.what, maximum, milliseconds, created, revision)


def _uses(hour: datetime, segments: list[tuple[Covered, Content]], told: Told, catalogue: Catalogue) -> Iterator[Use]:
    whole = [(covered, content) for covered, content in segments if content is not None]
    if len(whole) == 1:
        for what, at_peak, milliseconds, created in _rows(*whole[0], told, catalogue):
            yield Use(hour, what, at_peak, milliseconds, created)
    else:
        yield from _joined(hour, [(c, list(_rows(c, content, told, catalogue))) for c, content in whole])
    yield from _own(hour, segments, catalogue)


def _joined(hour: datetime, segments: list[tuple[Covered, list[Found]]]) -> Iterator[Use]:
    """Several segments: of each kind the peak of one of them, the time of all."""
    best: dict[Kind, tuple[int, list[tuple[What, int]]]] = {}
    sums: dict[What, list[int]] = {}
    taken: list[tuple[datetime, datetime]] = []
    for covered, rows in segments:
        share = _share(covered, taken)
        kinds: dict[Kind, list[tuple[What, int]]] = {}
        for what, at_peak, milliseconds, created in rows:
            assert what.dimensions is not None, "a segment's rows are of resources"
            kinds.setdefault((what.dimensions.meter, what.dimensions.gvk), []).append((what, at_peak))
            found = sums.setdefault(what, [0, 0])
            found[0] += milliseconds if share == 1 else int(milliseconds * share)
            found[1] += created
        for kind, counts in kinds.items():
            most = sum(count for _, count in counts)
            if most > best.get(kind, (0, []))[0]:
                best[kind] = (most, counts)
    peaks: Counter[What] = Counter()
    for _, counts in best.values():
        for what, count in counts:
            peaks[what] += count
    for what, (milliseconds, created) in sums.items():
        if peaks[what] or milliseconds or created:
            yield Use(hour, what, peaks[what], milliseconds, created)


def _own(hour: datetime, segments: list[tuple[Covered, Content]], catalogue: Catalogue) -> Iterator[Use]:
    """The control plane's own time: what its manifests cover, less what nobody measured."""
    parts = [
        part
        for covered, _ in segments
        for part in without((covered.start, covered.end), [(g.start, g.end) for g in covered.gaps if not g.kinds])
    ]
    open_ = sum(round((end - start) / _MILLISECOND) for start, end in without((hour, hour + HOUR), parts))
    measured = HOUR_MS - open_
    content = next((each for _, each in reversed(segments) if isinstance(each, MeterFile)), None)
    if measured > 0:
        yield Use(hour, catalogue.plane(_plane(segments[-1][0], content)), 1, measured)


def _share(covered: Covered, taken: list[tuple[datetime, datetime]]) -> Fraction:
    """The part of a segment's time that no segment before it has counted."""
    whole = (covered.start, covered.end)
    length = round((whole[1] - whole[0]) / _MILLISECOND)
    free = sum(round((end - start) / _MILLISECOND) for start, end in without(whole, taken))
    taken.append(whole)
    return Fraction(free, length) if length else Fraction(1)


def _plane(covered: Covered, content: MeterFile | None) -> Plane:
    own = covered.control_plane
    labels = tuple(sorted(content.plane.items())) if content is not None else ()
    return Plane(own.id, own.group, own.name, labels, covered.account)


def _rows(covered: Covered, content: MeterFile | Counts, told: Told, catalogue: Catalogue) -> Iterator[Found]:
    if not isinstance(content, MeterFile):
        # Stored before dimensions were: how many is known, neither whose they are nor for how long.
        told.without_dimensions += 1
        known = catalogue.of(_plane(covered, None), ())
        for (_, group, version, kind), count in content.items():
            yield known.undescribed(Gvk(group, version, kind)), count, 0, 0
        return
    told.limited += content.limited
    known = catalogue.of(_plane(covered, content), content.labels)
    for row in content.raw:
        yield known.what(row), row[_AT_PEAK], row[_MILLISECONDS], row[_CREATED]


_AT_PEAK, _MILLISECONDS, _CREATED = (len(COLUMNS) + NUMBERS.index(n) for n in ("atPeak", "milliseconds", "created"))


@dataclass(slots=True)
class _Known:
    """The combinations of one control plane, with its labels as they were for a while."""

    plane: Plane
    labels: tuple[str, ...]
    found: dict[object, What] = field(default_factory=dict)

    def what(self, row: list[Any]) -> What:
        key = (*row[:10], *row[10], row[11])
        try:
            found = self.found.get(key)
        except TypeError:
            raise Malformed(f"rows: expected texts, found {row[:12]!r:.200}") from None
        if found is None:
            dimensions, _ = row_untrusted(row)
            pairs = tuple(zip(self.labels, dimensions.labels, strict=False))
            found = self.found[key] = What(self.plane, dimensions, pairs)
        return found

    def undescribed(self, gvk: Gvk) -> What:
        found = self.found.get(gvk)
        if found is None:
            found = self.found[gvk] = What(self.plane, Dimensions(Meter.MANAGED, gvk))
        return found


@dataclass(slots=True)
class Catalogue:
    """One object for each combination that a period names."""

    known: dict[tuple[Plane, tuple[str, ...]], _Known] = field(default_factory=dict)
    planes: dict[Plane, What] = field(default_factory=dict)

    def of(self, plane: Plane, labels: tuple[str, ...]) -> _Known:
        """Those of a control plane."""
        found = self.known.get((plane, labels))
        if found is None:
            found = self.known[plane, labels] = _Known(plane, labels)
        return found

    def plane(self, plane: Plane) -> What:
        """The control plane itself."""
        return self.planes.setdefault(plane, What(plane, None))
