"""From the bucket to uses, day by day: manifests as they commit usage, then what they name, then the uses of it.

A manifest is read once, with the meter object that it holds; what is kept of it is what it covers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

from keyless.api import Refusal
from keyless.billing.export.plan import DAY, Request, nothing_found, refusal
from keyless.billing.export.reading import Readers, readers
from keyless.billing.export.service import READERS, Bucket, bodies_within, held, records_of, settled
from keyless.billing.ledger.completeness import Missing, missing
from keyless.billing.ledger.corrections import Closing, closed_until, corrections, hour_closing
from keyless.billing.ledger.events import STORED_LIMIT, counted_untrusted
from keyless.billing.ledger.integrity import MALFORMED, OBJECT_MISSING, Fault, committed, content_fault
from keyless.billing.ledger.manifests import MANIFEST_LIMIT, Committed, Covered, manifest_with_meters_untrusted
from keyless.billing.ledger.meter_file import METER_PREFIX
from keyless.billing.ledger.meter_reading import meter_untrusted, meter_within_untrusted
from keyless.billing.ledger.model import ChainHead, Malformed, hour_of
from keyless.billing.ledger.signed import heads_of
from keyless.billing.ledger.waivers import Waiver, standing, touching
from keyless.billing.report.grouping import Cube
from keyless.billing.report.joining import Catalogue, Content, Knows, Told, hour_uses
from keyless.billing.report.model import Report, Use

Segment = tuple[str, Covered, Any]
"""A manifest's key, what it covers, and its ``meters`` as they stand in it."""


@dataclass(slots=True)
class Source(Told):
    """What a period's objects say; filled while :func:`uses` is read to its end."""

    manifests: list[Covered] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    waivers: tuple[Waiver, ...] = ()
    missing: tuple[Missing, ...] = ()
    """What no manifest covers and nobody waived."""

    @property
    def collected_at(self) -> datetime | None:
        """The closing time of the newest manifest: the same for everybody who reads the same objects."""
        return max((covered.end for covered in self.manifests), default=None)

    @property
    def heads(self) -> tuple[ChainHead, ...]:
        """The last manifest of each spool."""
        return heads_of(self.manifests)


def read(
    bucket: Bucket,
    request: Request,
    sink: Callable[[Iterable[Use]], None],
    *,
    now: datetime,
    closing: Closing = hour_closing,
    known: Knows | None = None,
) -> Source | Refusal:
    """Give every use of the period to ``sink``; a refusal where usage is missing or cannot be trusted.

    An hour is of the period in which it starts; what is stored after ``closing`` of it is a correction.
    """
    source = Source(closing=closing, known=known)
    period = request.period[0], min(request.period[1], now)
    with readers(READERS) as pool:
        sink(uses(bucket, request.account, period, source, pool))
        records, faults = records_of(bucket, request.account, pool)
    source.waivers = touching(standing(records), request.account, request.period)
    # What somebody waived is settled.
    source.faults = sorted(fault for fault in {*source.faults, *faults} if not settled(fault, source.waivers))
    source.missing = tuple(missing(period, source.manifests, source.waivers))
    if not (source.manifests or source.faults or request.force_incomplete):
        return nothing_found(request, held(bucket), now)
    refused = refusal(request, list(source.missing), source.faults)
    return source if refused is None else refused


def read_all(
    bucket: Bucket,
    requests: Sequence[Request],
    sink: Callable[[Iterable[Use]], None],
    *,
    now: datetime,
    closing: Closing = hour_closing,
    known: Knows | None = None,
) -> Source | Refusal:
    """As :func:`read`, of several accounts; a refusal names what stands against each of them."""
    found = [read(bucket, request, sink, now=now, closing=closing, known=known) for request in requests]
    if len(found) == 1:
        return found[0]
    refused = [(request, each) for request, each in zip(requests, found, strict=True) if isinstance(each, Refusal)]
    if not refused:
        return _joined([each for each in found if isinstance(each, Source)])
    said = "\n".join(f"account {request.account}: {each.detail}" for request, each in refused)
    return Refusal(refused[0][1].reason, said)


def _joined(sources: Sequence[Source]) -> Source:
    whole = Source(closing=sources[0].closing)
    for each in sources:
        whole.manifests += each.manifests
        whole.faults += each.faults
        whole.waivers += each.waivers
        whole.missing += each.missing
        whole.without_dimensions += each.without_dimensions
        whole.limited += each.limited
    return whole


def uses(
    bucket: Bucket, account: str, period: tuple[datetime, datetime], source: Source, pool: Readers
) -> Iterator[Use]:
    """Every use, in the order of hours and control planes."""
    catalogue = Catalogue()
    day = period[0].replace(hour=0, minute=0, second=0, microsecond=0)
    while day < period[1]:
        segments = _manifests(bucket, account, day, period, source, pool)
        source.manifests += [covered for _, covered, _ in segments]
        contents = zip(segments, _contents(bucket, segments, source, pool), strict=True)
        hours = groupby(contents, key=lambda each: (hour_of(each[0][1].start), each[0][1].control_plane.id))
        for (hour, _), group in hours:
            found = list(group)
            try:
                yield from hour_uses(hour, [(covered, each) for (_, covered, _), each in found], source, catalogue)
            except Malformed as error:
                keys = [item.key for (_, covered, _), _ in found for item in _read_of(covered)]
                source.faults += [Fault(key, MALFORMED, str(error)) for key in keys]
        day += DAY


def _manifests(
    bucket: Bucket, account: str, day: datetime, period: tuple[datetime, datetime], source: Source, pool: Readers
) -> list[Segment]:
    """A day's, in the order of hours, control planes and numbers: what a key says of its hour, the manifest does."""
    found: list[Segment] = []
    sizes = {item.key: item.size for item in bucket.list(f"manifest/account={account}/date={day:%Y-%m-%d}/")}
    for key, body in zip(sizes, bodies_within(bucket, sizes, pool, limit=MANIFEST_LIMIT), strict=True):
        try:
            covered, meters = manifest_with_meters_untrusted(key, body)
            if covered.account != account:
                raise Malformed(f"{key}: account: expected {account!r}, found {covered.account!r}")
        except Malformed as error:
            source.faults.append(Fault(key, MALFORMED, str(error)))
            continue
        if period[0] <= hour_of(covered.start) < period[1]:
            found.append((key, covered, meters))
    return sorted(found, key=lambda each: _order(each[1]))


def _order(covered: Covered) -> tuple[object, ...]:
    return hour_of(covered.start), covered.control_plane.id, covered.start, covered.spool, covered.sequence


def _contents(bucket: Bucket, segments: list[Segment], source: Source, pool: Readers) -> Iterator[Content]:
    """What each segment's objects say; None of one that says nothing, which is a fault."""
    _, faults = committed(item for _, covered, _ in segments for item in (*covered.objects, *covered.meters))
    source.faults += faults
    beside = [item for key, covered, _ in segments for item in _read_of(covered) if item.key != key]
    bodies = _Bodies(bucket, beside, source, pool)
    for key, covered, meters in segments:
        found = [
            _trusted(item.key, source, partial(meter_within_untrusted, key, meters))
            if item.key == key
            else _beside(item, bodies.of(item.key), source)
            for item in _read_of(covered)
        ]
        yield next((each for each in found if each is not None), None)


def _read_of(covered: Covered) -> tuple[Committed, ...]:
    return covered.meters or covered.objects


def _beside(promised: Committed, body: bytes | None, source: Source) -> Content:
    if body is None:
        return None
    if (fault := content_fault(body, promised)) is not None:
        source.faults.append(fault)
        return None
    reader = meter_untrusted if promised.key.startswith(METER_PREFIX) else counted_untrusted
    return _trusted(promised.key, source, partial(reader, promised.key, body))


def _trusted(key: str, source: Source, read: Callable[[], Content]) -> Content:
    try:
        return read()
    except Malformed as error:
        source.faults.append(Fault(key, MALFORMED, str(error)))
        return None


class _Bodies:
    """The bytes of objects, asked for in the order in which they are wanted and kept while somebody still wants them.

    None is what is not there, which is a fault.
    """

    def __init__(self, bucket: Bucket, wanted: Sequence[Committed], source: Source, pool: Readers) -> None:
        # Two manifests may name one object: that a chain forks is for others to say.
        self._uses = Counter(item.key for item in wanted)
        self._kept: dict[str, bytes] = {}
        sizes = {item.key: item.size for item in wanted}
        self._listed: set[str] = set()
        for prefix in sorted({key[: key.index("/hour=")] for key in sizes}):
            self._listed |= {item.key for item in bucket.list(f"{prefix}/")}
        there = {key: size for key, size in sizes.items() if key in self._listed}
        missing = "expected the object that a manifest names, found none"
        source.faults += [Fault(key, OBJECT_MISSING, missing) for key in sizes if key not in there]
        self._stream = zip(there, bodies_within(bucket, there, pool, limit=STORED_LIMIT), strict=True)

    def of(self, key: str) -> bytes | None:
        """Those of one; each may be asked for as often as it is wanted."""
        if key not in self._listed:
            return None
        while key not in self._kept:
            name, self._kept[name] = next(self._stream)
        self._uses[key] -= 1
        return self._kept[key] if self._uses[key] else self._kept.pop(key)


def report(requests: Sequence[Request], source: Source, cube: Cube, zone: str) -> Report:
    """Put together what was read and what was made of it; the requests differ in their accounts alone."""
    lines, totals = cube.lines()
    request = requests[0]
    return Report(
        tuple(each.account for each in requests),
        request.period,
        zone,
        cube.by,
        lines,
        totals,
        source.collected_at,
        source.heads,
        source.missing,
        tuple(source.faults),
        source.waivers,
        source.without_dimensions,
        source.limited,
        # Without force nothing but closed hours is asked for.
        _watermark(request, source) if request.force_incomplete else request.period[1],
        corrections(source.manifests, source.closing),
    )


def _watermark(request: Request, source: Source) -> datetime:
    """By what is stored, not by the clock: who makes the report again makes the same."""
    newest: dict[str, datetime] = {}
    for covered in source.manifests:
        newest[covered.account] = max(newest.get(covered.account, covered.end), covered.end)
    # Of several accounts an hour is closed when it is in all of them.
    closed = min(map(closed_until, newest.values()), default=request.period[0])
    return max(request.period[0], min(request.period[1], closed))
