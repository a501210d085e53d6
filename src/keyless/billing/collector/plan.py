"""What the collector does next: pure decisions about samples, segments and uploads.

The recorder and the uploader gather facts, ask here, and act. Both may be stopped after any step: a segment that was
closed is uploaded by the next run, and an upload that was done is found done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyless.billing.ledger.model import HOUR, ChainHead, Gap, hour_of

COLLECTOR_STOPPED = "CollectorStopped"
COLLECTOR_STARTED = "CollectorStarted"
COLLECTOR_LATE = "CollectorLate"
CONTROL_PLANE_UNREACHABLE = "ControlPlaneUnreachable"
CLOCK_SET = "ClockSet"
SPOOL_FULL = "SpoolFull"
SPOOL_BROKEN = "SpoolBroken"

FIRST_RETRY = timedelta(seconds=2)
LAST_RETRY = timedelta(seconds=60)
NEIGHBOURS = 4
"""More would make every manifest larger for nothing: one of them that is left tells of a chain that was cut."""
EDGE = timedelta(milliseconds=1)
"""The last sample of an hour stands this long before its end."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The open segment as the recorder knows it; ``last_sample`` may lie before the segment."""

    opened_at: datetime | None
    samples: int
    last_sample: datetime | None
    ever_closed: bool


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a new segment starts: what it continues, and the gap it must own up to."""

    since: datetime | None
    gap: Gap | None


def next_sample_at(now: datetime, interval: timedelta) -> datetime:
    """When the next sample is due: on the grid of intervals within the hour, so that none of them is without one."""
    start = hour_of(now)
    return min(start + (int((now - start) / interval) + 1) * interval, start + HOUR)


def edge_sample_at(last: datetime | None, now: datetime, interval: timedelta) -> datetime | None:
    """The last moment of the hour that has just ended, where the samples reach up to it; else None."""
    if last is None or hour_of(now) != hour_of(last) + HOUR or now - last > 3 * interval:
        return None
    edge = hour_of(now) - EDGE
    return edge if edge > last else None


def must_close(recording: Recording, now: datetime, flush: timedelta) -> bool:
    """Whether the open segment ends here: at its hour's end, when its upload is due, after the very first sample."""
    if recording.opened_at is None or recording.samples == 0:
        return False
    if not recording.ever_closed or now - recording.opened_at >= flush:
        return True
    return hour_of(now) > hour_of(recording.opened_at)


def beginning(
    last: datetime | None,
    now: datetime,
    *,
    interval: timedelta,
    born: datetime,
    reason: str,
    detail: str = "",
) -> Beginning:
    """How the segment that starts with a sample at ``now`` joins what came before.

    Where nothing is known of an earlier run, the gap reaches back to the hour's start, or to the control plane's
    birth: whatever an earlier run did store of it, the reader of the manifests subtracts. ``reason`` and ``detail`` say
    why there was no sample for so long.
    """
    if last is None:
        start = max(hour_of(now), min(born, now))
        gap = Gap(start, now, COLLECTOR_STARTED) if now - start > 3 * interval else None
        return Beginning(since=start if gap is None else None, gap=gap)
    if now < last:
        # S3 said that our time was ahead: what was recorded so far stands in the future.
        return Beginning(None, None)
    if now - last > 3 * interval:
        return Beginning(None, Gap(last, now, reason, detail=detail))
    # Two samples bound what lay between them; what came and went while nobody looked is owned up to all the same.
    return Beginning(since=last, gap=Gap(last, now, reason, detail=detail) if reason == COLLECTOR_STOPPED else None)


def neighbours(own: str, heads: Iterable[ChainHead]) -> tuple[ChainHead, ...]:
    """The heads of the few control planes that come after ``own`` in a ring of all: as many keep each."""
    later = sorted(heads, key=lambda head: (head.control_plane <= own, head.control_plane))
    return tuple(sorted([head for head in later if head.control_plane != own][:NEIGHBOURS]))


def retry_after(failures: int, told_seconds: float | None) -> timedelta:
    """How long the uploader waits after its n-th failure in a row; never for ever, since the cause may be mended."""
    if told_seconds is not None:
        return min(timedelta(seconds=max(told_seconds, 0.0)), LAST_RETRY)
    doubled: timedelta = FIRST_RETRY * 2 ** min(failures - 1, 10)
    return min(doubled, LAST_RETRY)


def closed_through(
    waiting_since: datetime | None, now: datetime, stored_to: datetime | None, billed_from: datetime | None
) -> datetime | None:
    """The end of the last hour of which everything is stored; None where nothing is.

    ``waiting_since`` is the earliest hour of which something still waits (the open segment's, at the latest). No hour
    before ``billed_from`` counts.
    """
    if stored_to is None:
        return None
    end = hour_of(now) if waiting_since is None else min(hour_of(waiting_since), hour_of(now))
    return end.astimezone(UTC) if billed_from is None or end > billed_from else None
