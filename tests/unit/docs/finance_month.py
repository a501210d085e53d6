"""The month that docs/how-to/serve-finance.md shows: its last week, in which two teams had a control plane each."""

from __future__ import annotations

from datetime import UTC, datetime

from unit.billing.bucket import MemoryBucket
from unit.billing.samples import BUCKET, VPC
from unit.billing.teams_bucket import HOUR, Filler

START, HOURS = datetime(2026, 10, 25, tzinfo=UTC), 168
NOW = START + HOURS * HOUR + HOUR / 3
"""Twenty minutes after the month: its last hour is closed."""


def finance_month() -> MemoryBucket:
    """Payments has three VPCs, and from the 29th a bucket; search has two buckets; one VPC is nobody's."""
    bucket = MemoryBucket()
    first, second = Filler(bucket, 0, START), Filler(bucket, 1, START, team="search")
    for number in range(HOURS):
        hour = START + number * HOUR
        late = [(BUCKET, "payments", 1)] if number >= 4 * 24 else []
        first.hour(hour, [(VPC, "payments", 3), (VPC, None, 1), *late])
        second.hour(hour, [(BUCKET, "search", 2)])
    return bucket
