"""``keyless run vector``: gathers, records, uploads, until it is told to stop; then it flushes.

The name and the service account are the peer's (vector.dev), so that trust policies written for it stay valid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import Permanent
from keyless.billing.collector.counting import ManagedResources
from keyless.billing.collector.host import Space
from keyless.billing.collector.recorder import Recorder
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.spool import Spool
from keyless.billing.collector.storing import S3
from keyless.billing.collector.uploader import Uploader
from keyless.billing.ledger.model import Member
from keyless.kube import Kube, connect, connect_folder
from keyless.serving import Probes, bind, serve
from keyless.tasks import Tasks

_log = structlog.get_logger("keyless.vector")
# Within the pod's grace period of 30 s.
FLUSH_SECONDS = 15.0


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run until cancelled."""
    if settings.provider != "aws":
        raise Permanent(f"billing.storage.provider: expected aws, found {settings.provider!r}; usage is stored in S3")
    store = S3.from_environment(environ, settings.bucket, region=settings.region, endpoint=settings.endpoint)
    async with connect(environ) as host_kube, connect_folder(settings.control_plane_dir) as tenant_kube:
        await _run(settings, store, host_kube, tenant_kube)


async def _run(settings: Settings, store: S3, host_kube: Kube, tenant_kube: Kube) -> None:
    spool = Spool(Path(settings.spool_dir))
    counter = ManagedResources(tenant_kube)
    space = Space(host_kube, settings)
    recorder = Recorder(settings, spool, counter, space, now=lambda: datetime.now(UTC))
    uploader = Uploader(spool, store, space, bucket=settings.bucket)
    probes = Probes(
        lambda: "" if recorder.samples_taken else "no complete sample yet", _metrics(recorder, uploader, spool)
    )
    async with Tasks() as tasks:
        background = [
            tasks.create_task(counter.run()),
            tasks.create_task(space.run()),
            tasks.create_task(serve(probes, bind(settings.pod_ip, settings.port))),
        ]
        own = await space.own()
        working = [tasks.create_task(recorder.run(own)), tasks.create_task(uploader.run(recorder.closed))]
        try:
            await asyncio.gather(*working)
        except asyncio.CancelledError:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            await _flush(recorder, uploader, own)
            for task in background:
                task.cancel()
            raise


async def _flush(recorder: Recorder, uploader: Uploader, own: Member) -> None:
    """One last sample and one last upload; what cannot be stored now stays in the spool."""
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            await recorder.sample(own)
            recorder.close()
            await uploader.upload_waiting()
    except TimeoutError:
        _log.warning("not flushed in time", seconds=FLUSH_SECONDS)


def _metrics(recorder: Recorder, uploader: Uploader, spool: Spool) -> CollectorRegistry:
    registry = CollectorRegistry()
    for name, help_, value in (
        ("keyless_billing_samples", "Samples taken since the start.", lambda: recorder.samples_taken),
        ("keyless_billing_segments_stored", "Segments stored since the start.", lambda: uploader.segments_stored),
        ("keyless_billing_segments_waiting", "Segments waiting for their upload.", lambda: len(spool.waiting())),
    ):
        Gauge(name, help_, registry=registry).set_function(value)
    return registry
