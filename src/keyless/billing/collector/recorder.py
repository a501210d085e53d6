"""Takes samples and keeps them in the spool. Waits neither for the bucket nor for a count: it writes what is known."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from keyless.billing.collector import plan
from keyless.billing.collector.clock import Clock
from keyless.billing.collector.plan import Recording, beginning, edge_sample_at, must_close, next_sample_at
from keyless.billing.collector.ports import Counter, Counts, Host
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.spool import Spool
from keyless.billing.ledger.model import (
    Census,
    Described,
    Frame,
    Gvk,
    Member,
    Opening,
    Polled,
    Sample,
    Source,
    Unknown,
    hour_of,
)

_log = structlog.get_logger("keyless.vector.recorder")
# A burst of creations is one sample, not a hundred.
SETTLE_SECONDS = 0.5
CHANGE_SECONDS = 5.0
"""Changes bring at most one sample in this time; what came and went in between is told by the peaks."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Recorder:
    """One control plane's samples, into one spool."""

    def __init__(self, settings: Settings, spool: Spool, counter: Counter, host: Host, clock: Clock) -> None:
        self.samples_taken = 0
        self.last_failure: tuple[str, str] | None = None
        """One word and a text: why there was no sample just now."""
        self.unknown: Mapping[Gvk, Unknown] = {}
        self.closed = asyncio.Event()
        """Set whenever a segment was closed and waits for its upload."""
        self._settings = settings
        self._spool = spool
        self._counter = counter
        self._host = host
        self._clock = clock
        self._recording = Recording(None, 0, spool.head.last_sample, ever_closed=False)
        # Why the next sample is late, if it is: of the first one, that the collector did not run.
        self._late: tuple[str, str] = (plan.COLLECTOR_STOPPED, "")
        self._counts: Mapping[Gvk, int] = {}
        # Peaks are told once: those of a sample that could not be written belong to the next one.
        self._unwritten: Mapping[datetime, Mapping[Gvk, int]] = {}
        self._census: tuple[Member, ...] = ()
        self._polled: Polled | None = None
        self._described: Described | None = None
        # A frame of dimensions that was not written is told by none that follows, but by a whole one.
        self._whole_due = False

    @property
    def last_sample(self) -> datetime | None:
        """When the last one was taken, by this run or the one before."""
        return self._recording.last_sample

    @property
    def open_since(self) -> datetime | None:
        """The beginning of the open segment."""
        return self._recording.opened_at

    async def run(self) -> None:
        """Take samples until cancelled."""
        await self._counter.settled()
        while True:
            self.sample()
            now = self._clock.now()
            due = next_sample_at(now, self._settings.interval)
            await self._pause((due - now).total_seconds())

    def sample(self) -> None:
        """Take one sample; a control plane that does not answer leaves a gap, not a zero."""
        self._clock.check()
        counts = self._counter.counts()
        self.unknown = counts.unknown
        if counts.failure is not None:
            self._fail(*counts.failure)
            return
        counts = replace(counts, peaks=_most(self._unwritten, counts.peaks))
        try:
            self._keep(counts)
        except OSError as error:
            self._unwritten, self._whole_due = counts.peaks, True
            full = error.errno in _FULL
            self._fail(plan.SPOOL_FULL if full else plan.SPOOL_BROKEN, str(error.strerror))
            # What is there can be stored now, not only at the hour's end: that makes room.
            self.close()
            return
        self._unwritten, self._whole_due = {}, False
        self.last_failure = None
        self._late = (plan.COLLECTOR_LATE, "")

    def close(self) -> None:
        """End the open segment, so that it can be uploaded."""
        if self._recording.opened_at is not None and self._recording.samples:
            self._spool.close()
            self._recording = Recording(None, 0, self._recording.last_sample, ever_closed=True)
            self.closed.set()

    def _fail(self, reason: str, detail: str) -> None:
        if self.last_failure != (reason, detail):
            _log.warning("no sample", reason=reason, error=detail)
        self.last_failure = self._late = (reason, detail[:300])

    async def _pause(self, seconds: float) -> None:
        """Until the next sample is due, or something has changed and a while has passed."""
        if seconds <= CHANGE_SECONDS:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._counter.changed()
                settled = asyncio.get_running_loop().time() + SETTLE_SECONDS
                since_last = self._since_last()
                settled += max(CHANGE_SECONDS - SETTLE_SECONDS - since_last, 0.0)
                await asyncio.sleep(min(settled, limit.when() or settled) - asyncio.get_running_loop().time())
        except TimeoutError:
            return

    def _since_last(self) -> float:
        last = self._recording.last_sample
        return CHANGE_SECONDS if last is None else (self._clock.now() - last).total_seconds()

    def _keep(self, counts: Counts) -> None:
        now = self._clock.now()
        last, interval = self._recording.last_sample, self._settings.interval
        # Only one who looked all the time knows what was there at the hour's end.
        looked = self._recording.last_sample if self.samples_taken and self.last_failure is None else None
        if (edge := edge_sample_at(looked, now, interval)) is not None:
            numbers = self._counts_at(hour_of(edge), counts)
            self._write(Sample(edge, numbers, self._peaks(counts, numbers, edge), counts.unknown), counts.polled)
            self._counts = numbers
        if last is not None and (hour_of(now) != hour_of(last) or not timedelta() <= now - last <= 3 * interval):
            self.close()
        peaks = self._peaks(counts, counts.counts, now)
        self._write(Sample(now, counts.counts, peaks, counts.unknown), counts.polled)
        self._counts = counts.counts
        self.samples_taken += 1
        if must_close(self._recording, now, self._settings.flush_interval):
            self.close()

    def _write(self, sample: Sample, polled: Polled | None) -> None:
        if self._recording.opened_at is None:
            self._begin(sample, polled)
        else:
            self._append(*self._news(polled), sample, *self._dimensions(sample.at, whole=self._whole_due))

    def _counts_at(self, hour: datetime, counts: Counts) -> Mapping[Gvk, int]:
        """The numbers at an hour's end: what changed after it does not count there."""
        later = {gvk for seen, peaks in counts.peaks.items() if seen > hour for gvk in peaks}
        return {**counts.counts, **{gvk: self._counts.get(gvk, 0) for gvk in later if gvk not in counts.unknown}}

    def _peaks(self, counts: Counts, numbers: Mapping[Gvk, int], at: datetime) -> Mapping[Gvk, int]:
        """What neither this sample nor the one before tells already."""
        told = self._counts
        seen = counts.peaks.get(hour_of(at), {})
        return {gvk: peak for gvk, peak in seen.items() if peak > numbers.get(gvk, 0) and peak > told.get(gvk, 0)}

    def _begin(self, sample: Sample, polled: Polled | None) -> None:
        own = self._host.own()
        state = self._clock.state()
        reason, detail = (plan.CLOCK_SET, "") if state.jumps and self.samples_taken else self._late
        joined = beginning(
            self._recording.last_sample,
            sample.at,
            interval=self._settings.interval,
            born=own.billed_from or own.created_at,
            reason=reason,
            detail=detail,
        )
        source = Source(self._settings.account, own, self._settings.pod_uid, self._settings.interval_seconds)
        opening = Opening(source, self._spool.next_sequence, joined.since)
        census = self._host.census()
        # Written once, for a segment that is uploaded again must be the same bytes.
        contents: list[Frame] = [Census(census, self._host.heads()), state]
        contents += [polled] if polled else []
        contents += [joined.gap] if joined.gap else []
        described = self._describe()
        self._spool.begin(opening, [*contents, described, sample, *self._dimensions(sample.at, whole=True)])
        self._census, self._polled, self._described = census, polled, described
        self._recording = Recording(sample.at, 1, sample.at, self._recording.ever_closed)

    def _describe(self) -> Described:
        return Described(self._settings.labels, dict(self._host.labels()))

    def _dimensions(self, at: datetime, *, whole: bool) -> list[Frame]:
        metered = self._counter.metered(at, whole=whole)
        return [metered] if metered is not None else []

    def _news(self, polled: Polled | None) -> list[Frame]:
        """What has changed since it was last written, beside the numbers."""
        contents: list[Frame] = []
        census = self._host.census()
        if census != self._census:
            self._census = census
            contents.append(Census(census))
        if polled is not None and polled != self._polled:
            self._polled = polled
            contents.append(polled)
        if (described := self._describe()) != self._described:
            self._described = described
            contents.append(described)
        if (state := self._clock.news()) is not None:
            contents.append(state)
        return contents

    def _append(self, *contents: Frame) -> None:
        self._spool.append(*contents)
        samples = [each for each in contents if isinstance(each, Sample)]
        self._recording = replace(
            self._recording, samples=self._recording.samples + len(samples), last_sample=samples[-1].at
        )


def _most(
    one: Mapping[datetime, Mapping[Gvk, int]], other: Mapping[datetime, Mapping[Gvk, int]]
) -> Mapping[datetime, Mapping[Gvk, int]]:
    if not one:
        return other
    return {
        hour: {
            gvk: max(one.get(hour, {}).get(gvk, 0), other.get(hour, {}).get(gvk, 0))
            for gvk in one.get(hour, {}).keys() | other.get(hour, {}).keys()
        }
        for hour in one.keys() | other.keys()
    }
