"""A bucket as two collectors fill it: chained segments of real bytes, and the records of waivers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache

from keyless.billing.ledger.model import (
    Census,
    Chain,
    ChainHead,
    Described,
    Dimensions,
    Gap,
    Link,
    Measure,
    Member,
    Meter,
    Metered,
    Opening,
    Sample,
    Skipped,
)
from keyless.billing.ledger.objects import StoredObject, manifest, pack
from keyless.billing.ledger.waivers import Waiver, Withdrawal, waiver_object, withdrawal_object
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import CTP1, CTP2, NOON, VPC, a_source

HOUR = timedelta(hours=1)
HOURS = 4
START = NOON + 10 * HOUR
"""Two hours before midnight: the chains reach over a day's edge."""
END = START + HOURS * HOUR


class Collector:
    """One control plane's spool, as its uploader stores it hour by hour."""

    def __init__(
        self, bucket: MemoryBucket, plane: Member, *, spool: str, census: tuple[Member, ...] = (), inside: int = 0
    ) -> None:
        """Meter objects of up to ``inside`` bytes are stored within the manifest."""
        self._inside = inside
        self.bucket = bucket
        self.link = Link(spool)
        self.sequence = 0
        self.hours: list[int] = []
        self.stored: list[tuple[StoredObject, StoredObject]] = []
        self._source = a_source(control_plane=plane)
        self._census = census or (plane,)

    @property
    def head(self) -> ChainHead:
        """Where the chain stands."""
        end = START + (self.hours[-1] + 1) * HOUR
        return ChainHead(self._source.control_plane.id, self.link.spool, self.sequence - 1, self.link.previous, end)

    def hour(self, number: int, value: int = 3, *gaps: Gap, heads: tuple[ChainHead, ...] = ()) -> None:
        """Usage of the whole hour."""
        self.hours.append(number)
        start = START + number * HOUR
        # One sample in the middle and the two at the edges.
        samples = [Sample(start + n * HOUR / 2, {VPC: value + n}) for n in range(3)]
        opening = Opening(self._source, self.sequence, start)
        told = {0: Dimensions(Meter.MANAGED, VPC, "provider-aws-ec2", labels=("payments",))}
        metered = [Metered(each.at, True, told, {0: Measure(each.counts[VPC])}) for each in samples]
        frames = [frame for pair in zip(samples, metered, strict=True) for frame in pair]
        packed = pack(opening, [Census(self._census, heads), *gaps, Described(("team",)), *frames], inside=self._inside)
        assert packed is not None
        assert packed.meter is not None
        record = manifest(packed, self.link)
        for stored in (*packed.objects, record):
            self.bucket.put_new(stored.key, stored.body)
        self.stored.append((packed.usage, record))
        self.link = replace(self.link, chain=Chain.CONTINUED, previous=record.sha256, skipped=())
        self.sequence += 1

    def skip(self) -> None:
        """A segment that could not be read."""
        self.link = replace(self.link, skipped=(*self.link.skipped, Skipped(self.sequence, "SpoolDamaged")))
        self.sequence += 1


@cache
def _built() -> dict[str, bytes]:
    bucket = MemoryBucket()
    planes = tuple(replace(plane, created_at=START) for plane in (CTP1, CTP2))
    for plane in planes:
        collector = Collector(bucket, plane, spool=f"spool-{plane.name}", census=planes)
        for number in range(HOURS):
            collector.hour(number, 3 + number)
    put_records(bucket)
    return bucket.objects


def put_records(bucket: MemoryBucket) -> None:
    """A waiver, its withdrawal, and another waiver after both."""
    said = ("acme", "me", "why", "nothing")
    first = Waiver(*said, END, control_plane=CTP1.id, start=START, end=START + HOUR)
    back = Withdrawal(first.id, "me", "wrong", END, (first.id,))
    last = Waiver(*said, END, control_plane=CTP2.id, start=START - HOUR, end=START, after=(back.id,))
    for record in (waiver_object(first), withdrawal_object("acme", back), waiver_object(last)):
        bucket.put_new(record.key, record.body)


def chained() -> MemoryBucket:
    """Four hours of two control planes, over midnight."""
    return MemoryBucket(dict(_built()))
