"""A bucket in which two teams used something in two control planes, as collectors store it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from keyless.billing.ledger.model import (
    Census,
    Chain,
    Described,
    Dimensions,
    Frame,
    Gvk,
    Link,
    Measure,
    Member,
    Meter,
    Metered,
    Opening,
    Receipt,
    Sample,
)
from keyless.billing.ledger.objects import INSIDE_LIMIT, Packed, manifest, pack
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import BUCKET, CTP1, CTP2, VPC, a_source

HOUR = timedelta(hours=1)
PLANES = (CTP1, replace(CTP2, group="search"))
Owned = tuple[Gvk, str | None, int]
"""A kind, the team on its label, and how many."""


class Filler:
    """One control plane's collector: each call stores an hour of what stayed the same all of it."""

    def __init__(
        self,
        bucket: MemoryBucket,
        number: int,
        start: datetime,
        *,
        inside: int = INSIDE_LIMIT,
        account: str = "acme",
        planes: Sequence[Member] = PLANES,
        **labels: str,
    ) -> None:
        self._inside = inside
        self._account = account
        self.plane = replace(planes[number], created_at=start)
        self.bucket = bucket
        self.labels = labels
        self._census = tuple(replace(plane, created_at=start) for plane in planes)
        self._link = Link(f"spool-{number}")
        self._sequence = 0

    def hour(
        self,
        hour: datetime,
        owned: Sequence[Owned],
        *,
        dimensions: bool = True,
        part: tuple[float, float] = (0, 1),
        stored_at: datetime | None = None,
    ) -> Packed:
        """``part`` is the stretch of the hour; ``stored_at`` is S3's time in the receipts."""
        counts: dict[Gvk, int] = {}
        for gvk, _, count in owned:
            counts[gvk] = counts.get(gvk, 0) + count
        frames: list[Frame] = [Census(self._census), Described(("team",), self.labels)]
        told = {
            n: Dimensions(Meter.MANAGED, gvk, "provider-aws", labels=(team,)) for n, (gvk, team, _) in enumerate(owned)
        }
        rows = {n: Measure(count) for n, (_, _, count) in enumerate(owned)}
        start, end = (hour + each * HOUR for each in part)
        for at in (start, end):
            frames.append(Sample(at, counts))
            if dimensions:
                frames.append(Metered(at, True, told, rows))
        packed = pack(
            Opening(a_source(control_plane=self.plane, account=self._account), self._sequence, start),
            frames,
            inside=self._inside,
        )
        assert packed is not None
        if stored_at is not None:
            receipts = tuple(Receipt(o.key, f"R{o.sha256[:8]}", "", stored_at) for o in packed.objects)
            self._link = replace(self._link, receipts=receipts)
        record = manifest(packed, self._link)
        for stored in (*packed.objects, record):
            self.bucket.put_new(stored.key, stored.body)
        self._link = replace(self._link, chain=Chain.CONTINUED, previous=record.sha256, receipts=())
        self._sequence += 1
        return packed


def two_teams(start: datetime, hours: int, *, inside: int = INSIDE_LIMIT) -> MemoryBucket:
    """Payments has a VPC more every hour, search two buckets; one VPC is nobody's."""
    bucket = MemoryBucket()
    first = Filler(bucket, 0, start, inside=inside)
    second = Filler(bucket, 1, start, inside=inside, team="search")
    for number in range(hours):
        hour = start + number * HOUR
        first.hour(hour, [(VPC, "payments", 1 + number), (VPC, None, 1)])
        second.hour(hour, [(BUCKET, "search", 2), (BUCKET, "payments", 1)])
    return bucket
