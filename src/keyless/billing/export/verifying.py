"""``keyless billing verify``: whether the bucket holds what its collectors stored, and all of it.

Day by day, as fast as it can be read: manifests, then the objects that they name. What is kept in memory is what is
wrong, and where every chain stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from keyless.billing.export.plan import DAY, Period, hour_of_key
from keyless.billing.export.reading import Readers, readers
from keyless.billing.export.service import READERS, Bucket, bodies_within, records_of, settled
from keyless.billing.ledger.chains import Chains
from keyless.billing.ledger.completeness import Coverage, Missing
from keyless.billing.ledger.corrections import closed_until
from keyless.billing.ledger.events import STORED_LIMIT
from keyless.billing.ledger.frames import head_untrusted, signature_untrusted
from keyless.billing.ledger.integrity import (
    MALFORMED,
    NOT_IN_MANIFEST,
    OBJECT_MISSING,
    Fault,
    committed,
    content_fault,
    listed_faults,
)
from keyless.billing.ledger.manifests import MANIFEST_LIMIT, Committed, Covered, manifest_untrusted
from keyless.billing.ledger.meter_file import METER_PREFIX
from keyless.billing.ledger.model import ChainHead, HeadSignature, Malformed, hour_of
from keyless.billing.ledger.objects import DIGEST_DIGITS, name_stem
from keyless.billing.ledger.signed_heads import Holds, SignedChains
from keyless.billing.ledger.waivers import Waiver, standing, tips, waiver_prefix

# Manifests of these days are read beside a period, for its chains reach over its edges.
RACE = timedelta(hours=2)
BEFORE, AFTER = timedelta(days=2), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Known:
    """What somebody saw in the bucket earlier: the ends of the chains and the newest records of waivers.

    ``source`` says who saw it.
    """

    source: str
    heads: tuple[ChainHead, ...] = ()
    waivers: tuple[str, ...] = ()
    signatures: tuple[tuple[str, HeadSignature], ...] = ()
    """Of the SHA-256 of manifests."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is to be verified: an account's usage below ``prefix``, of a period or (None) of all time."""

    account: str
    period: Period | None = None
    known: tuple[Known, ...] = ()
    prefix: str = ""
    holds: Holds | None = None
    """Whether one of the keys that sign manifests made a signature; None: nobody's signatures are asked for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. ``faults`` are in the order of time: the first one is the first thing that differs."""

    manifests: int
    objects: int
    size: int
    """Bytes of usage that were read and compared."""
    covers: Period | None
    faults: tuple[Fault, ...]
    missing: tuple[Missing, ...]
    waivers: tuple[Waiver, ...]
    waived: tuple[Fault, ...]
    heads: tuple[ChainHead, ...]
    records: tuple[str, ...]
    """The records of waivers that none follows yet."""
    unknown_beginnings: tuple[str, ...]
    not_yet_signed: tuple[str, ...] = ()
    """The newest manifests, where signatures are asked for and nobody told theirs."""

    @property
    def holds(self) -> bool:
        """Whether there is usage, all of it, and as it was stored."""
        return self.manifests > 0 and not (self.faults or self.missing)


def verify(bucket: Bucket, check: Check, *, now: datetime) -> Verdict:
    """Read everything that the check concerns. Raises ``Transient`` or ``Permanent`` where the bucket does."""
    with readers(READERS) as pool:
        reading = _Reading(bucket, check, now, pool)
        records, faults = records_of(bucket, check.account, pool)
        reading.faults += faults
        days = _days(bucket, check)
        for day in days:
            reading.day(day)
    for known in check.known:
        reading.expect(known, frozenset(record.id for record in records))
    reading.look_again()
    reading.faults += reading.chains.end()
    unsigned, not_yet_signed = reading.signed.end() if reading.signed else ([], ())
    reading.faults += unsigned
    waivers = standing(records)
    covers = reading.covers(now)
    waived = tuple(fault for fault in _in_time(reading.faults) if settled(fault, waivers))
    return Verdict(
        reading.manifests,
        reading.objects,
        reading.size,
        covers,
        tuple(fault for fault in _in_time(reading.faults) if not settled(fault, waivers)),
        tuple(reading.coverage.missing(covers, waivers)) if covers else (),
        waivers,
        waived,
        reading.chains.heads(),
        tips(records),
        reading.chains.unknown_beginnings(),
        not_yet_signed,
    )


def known_untrusted(source: str, body: bytes, account: str) -> Known:
    """What an earlier verification printed as JSON; raises ``Malformed`` that names ``source``."""
    try:
        document = orjson.loads(body)
        if document["account"] != account:
            raise Malformed(f"expected heads of account {account!r}, found those of {document['account']!r}")
        heads = tuple(head_untrusted(head) for head in document["heads"])
        told = document.get("signatures", ())
        signatures = tuple((str(each["sha256"]), signature_untrusted(each)) for each in told)
        return Known(source, heads, tuple(str(each) for each in document["records"]), signatures)
    except Malformed as error:
        raise Malformed(f"{source}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = "what `keyless billing verify --output json` prints"
        raise Malformed(f"{source}: expected {said}, found {type(error).__name__}: {str(error)[:200]}") from None


@dataclass(slots=True)
class _Reading:
    bucket: Bucket
    check: Check
    now: datetime
    pool: Readers
    manifests: int = 0
    objects: int = 0
    size: int = 0
    newest: datetime | None = None
    faults: list[Fault] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    chains: Chains = field(init=False)
    signed: SignedChains | None = field(init=False)

    def __post_init__(self) -> None:
        self.signed = SignedChains(self.check.holds) if self.check.holds else None
        period = self.check.period
        self.chains = Chains(since=period[0] - BEFORE, until=period[1] + AFTER) if period else Chains()

    def day(self, day: datetime) -> None:
        """Manifests first: a collector writes them last, so what one of them names is there when usage is listed."""
        self.chains.begin(day)
        named: list[Committed] = []
        meters: list[Committed] = []
        for key, body in self._bodies(f"{_manifests(self.check)}date={day:%Y-%m-%d}/", MANIFEST_LIMIT):
            try:
                covered = self._manifest(key, body)
            except Malformed as error:
                self.faults.append(Fault(key, MALFORMED, str(error)))
                continue
            self.manifests += 1
            self.newest = max(self.newest or covered.end, covered.end)
            self.coverage.add(covered)
            self.faults += self.chains.add(key, covered)
            if self.signed is not None:
                self.faults += self.signed.add(key, covered)
            named += covered.objects
            # What lies within the manifest was read with it, and is vouched for by its chain.
            meters += [each for each in covered.meters if each.key != key]
        if self._within(day):
            self._objects(day, _usage(self.check), named)
            self._objects(day, _meters(self.check), meters)

    def expect(self, known: Known, records: frozenset[str]) -> None:
        """Hold what is there against what somebody saw."""
        for head in known.heads:
            self.faults += self.chains.expect(head, known.source)
        for sha256, signature in known.signatures:
            if self.signed is not None:
                self.signed.told(sha256, signature)
        said = f"expected the record of a waiver that {known.source} saw, found none"
        prefix = waiver_prefix(self.check.account)
        self.faults += [
            Fault(f"{prefix}{each}.json", OBJECT_MISSING, said) for each in known.waivers if each not in records
        ]

    def look_again(self) -> None:
        """A neighbour that was listed later may know a head that was stored after its own day's listing."""
        planes = self.coverage.lives
        for head in self.chains.unmet():
            if head.stored_to < self.now - RACE or head.control_plane not in planes:
                continue
            host = planes[head.control_plane].control_plane.host_namespace
            # A segment that ends with its hour belongs to it.
            for moment in {hour_of(head.stored_to), hour_of(head.stored_to - timedelta(milliseconds=1))}:
                stem = name_stem(self.check.account, moment, host, head.sequence)
                key = f"manifest/{self.check.prefix}{stem}{head.sha256[:DIGEST_DIGITS]}.json"
                if any(item.key == key for item in self.bucket.list(key)):
                    self.chains.there(head)

    def covers(self, now: datetime) -> Period | None:
        """What completeness is asked for: the period as far as it is closed, or all of it up to the newest manifest."""
        if self.check.period:
            start, end = self.check.period[0], min(self.check.period[1], closed_until(now))
        elif self.newest is None or not self.coverage.lives:
            return None
        else:
            lives = self.coverage.lives.values()
            start = min(life.billed_from or life.control_plane.created_at for life in lives)
            end = closed_until(self.newest)
        return (start, end) if start < end else None

    def _objects(self, day: datetime, below: str, named: list[Committed]) -> None:
        """Hold what lies below a prefix against what manifests commit there."""
        prefix = f"{below}date={day:%Y-%m-%d}/"
        listed = {
            item.key: item.size
            for item in self.bucket.list(prefix)
            if hour_of_key(day, item.key.removeprefix(prefix)) is not None
        }
        wanted, faults = committed(named)
        faults += listed_faults(listed, wanted)
        faults = [fault for fault in faults if not self._in_flight(fault, day)]
        bad = {fault.key for fault in faults}
        sizes = {key: listed[key] for key in sorted(listed.keys() & wanted.keys()) if key not in bad}
        for key, body in zip(sizes, bodies_within(self.bucket, sizes, self.pool, limit=STORED_LIMIT), strict=True):
            self.objects, self.size = self.objects + 1, self.size + len(body)
            if (fault := content_fault(body, wanted[key])) is not None:
                faults.append(fault)
        self.faults += faults

    def _in_flight(self, fault: Fault, day: datetime) -> bool:
        """Whether usage without a manifest was committed after this day's manifests were listed."""
        if fault.reason != NOT_IN_MANIFEST or day + DAY < self.now - DAY:
            return False
        stem = fault.key[: fault.key.rfind("-") + 1]
        return self._names(f"{_manifests(self.check)}{stem.partition(f'account={self.check.account}/')[2]}", fault.key)

    def _names(self, prefix: str, key: str) -> bool:
        for found, body in self._bodies(prefix, MANIFEST_LIMIT):
            try:
                covered = self._manifest(found, body)
                if any(item.key == key for item in (*covered.objects, *covered.meters)):
                    return True
            except Malformed:
                continue
        return False

    def _manifest(self, key: str, body: bytes) -> Covered:
        covered = manifest_untrusted(key, body)
        if covered.account != self.check.account:
            raise Malformed(f"{key}: account: expected {self.check.account!r}, found {covered.account!r}")
        return covered

    def _bodies(self, prefix: str, limit: int) -> Iterator[tuple[str, bytes]]:
        sizes: dict[str, int] = {item.key: item.size for item in self.bucket.list(prefix)}
        return zip(sizes, bodies_within(self.bucket, sizes, self.pool, limit=limit), strict=True)

    def _within(self, day: datetime) -> bool:
        period = self.check.period
        return period is None or (period[0] < day + DAY and day < period[1])


def _manifests(check: Check) -> str:
    return f"manifest/{check.prefix}account={check.account}/"


def _usage(check: Check) -> str:
    return f"{check.prefix}account={check.account}/"


def _meters(check: Check) -> str:
    return f"{METER_PREFIX}{check.prefix}account={check.account}/"


def _days(bucket: Bucket, check: Check) -> list[datetime]:
    """The days that have usage or manifests and that the check concerns, in order."""
    found: set[datetime] = set()
    for prefix in (_manifests(check), _usage(check), _meters(check)):
        for group in bucket.groups(f"{prefix}date="):
            try:
                found.add(datetime.fromisoformat(f"{group.removeprefix(f'{prefix}date=').rstrip('/')}T00:00:00+00:00"))
            except ValueError:
                # Nobody reads what lies there: neither the peer nor an export.
                continue
    if check.period is None:
        return sorted(found)
    start, end = check.period[0] - BEFORE, check.period[1] + AFTER
    return sorted(day for day in found if start < day + DAY and day < end)


def _in_time(faults: Iterable[Fault]) -> Sequence[Fault]:
    """Hour by hour, records of waivers before, what is of no hour after; in an hour the cause before what follows.

    What a manifest named is named by none once that manifest is spoilt.
    """

    def place(fault: Fault) -> tuple[bool, str, int, Fault]:
        _, found, below = fault.key.partition("account=")
        causes = {MALFORMED: 0, NOT_IN_MANIFEST: 2}
        return not found, below.rpartition("/")[0], causes.get(fault.reason, 1), fault

    return sorted(set(faults), key=place)


__all__ = ["Check", "Known", "Verdict", "known_untrusted", "verify"]
