"""What the collector does next: pure decisions about samples, segments and uploads.

The recorder and the uploader gather facts, ask here, and act. Both may be stopped after any step: a segment that was
closed is uploaded by the next run, and an upload that was done is found done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from keyless.billing.ledger.model import HOUR, Gap, hour_of

COLLECTOR_STOPPED = "CollectorStopped"
COLLECTOR_STARTED = "CollectorStarted"
CONTROL_PLANE_UNREACHABLE = "ControlPlaneUnreachable"

FIRST_RETRY = timedelta(seconds=2)
LAST_RETRY = timedelta(seconds=60)


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


def next_sample_at(last: datetime | None, now: datetime, interval: timedelta) -> datetime:
    """When the next sample is due: after the interval, and always at the turn of the hour."""
    if last is None:
        return now
    return min(last + interval, hour_of(last) + HOUR)


def must_close(recording: Recording, now: datetime, flush: timedelta) -> bool:
    """Whether the open segment ends here: at its hour's end, when its upload is due, after the very first sample."""
    if recording.opened_at is None or recording.samples == 0:
        return False
    if not recording.ever_closed or now - recording.opened_at >= flush:
        return True
    return hour_of(now) > hour_of(recording.opened_at)


def beginning(
    last: datetime | None, now: datetime, *, interval: timedelta, born: datetime, restarted: bool
) -> Beginning:
    """How the segment that starts with a sample at ``now`` joins what came before.

    Where nothing is known of an earlier run, the gap reaches back to the hour's start, or to the control plane's
    birth: whatever an earlier run did store of it, the reader of the manifests subtracts.
    """
    if last is None:
        start = max(hour_of(now), min(born, now))
        gap = Gap(start, now, COLLECTOR_STARTED) if now - start > 3 * interval else None
        return Beginning(since=start if gap is None else None, gap=gap)
    if now - last > 3 * interval:
        return Beginning(None, Gap(last, now, COLLECTOR_STOPPED if restarted else CONTROL_PLANE_UNREACHABLE))
    return Beginning(since=last, gap=None)


def retry_after(failures: int, told_seconds: float | None) -> timedelta:
    """How long the uploader waits after its n-th failure in a row; never for ever, since the cause may be mended."""
    if told_seconds is not None:
        return min(timedelta(seconds=told_seconds), LAST_RETRY)
    doubled: timedelta = FIRST_RETRY * 2 ** min(failures - 1, 10)
    return min(doubled, LAST_RETRY)
