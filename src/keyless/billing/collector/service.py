"""``keyless run vector``: gathers, records, uploads, until it is told to stop; then it flushes.

The name and the service account are the peer's (vector.dev), so that trust policies written for it stay valid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import KeylessError, Permanent
from keyless.billing.collector.clock import Clock
from keyless.billing.collector.counting import ManagedResources
from keyless.billing.collector.disk import Disk
from keyless.billing.collector.health import Vitals, healthy, not_ready, to_say
from keyless.billing.collector.host import Space
from keyless.billing.collector.plan import closed_through
from keyless.billing.collector.ports import HeadSigner
from keyless.billing.collector.recorder import Recorder
from keyless.billing.collector.resuming import resume
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.signer import signer_of
from keyless.billing.collector.spool import Spool
from keyless.billing.collector.storing import S3
from keyless.billing.collector.tally import Tally
from keyless.billing.collector.uploader import Uploader
from keyless.kube import Kube, connect, connect_folder, keep_in_touch
from keyless.serving import Probes, bind, serve
from keyless.tasks import Tasks

_log = structlog.get_logger("keyless.vector")
# Within the pod's grace period of 30 s.
FLUSH_SECONDS = 15.0
LOCK_SECONDS = 1.0
HEALTH_SECONDS = 15.0
START_SECONDS = 10.0
"""How long the first sample waits for the time, the census and the head of an earlier pod's chain."""


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run until cancelled."""
    if settings.provider != "aws":
        raise Permanent(f"billing.storage.provider: expected aws, found {settings.provider!r}; usage is stored in S3")
    clock = Clock()
    store = S3.from_environment(
        environ,
        settings.bucket,
        clock,
        region=settings.region,
        endpoint=settings.endpoint,
        writing=settings.writing,
        addressing_style=settings.addressing_style,
    )
    async with connect(environ) as host_kube, connect_folder(settings.control_plane_dir) as tenant_kube:
        await Collector(settings, store, clock, host_kube, tenant_kube, signer_of(settings, environ)).run()


class Collector:
    """The parts of one collector, put together."""

    def __init__(
        self,
        settings: Settings,
        store: S3,
        clock: Clock,
        host_kube: Kube,
        tenant_kube: Kube,
        signer: HeadSigner | None = None,
    ) -> None:
        self._signer = signer
        self._settings = settings
        self._store = store
        self._clock = clock
        self._counter = ManagedResources(
            tenant_kube,
            settings.interval,
            clock.now,
            watches=settings.watches,
            labels=settings.labels,
            combinations=settings.combinations,
        )
        self._space = Space(host_kube, settings, clock.now)
        self._kubes = {"the Space": host_kube, "the control plane": tenant_kube}
        self._started_at = clock.now()
        self._recorder: Recorder | None = None
        self._uploader: Uploader | None = None
        self._spool: Spool | None = None

    async def run(self) -> None:
        """Run until cancelled, then flush."""
        probes = Probes(self.ready, self._metrics())
        async with Tasks() as tasks:
            background = [
                tasks.create_task(self._counter.run()),
                tasks.create_task(self._space.run()),
                tasks.create_task(serve(probes, bind(self._settings.pod_ip, self._settings.port))),
                tasks.create_task(self._report_health()),
                *(tasks.create_task(keep_in_touch(kube)) for kube in self._kubes.values()),
            ]
            recorder, uploader = await self._prepared()
            working = [tasks.create_task(recorder.run()), tasks.create_task(uploader.run(recorder.closed))]
            try:
                await asyncio.gather(*working)
            except asyncio.CancelledError:
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)
                self._space.leave()
                await _flush(recorder, uploader)
                for task in background:
                    task.cancel()
                raise

    def ready(self) -> str:
        """Why the pod is not ready; empty: it is. A watch that stands hears nothing of a token that became void."""
        lost = (f"{name}: {kube.contact.trouble}" for name, kube in self._kubes.items() if kube.contact.trouble)
        return next(lost, "") or not_ready(self._vitals())

    async def _prepared(self) -> tuple[Recorder, Uploader]:
        """The spool, once it is ours alone, and what an earlier run left there or in the bucket."""
        disk = Disk(Path(self._settings.spool_dir))
        while not disk.lock():
            # The pod before us is being ended and still flushes: its folder is free in a moment.
            _log.warning("another collector uses the spool", folder=str(disk.folder))
            await asyncio.sleep(LOCK_SECONDS)
        spool = self._spool = Spool(disk)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self._store.learn_time()
                await self._space.synced()
        try:
            async with asyncio.timeout(START_SECONDS):
                known = self._space.own().billed_from
                await self._space.report()
                await resume(
                    spool,
                    self._store,
                    self._settings,
                    self._clock.now(),
                    billed_before=known is not None,
                    signature=self._space.signature,
                )
        except (TimeoutError, KeylessError):
            # Who cannot ask whether usage was stored before must not call this the beginning.
            if spool.fresh:
                spool.continue_from_unknown()
        self._recorder = Recorder(self._settings, spool, self._counter, self._space, self._clock)
        self._uploader = Uploader(
            spool,
            self._store,
            self._space,
            bucket=self._settings.bucket,
            now=self._clock.now,
            capacity_from=self._settings.capacity_from,
            signer=self._signer,
        )
        return self._recorder, self._uploader

    async def _report_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            try:
                said = to_say(self._vitals())
                await self._space.report(*([said] if said is not None else []))
                await self._space.reassert()
            except KeylessError as error:
                _log.warning("condition not written", error=str(error))

    def _vitals(self) -> Vitals:
        recorder, uploader, settings = self._recorder, self._uploader, self._settings
        now = self._clock.now()
        if recorder is None or uploader is None or self._spool is None:
            return Vitals(now, settings.interval, settings.flush_interval, self._started_at, None)
        waiting_since = uploader.waiting_since or recorder.open_since
        return Vitals(
            now,
            settings.interval,
            settings.flush_interval,
            self._started_at,
            recorder.last_sample,
            recorder.last_failure,
            recorder.unknown,
            len(self._spool.waiting()),
            uploader.waiting_since,
            uploader.last_failure,
            closed_through(waiting_since, now, uploader.stored_to, self._space.own().billed_from),
            self._clock.offset,
            self._counter.metering.folded,
            self._counter.undescribed,
            self._counter.beginning,
        )

    def _metrics(self) -> CollectorRegistry:
        registry = CollectorRegistry()

        def age(moment: datetime | None) -> float:
            return 0.0 if moment is None else max((self._clock.now() - moment) / timedelta(seconds=1), 0.0)

        def tally() -> Tally:
            return self._spool.tally if self._spool else Tally()

        for name, help_, value in (
            (
                "samples",
                "Samples taken since the start.",
                lambda: self._recorder.samples_taken if self._recorder else 0,
            ),
            (
                "last_sample_age_seconds",
                "Seconds since the last sample.",
                lambda: age(self._vitals().last_sample or self._started_at),
            ),
            ("kinds_not_counted", "Kinds that cannot be counted now.", lambda: len(self._vitals().unknown)),
            (
                "segments_stored",
                "Segments stored since the start.",
                lambda: self._uploader.segments_stored if self._uploader else 0,
            ),
            (
                "combinations_folded",
                "Combinations of dimensions that are coarser than they should be.",
                lambda: self._counter.metering.folded,
            ),
            ("segments_waiting", "Segments waiting for their upload.", lambda: self._vitals().waiting),
            (
                "oldest_waiting_seconds",
                "Age of the oldest usage that could not be stored yet.",
                lambda: age(self._vitals().waiting_since),
            ),
            (
                "upload_failures",
                "Uploads that failed since the start.",
                lambda: self._uploader.failures if self._uploader else 0,
            ),
            ("samples_recorded", "Samples written down: stored, spooled or lost.", lambda: tally().sampled),
            ("samples_stored", "Samples whose manifest was acknowledged.", lambda: tally().stored),
            ("samples_spooled", "Samples that wait in the spool.", lambda: tally().spooled),
            ("samples_lost", "Samples that the disk did not give back; a gap is recorded.", lambda: tally().lost),
            ("spool_bytes", "Size of the spool.", lambda: self._spool.bytes_used if self._spool else 0),
            (
                "clock_offset_seconds",
                "S3's clock less the node's.",
                lambda: self._clock.offset.total_seconds() if self._clock.offset else 0.0,
            ),
            ("healthy", "1 where the condition BillingHealthy is True.", lambda: float(healthy(self._vitals()).status)),
        ):
            Gauge(f"keyless_billing_{name}", help_, registry=registry).set_function(value)
        return registry


async def _flush(recorder: Recorder, uploader: Uploader) -> None:
    """One last sample and one last upload; what cannot be stored now stays in the spool."""
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            recorder.sample()
            recorder.close()
            await uploader.upload_waiting()
    except TimeoutError:
        _log.warning("not flushed in time", seconds=FLUSH_SECONDS)
