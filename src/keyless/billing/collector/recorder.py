"""Takes samples and keeps them in the spool. Never waits for the bucket: without credentials it goes on collecting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from keyless.api import KeylessError
from keyless.billing.collector.plan import Recording, beginning, must_close, next_sample_at
from keyless.billing.collector.ports import Counter, Host
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.spool import Spool
from keyless.billing.ledger import frames
from keyless.billing.ledger.model import Gvk, Member, Sample, Segment, Source, hour_of

_log = structlog.get_logger("keyless.vector.recorder")
# A burst of creations is one sample, not a hundred.
SETTLE_SECONDS = 0.5


class Recorder:
    """One control plane's samples, into one spool."""

    def __init__(
        self, settings: Settings, spool: Spool, counter: Counter, host: Host, *, now: Callable[[], datetime]
    ) -> None:
        self.samples_taken = 0
        self.last_failure = ""
        self.closed = asyncio.Event()
        """Set whenever a segment was closed and waits for its upload."""
        self._settings = settings
        self._spool = spool
        self._counter = counter
        self._host = host
        self._now = now
        self._recording = Recording(None, 0, spool.head.last_sample, ever_closed=False)
        self._restarted = spool.head.last_sample is not None
        self._census: tuple[Member, ...] = ()

    async def run(self, own: Member) -> None:
        """Take samples until cancelled."""
        while True:
            await self.sample(own)
            due = next_sample_at(self._recording.last_sample, self._now(), self._settings.interval)
            wait = max((due - self._now()).total_seconds(), 0.0)
            # After a failure the last sample is old and the next one overdue: do not spin.
            await self._pause(max(wait, 1.0) if self.last_failure else wait)

    async def sample(self, own: Member) -> None:
        """Take one sample; a control plane that does not answer leaves a gap, not a zero."""
        try:
            counts = await self._counter.counts()
            census = await self._host.census()
        except KeylessError as error:
            self.last_failure = str(error)
            _log.warning("no sample", error=str(error))
            return
        self.last_failure = ""
        self._keep(own, counts, census)

    def close(self) -> None:
        """End the open segment, so that it can be uploaded."""
        if self._recording.opened_at is not None and self._recording.samples:
            self._spool.close()
            self._recording = Recording(None, 0, self._recording.last_sample, ever_closed=True)
            self.closed.set()

    async def _pause(self, seconds: float) -> None:
        if seconds <= SETTLE_SECONDS:
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(SETTLE_SECONDS)
        try:
            await asyncio.wait_for(self._counter.changed(), seconds - SETTLE_SECONDS)
        except TimeoutError:
            return

    def _keep(self, own: Member, counts: dict[Gvk, int], census: tuple[Member, ...]) -> None:
        now = self._now()
        last = self._recording.last_sample
        turned = last is not None and hour_of(now) > hour_of(last)
        late = last is not None and now - last > 3 * self._settings.interval
        if self._recording.opened_at is not None and (turned or late):
            self.close()
        if self._recording.opened_at is None:
            self._open(own, now)
        if census != self._census or self._recording.samples == 0:
            self._census = census
            self._spool.append(frames.census_frame(census))
        self._spool.sample(Sample(now, counts))
        self.samples_taken += 1
        recording = self._recording
        self._recording = Recording(recording.opened_at, recording.samples + 1, now, recording.ever_closed)
        if must_close(self._recording, now, self._settings.flush_interval):
            self.close()

    def _open(self, own: Member, now: datetime) -> None:
        joined = beginning(
            self._recording.last_sample,
            now,
            interval=self._settings.interval,
            born=own.created_at,
            restarted=self._restarted,
        )
        self._restarted = False
        source = Source(self._settings.account, own, self._settings.pod_uid, self._settings.interval_seconds)
        self._spool.open(Segment(source, self._spool.head.sequence, joined.since, samples=()))
        if joined.gap is not None:
            self._spool.append(frames.gap_frame(joined.gap))
        self._recording = Recording(now, 0, self._recording.last_sample, self._recording.ever_closed)
