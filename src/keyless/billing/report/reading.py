"""From the bucket to uses: hour by hour, each control plane's segments joined, as manifests commit them.

The hour's maximum of a kind is that of the segment with the most, as the peer takes the largest event; its combinations
share it. Times of segments add up; where two segments overlap (two pods at once), the later one counts for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import groupby
from typing import Any

from keyless.api import Refusal
from keyless.billing.export.plan import DAY, Request, nothing_found, refusal
from keyless.billing.export.reading import Readers, readers
from keyless.billing.export.service import READERS, Bucket, bodies_within, held, records_of, settled
from keyless.billing.ledger.completeness import Missing, missing, without
from keyless.billing.ledger.corrections import (
    FIRST,
    Closing,
    closed_until,
    corrections,
    hour_closing,
    revisions,
)
from keyless.billing.ledger.events import STORED_LIMIT, Counts, counted_untrusted
from keyless.billing.ledger.integrity import MALFORMED, OBJECT_MISSING, Fault, committed, content_fault
from keyless.billing.ledger.manifests import MANIFEST_LIMIT, Committed, Covered, manifest_untrusted
from keyless.billing.ledger.meter_file import NUMBERS
from keyless.billing.ledger.meter_reading import MeterFile, meter_untrusted, row_untrusted
from keyless.billing.ledger.metered import COLUMNS
from keyless.billing.ledger.model import HOUR, Dimensions, Gvk, Malformed, Meter, hour_of
from keyless.billing.ledger.waivers import Waiver, standing, touching
from keyless.billing.report.grouping import Cube
from keyless.billing.report.model import HOUR_MS, Plane, Report, Use, What

Kind = tuple[Meter, Gvk]
Content = MeterFile | Counts | None
Found = tuple[What, int, int, int]
"""How many at the kind's peak, for how many milliseconds, and how many made."""
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Source:
    """What a period's objects say; filled while :func:`uses` is read to its end."""

    manifests: list[Covered] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    waivers: tuple[Waiver, ...] = ()
    without_dimensions: int = 0
    limited: int = 0
    closing: Closing = hour_closing

    @property
    def collected_at(self) -> datetime | None:
        """The closing time of the newest manifest: the same for everybody who reads the same objects."""
        return max((covered.end for covered in self.manifests), default=None)

    @property
    def heads(self) -> tuple[tuple[str, int, str], ...]:
        """The last manifest of each spool: control plane, number, SHA-256."""
        found: dict[tuple[str, str], Covered] = {}
        for covered in self.manifests:
            key = (covered.control_plane.id, covered.spool)
            if key not in found or covered.sequence > found[key].sequence:
                found[key] = covered
        return tuple((key[0], covered.sequence, covered.sha256) for key, covered in sorted(found.items()))


def read(
    bucket: Bucket,
    request: Request,
    sink: Callable[[Iterable[Use]], None],
    *,
    now: datetime,
    closing: Closing = hour_closing,
) -> Source | Refusal:
    """Give every use of the period to ``sink``; a refusal where usage is missing or cannot be trusted.

    An hour is of the period in which it starts; what is stored after ``closing`` of it is a correction.
    """
    source = Source(closing=closing)
    with readers(READERS) as pool:
        _manifests(bucket, request, now, pool, source)
        records, faults = records_of(bucket, request.account, pool)
        source.faults += faults
        source.waivers = touching(standing(records), request.account, request.period)
        sink(uses(bucket, source, pool))
    if not (source.manifests or source.faults or request.force_incomplete):
        return nothing_found(request, held(bucket), now)
    lacking, faults = lacks(request, source, now)
    refused = refusal(request, lacking, faults)
    return source if refused is None else refused


def lacks(request: Request, source: Source, now: datetime) -> tuple[list[Missing], list[Fault]]:
    """What is missing and what cannot be trusted, but for what somebody waived."""
    period = request.period[0], min(request.period[1], now)
    faults = sorted(fault for fault in set(source.faults) if not settled(fault, source.waivers))
    return missing(period, source.manifests, source.waivers), faults


def _manifests(bucket: Bucket, request: Request, now: datetime, pool: Readers, source: Source) -> None:
    start, end = request.period[0], min(request.period[1], now)
    sizes: dict[str, int] = {}
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        prefix = f"manifest/account={request.account}/date={day:%Y-%m-%d}/"
        sizes |= {item.key: item.size for item in bucket.list(prefix)}
        day += DAY
    for key, body in zip(sizes, bodies_within(bucket, sizes, pool, limit=MANIFEST_LIMIT), strict=True):
        try:
            covered = manifest_untrusted(key, body)
            if covered.account != request.account:
                raise Malformed(f"{key}: account: expected {request.account!r}, found {covered.account!r}")
        except Malformed as error:
            source.faults.append(Fault(key, MALFORMED, str(error)))
            continue
        if start <= hour_of(covered.start) < end:
            source.manifests.append(covered)
    source.manifests.sort(key=lambda c: (hour_of(c.start), c.control_plane.id, c.start, c.spool, c.sequence))


def uses(bucket: Bucket, source: Source, pool: Readers) -> Iterator[Use]:
    """Every use, in the order of hours and control planes."""
    _, faults = committed(item for covered in source.manifests for item in (*covered.objects, *covered.meters))
    source.faults += faults
    wanted = {item.key: item.size for covered in source.manifests for item in _read_of(covered)}
    catalogue = Catalogue()
    bodies = zip(wanted, _bodies(bucket, wanted, pool, source), strict=True)
    for (hour, _), group in groupby(source.manifests, key=lambda c: (hour_of(c.start), c.control_plane.id)):
        segments: list[tuple[Covered, Content]] = []
        for covered in group:
            found = [_content(next(bodies), item, source) for item in _read_of(covered)]
            segments.append((covered, next((each for each in found if each is not None), None)))
        try:
            yield from _hour(hour, segments, source, catalogue)
        except Malformed as error:
            keys = [item.key for covered, _ in segments for item in _read_of(covered)]
            source.faults += [Fault(key, MALFORMED, str(error)) for key in keys]


def _read_of(covered: Covered) -> tuple[Committed, ...]:
    return covered.meters or covered.objects


def _bodies(bucket: Bucket, sizes: Mapping[str, int], pool: Readers, source: Source) -> Iterator[bytes]:
    """The bytes of each; none of what is not there, which is a fault."""
    listed = set()
    for prefix in sorted({key[: key.index("/hour=")] for key in sizes}):
        listed |= {item.key for item in bucket.list(f"{prefix}/")}
    there = {key: size for key, size in sizes.items() if key in listed}
    found = bodies_within(bucket, there, pool, limit=STORED_LIMIT)
    for key in sizes:
        if key in there:
            yield next(found)
        else:
            source.faults.append(Fault(key, OBJECT_MISSING, "expected the object that a manifest names, found none"))
            yield b""


def _content(found: tuple[str, bytes], promised: Committed, source: Source) -> MeterFile | Counts | None:
    key, body = found
    if any(fault.key == key and fault.reason == OBJECT_MISSING for fault in source.faults[-1:]):
        return None
    if (fault := content_fault(body, promised)) is not None:
        source.faults.append(fault)
        return None
    try:
        return meter_untrusted(key, body) if key.startswith("manifest/") else counted_untrusted(key, body)
    except Malformed as error:
        source.faults.append(Fault(key, MALFORMED, str(error)))
        return None


def _hour(
    hour: datetime, segments: list[tuple[Covered, Content]], source: Source, catalogue: Catalogue
) -> Iterator[Use]:
    """One control plane's hour, and what its later revisions changed of it."""
    numbers = revisions(hour, [covered for covered, _ in segments], source.closing)
    if max(numbers) == FIRST:
        yield from _uses(hour, segments, source, catalogue)
        return
    before: dict[What, Use] = {}
    for number in range(FIRST, max(numbers) + 1):
        until = [each for each, revision in zip(segments, numbers, strict=True) if revision <= number]
        # What is told of segments is told once, with all of them.
        told = source if number == max(numbers) else Source()
        after = {use.what: use for use in _uses(hour, until, told, catalogue)} if until else {}
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


def _uses(
    hour: datetime, segments: list[tuple[Covered, Content]], source: Source, catalogue: Catalogue
) -> Iterator[Use]:
    whole = [(covered, content) for covered, content in segments if content is not None]
    if len(whole) == 1:
        for what, at_peak, milliseconds, created in _rows(*whole[0], source, catalogue):
            yield Use(hour, what, at_peak, milliseconds, created)
    else:
        yield from _joined(hour, [(c, list(_rows(c, content, source, catalogue))) for c, content in whole])
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
    return Plane(own.id, own.group, own.name, labels)


def _rows(covered: Covered, content: MeterFile | Counts, source: Source, catalogue: Catalogue) -> Iterator[Found]:
    if not isinstance(content, MeterFile):
        # Stored before dimensions were: how many is known, neither whose they are nor for how long.
        source.without_dimensions += 1
        known = catalogue.of(_plane(covered, None), ())
        for (_, group, version, kind), count in content.items():
            yield known.undescribed(Gvk(group, version, kind)), count, 0, 0
        return
    source.limited += content.limited
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


def report(request: Request, source: Source, cube: Cube, zone: str, now: datetime) -> Report:
    """Put together what was read and what was made of it."""
    lacking, faults = lacks(request, source, now)
    lines, total = cube.lines()
    return Report(
        request.account,
        request.period,
        zone,
        cube.by,
        lines,
        total,
        source.collected_at,
        source.heads,
        tuple(lacking),
        tuple(faults),
        source.waivers,
        source.without_dimensions,
        source.limited,
        # Without force nothing but closed hours is asked for.
        _watermark(request, source) if request.force_incomplete else request.period[1],
        corrections(source.manifests, source.closing),
    )


def _watermark(request: Request, source: Source) -> datetime:
    """By what is stored, not by the clock: who makes the report again makes the same."""
    newest = source.collected_at or request.period[0]
    return max(request.period[0], min(request.period[1], closed_until(newest)))
