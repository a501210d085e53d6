"""``keyless billing export``: reads a period's usage from the bucket and writes the peer's report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol, TypeVar

from keyless.api import Refusal
from keyless.billing.export.plan import (
    Held,
    Request,
    days,
    hour_of_key,
    is_unknown,
    nothing_found,
    refusal,
    too_early,
)
from keyless.billing.export.reading import BODY_LIMIT, Readers, readers
from keyless.billing.export.spilling import Spilled
from keyless.billing.ledger.aggregate import merge, window_end
from keyless.billing.ledger.completeness import Coverage, Missing
from keyless.billing.ledger.corrections import GRACE, Correction, by_manifest, corrections
from keyless.billing.ledger.events import STORED_LIMIT, Counts, Key, counted_untrusted
from keyless.billing.ledger.integrity import (
    MALFORMED,
    OBJECT_MISSING,
    Fault,
    committed,
    content_fault,
    listed_faults,
)
from keyless.billing.ledger.manifests import MANIFEST_LIMIT, Committed, Covered, manifest_untrusted
from keyless.billing.ledger.model import ChainHead, Malformed, hour_of
from keyless.billing.ledger.report_file import (
    UsageWriter,
    archive,
    completeness_document,
    correction_document,
    meta,
)
from keyless.billing.ledger.signed import heads_of
from keyless.billing.ledger.tolerant import counted_tolerantly_untrusted
from keyless.billing.ledger.waivers import (
    WAIVER_LIMIT,
    Waiver,
    Withdrawal,
    record_untrusted,
    standing,
    touching,
    vanished,
    waiver_prefix,
)

READERS = 64
T = TypeVar("T")


class Listing(Protocol):
    """A line of a bucket's listing."""

    @property
    def key(self) -> str:
        """The object's key."""

    @property
    def size(self) -> int:
        """Its length in bytes."""


class Bucket(Protocol):
    """What an export reads; called from several threads. Every method raises ``Transient`` or ``Permanent``."""

    def list(self, prefix: str) -> Iterator[Any]:
        """Every object below ``prefix``, in order, as ``Listing``."""

    def groups(self, prefix: str) -> Iterator[str]:
        """The names directly below ``prefix``, up to and with their slash."""

    def get(self, key: str) -> bytes:
        """An object's bytes."""

    def bodies(self, keys: Iterator[str], readers: Readers) -> Iterator[bytes]:
        """The bytes of objects of at most ``BODY_LIMIT``, in the order of ``keys``, many asked for at once."""


class Progress(Protocol):
    """Told how far an export is."""

    def __call__(self, what: str, items: Iterable[T], total: int) -> Iterable[T]:
        """``items`` as they come; of ``what`` there will be ``total``."""


def _untold(what: str, items: Iterable[T], total: int) -> Iterable[T]:
    del what, total
    return items


@dataclass(frozen=True, slots=True)
class Export:
    """A finished export: the report in pieces, how many rows it has, what it lacks and rests on."""

    archive: Iterator[bytes]
    rows: int
    missing: tuple[Missing, ...] = ()
    faults: tuple[Fault, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    empty: str = ""
    """Where nothing at all was found: what there is instead."""
    corrections: tuple[Correction, ...] = ()
    """What was stored after the period was closed: an earlier report lacked it."""
    heads: tuple[ChainHead, ...] = ()
    """Where the chains stood that it was made from."""


@dataclass(slots=True)
class _Found:
    """What lies in the bucket for a period, before any usage is read."""

    usage: dict[str, int] = field(default_factory=dict)  # key to size, in the order of the listing
    hour: dict[str, datetime] = field(default_factory=dict)
    manifests: list[Covered] = field(default_factory=list)
    """Without what was counted into ``coverage``: a month of many control planes has tens of thousands."""
    coverage: Coverage = field(default_factory=Coverage)
    waivers: tuple[Waiver, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    late: dict[str, Correction] = field(default_factory=dict)
    """What came after the period was closed, by the key of the usage."""
    rows: dict[tuple[str, datetime, int], dict[Key, tuple[int, int]]] = field(default_factory=dict)
    """What corrections changed, by their place: of a kind what was there before and after."""

    def add(self, covered: Covered, closes: datetime) -> None:
        """Count a manifest in; a receipt is kept where it says that usage came after ``closes``."""
        self.coverage.add(covered)
        late = covered.stored_at is not None and covered.stored_at > closes
        self.manifests.append(
            replace(
                covered,
                collector="",
                previous="",
                gaps=(),
                lives=(),
                meters=(),
                heads=(),
                receipts=covered.receipts if late else (),
                previous_receipt=None,
                previous_signature=None,
            )
        )

    def corrected(self) -> list[Correction]:
        """Every correction once, in order."""
        return sorted(set(self.late.values()), key=lambda each: (each.hour, each.control_plane.id, each.revision))


def export(bucket: Bucket, request: Request, *, now: datetime, progress: Progress = _untold) -> Export | Refusal:
    """Read the period and build the report, unless something stands against it and that is not asked for."""
    if (early := too_early(request, now)) is not None:
        return early
    with readers(READERS) as pool:
        found = _Found()
        # Manifests first: a collector writes them last, so what one of them names is there when usage is listed.
        if not request.compat:
            _read_manifests(bucket, request, now, pool, found, progress)
            records, faults = records_of(bucket, request.account, pool)
            found.waivers = touching(standing(records), request.account, request.period)
            found.faults += faults
        _list_usage(bucket, request, now, pool, found)
        empty = ""
        if not (found.usage or found.manifests or found.faults):
            there = held(bucket)
            nothing = nothing_found(request, there, now)
            if not request.force_incomplete or is_unknown(request, there):
                return nothing
            empty = nothing.detail
        named = _checked(request, found)
        writer = _read_usage(bucket, request, pool, found, named, progress)
    period = request.period[0], min(request.period[1], now)
    lacking = [] if request.compat else found.coverage.missing(period, found.waivers)
    faults = sorted(fault for fault in found.faults if not settled(fault, found.waivers))
    if (refused := refusal(request, lacking, faults)) is not None:
        return refused
    corrected = tuple(found.corrected())
    documents = [correction_document(each, found.rows.get(each.place, {})) for each in corrected]
    told = completeness_document(found.waivers, lacking, faults, documents)
    # As of what was stored, not of when it was read: who exports a closed month again has the same bytes.
    collected = max((manifest.end for manifest in found.manifests), default=now)
    pieces = archive(meta(request.account, request.period, collected), writer, completeness=told)
    return Export(
        pieces, writer.rows, tuple(lacking), tuple(faults), found.waivers, empty, corrected, heads_of(found.manifests)
    )


def held(bucket: Bucket) -> Held:
    """The accounts that have usage in the bucket, and in which months."""
    months = []
    for group in bucket.groups("account="):
        found = {day.removeprefix(f"{group}date=")[:7] for day in bucket.groups(f"{group}date=")}
        months.append((group.removeprefix("account=").rstrip("/"), tuple(sorted(found))))
    return Held(tuple(months))


def records_of(bucket: Bucket, account: str, pool: Readers) -> tuple[list[Waiver | Withdrawal], list[Fault]]:
    """The account's waivers and what took some of them back; what cannot be trusted of these records."""

    def read(item: Any) -> Waiver | Withdrawal | Fault:
        try:
            if item.size > WAIVER_LIMIT:
                raise Malformed(f"expected at most {WAIVER_LIMIT} bytes, found {item.size}")
            return record_untrusted(item.key, bucket.get(item.key))
        except Malformed as error:
            return Fault(item.key, MALFORMED, str(error))

    results = list(pool.in_order(read, bucket.list(waiver_prefix(account))))
    records = [result for result in results if not isinstance(result, Fault)]
    faults = [result for result in results if isinstance(result, Fault)]
    lost = "expected the record that a later one follows, found none"
    faults += [Fault(f"{waiver_prefix(account)}{each}.json", OBJECT_MISSING, lost) for each in vanished(records)]
    return records, faults


def _list_usage(bucket: Bucket, request: Request, now: datetime, pool: Readers, found: _Found) -> None:
    """One listing a day instead of the peer's one an hour; what lies outside an hour's prefix the peer never sees."""

    def one(day: datetime) -> tuple[datetime, str, list[Any]]:
        prefix = f"account={request.account}/date={day:%Y-%m-%d}/"
        return day, prefix, list(bucket.list(prefix))

    # A key is in memory once, though a listing and a manifest both name it.
    named = {item.key: item.key for covered in found.manifests for item in covered.objects}
    for day, prefix, items in pool.in_order(one, days(request.period, now)):
        # In order whatever the server's: an hour that came twice would be two rows for one kind.
        for item in sorted(items, key=lambda item: item.key):
            hour = hour_of_key(day, item.key.removeprefix(prefix))
            if hour is not None and hour < now and item.key not in found.left_out:
                key = named.get(item.key, item.key)
                found.usage[key] = item.size
                found.hour[key] = hour


def _read_manifests(
    bucket: Bucket, request: Request, now: datetime, pool: Readers, found: _Found, progress: Progress
) -> None:
    def listed(day: datetime) -> list[Any]:
        return list(bucket.list(f"manifest/account={request.account}/date={day:%Y-%m-%d}/"))

    def read(key: str, body: bytes) -> Covered | Fault:
        try:
            if sizes[key] > MANIFEST_LIMIT:
                raise Malformed(f"expected at most {MANIFEST_LIMIT} bytes, found {sizes[key]}")
            covered = manifest_untrusted(key, body)
            if covered.account != request.account:
                raise Malformed(f"account: expected {request.account!r}, found {covered.account!r}")
            return covered
        except Malformed as error:
            return Fault(key, MALFORMED, str(error))

    # Before its period is closed nobody had a whole report: only what came later corrects one.
    closes = request.period[1] + GRACE
    sizes = {item.key: item.size for day in pool.in_order(listed, days(request.period, now)) for item in day}
    bodies = zip(sizes, bodies_within(bucket, sizes, pool, limit=MANIFEST_LIMIT), strict=True)
    for key, body in progress("manifests", bodies, len(sizes)):
        result = read(key, body)
        if isinstance(result, Fault):
            found.faults.append(result)
        elif request.as_of is not None and result.stored_at is not None and result.stored_at > request.as_of:
            found.left_out |= {item.key for item in result.objects}
        else:
            found.add(result, closes)
    _mark_late(found, closes)


def _mark_late(found: _Found, closes: datetime) -> None:
    numbers = by_manifest(found.manifests, lambda _: closes)
    corrected = {each.place: each for each in corrections(found.manifests, lambda _: closes)}
    for covered in found.manifests:
        if covered.sha256 in numbers:
            place = covered.control_plane.id, hour_of(covered.start), numbers[covered.sha256]
            found.late |= {item.key: corrected[place] for item in covered.objects}


def bodies_within(bucket: Bucket, sizes: Mapping[str, int], pool: Readers, *, limit: int) -> Iterator[bytes]:
    """The bytes of each key in order; of one that is larger than ``limit`` none are read."""
    small = bucket.bodies((key for key, size in sizes.items() if size <= BODY_LIMIT), pool)
    for key, size in sizes.items():
        # A large object alone, for each may inflate to its limit many times over.
        yield next(small) if size <= BODY_LIMIT else bucket.get(key) if size <= limit else b""


def _checked(request: Request, found: _Found) -> dict[str, Committed | None]:
    """The objects to read, by key; None for one that is read although no manifest vouches for it."""
    if request.compat:
        return dict.fromkeys(found.usage)
    named, faults = committed(item for manifest in found.manifests for item in manifest.objects)
    faults += listed_faults(found.usage, named)
    found.faults += faults
    bad = {fault.key for fault in faults}
    counted = {waiver.object_key for waiver in found.waivers if waiver.counted} & bad
    return {key: None if key in counted else named[key] for key in found.usage if key in counted or key not in bad}


def settled(fault: Fault, waivers: Iterable[Waiver]) -> bool:
    """Whether a waiver says what to do about the object; to count what cannot be read is nothing that can be done."""
    return any(w.object_key == fault.key and not (w.counted and fault.reason == MALFORMED) for w in waivers)


def _read_usage(
    bucket: Bucket,
    request: Request,
    pool: Readers,
    found: _Found,
    named: dict[str, Committed | None],
    progress: Progress,
) -> UsageWriter:
    """Read, check and aggregate hour by hour; no more than an hour's counts and the packed rows are kept."""
    waived = {waiver.object_key for waiver in found.waivers if waiver.counted}
    count = counted_tolerantly_untrusted if request.compat else counted_untrusted
    sizes = {key: found.usage[key] for key in named}

    def read(key: str, body: bytes) -> Counts | Fault:
        try:
            if sizes[key] > STORED_LIMIT:
                raise Malformed(f"{key}: expected at most {STORED_LIMIT} bytes, found {sizes[key]}")
            promised = named[key]
            fault = content_fault(body, promised) if promised is not None else None
            return count(key, body) if fault is None or key in waived else fault
        except Malformed as error:
            return Fault(key, MALFORMED, str(error))

    writer = UsageWriter(request.account, Spilled())
    results = zip(named, bodies_within(bucket, sizes, pool, limit=STORED_LIMIT), strict=True)
    for hour, group in groupby(progress("usage", results, len(named)), key=lambda result: found.hour[result[0]]):
        largest: Counts = {}
        late: list[tuple[Correction, Counts]] = []
        for key, body in group:
            result = read(key, body)
            if isinstance(result, Fault):
                found.faults.append(result)
            elif key in found.late:
                late.append((found.late[key], result))
            else:
                merge(largest, result)
        for correction, counts in sorted(late, key=lambda each: each[0].revision):
            _correct(found.rows.setdefault(correction.place, {}), largest, counts)
        counted_rows = [(key, value) for key, value in sorted(largest.items()) if value > 0]
        writer.add_window(hour, window_end(hour, request.period[1]), counted_rows)
    return writer


def _correct(rows: dict[Key, tuple[int, int]], largest: Counts, late: Counts) -> None:
    """Count a late segment in; ``rows`` learn of which kinds a report said less before it came."""
    for key, value in late.items():
        if value > (before := largest.get(key, 0)):
            rows[key] = rows.get(key, (before, 0))[0], value
    merge(largest, late)
