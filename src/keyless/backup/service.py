"""``keyless run backup``: a snapshot at each interval, and one more when the control plane is deleted or paused.

With ``restore`` it puts one back and ends: see ``restoring.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import KeylessError, Reason, Transient
from keyless.api.sealed_by import name_of, sealers_of
from keyless.backup import plan
from keyless.backup.bucket import Bucket
from keyless.backup.checking import Checker
from keyless.backup.etcd import Etcd, EtcdFailure
from keyless.backup.host import Host, Said
from keyless.backup.model import (
    ENCRYPTION,
    MANIFEST,
    SNAPSHOT,
    Manifest,
    Refused,
    Source,
    State,
    folder_name,
    home,
    to_bytes,
)
from keyless.backup.restoring import Restoring
from keyless.backup.sealing import Sealed
from keyless.backup.settings import Settings
from keyless.kube import Backoff, connect, keep_in_touch
from keyless.serving import Probes, bind, serve
from keyless.tasks import Tasks

ATTEMPT_SECONDS = 1800.0
"""2 GiB at ten Mbit/s; an attempt that hangs on anything ends as a failure."""
LAST_SECONDS = 100.0
"""Within the pod's grace period of two minutes."""
LAST_WAITS = (2.0, 4.0, 8.0, 16.0)
"""Seconds between the attempts at a last snapshot, where what refused it may not refuse the next one."""
_WAITS = Backoff(first_seconds=5.0, cap_seconds=300.0)
_log = structlog.get_logger("keyless.backup")


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run until cancelled."""
    bucket = Bucket.from_environment(
        environ,
        settings.bucket,
        region=settings.region,
        endpoint=settings.endpoint,
        writing=settings.writing,
        style=settings.addressing_style,
    )
    async with connect(environ) as kube:
        host = Host(kube, source_of(settings), _now, settings.pod_name)
        if settings.restore:
            await Restoring(settings, bucket, host, kube).run()
            return
        backups = Backups(settings, Etcd(Path(settings.etcd_dir)), bucket, host, _now)
        probes = Probes(lambda: kube.contact.trouble, backups.metrics())
        async with Tasks() as tasks:
            tasks.create_task(serve(probes, bind(settings.pod_ip, settings.port)))
            tasks.create_task(keep_in_touch(kube))
            await tasks.create_task(backups.run())


def source_of(settings: Settings) -> Source:
    """Whose snapshots these are."""
    return Source(
        settings.control_plane_id, settings.control_plane_group, settings.control_plane_name, settings.host_namespace
    )


class Backups:
    """One control plane's way into the bucket."""

    def __init__(self, settings: Settings, etcd: Etcd, bucket: Bucket, host: Host, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._source = source_of(settings)
        self._etcd, self._bucket, self._host, self._now = etcd, bucket, host, now
        self._place = home(settings.prefix, settings.control_plane_id)
        self._last: datetime | None = None
        self._known = False
        self._in_a_row = 0
        self.failures = 0

    async def run(self) -> None:
        """Take snapshots until cancelled; then one more, where the control plane goes."""
        try:
            await self._run()
        except asyncio.CancelledError:
            await self._attempt(self._last_one, LAST_SECONDS)
            raise

    async def _run(self) -> None:
        while True:
            wait = await self._attempt(self.step, ATTEMPT_SECONDS)
            await asyncio.sleep(wait)

    async def _attempt(self, work: Callable[[], Awaitable[float]], seconds: float) -> float:
        """Do it once, and say what went wrong; the seconds until the next time."""
        try:
            async with asyncio.timeout(seconds):
                wait = await work()
        except TimeoutError:
            return await self._failed("Timeout", f"no end after {seconds:.0f} s")
        except KeylessError as error:
            return await self._failed(str(getattr(error, "code", "") or ""), str(error))
        except OSError as error:
            return await self._failed("", f"{error.filename}: {error.strerror}")
        self._in_a_row = 0
        return wait

    async def step(self) -> float:
        """Take a snapshot if one is due; the seconds until the next."""
        found: Mapping[str, frozenset[str]] = {}
        if not self._known:
            # From the bucket, not from memory: a pod that starts again must not take one more each time.
            found = plan.folders(await self._bucket.keys(self._place), self._place)
            self._last = plan.newest(found)
            self._known = True
        due = plan.due_in_seconds(self._last, self._now(), self._settings.interval)
        if due > 0:
            if whole := plan.complete(found):
                await self._say_listed(whole[-1], due)
            return due
        await self.take()
        return plan.due_in_seconds(self._last, self._now(), self._settings.interval)

    async def _say_listed(self, folder: str, due: float) -> None:
        """What this pod can vouch for until its first snapshot: what the one before said, it said as itself."""
        then = f"{self._now() + timedelta(seconds=due):%Y-%m-%dT%H:%M:%SZ}"
        listed = f"snapshot {self._place}{folder}/ is in s3://{self._bucket.name}, listed{await self._who()}"
        await self._say(Said(True, str(Reason.IDENTITY_PROVEN), f"{listed}; the next one is due at {then}"), None)

    async def _last_one(self) -> float:
        """The pod is ended: with its control plane, or for a rollout. Usage is flushed before this pod is ended."""
        if not await self._host.is_stopping():
            return 0.0
        for seconds in LAST_WAITS:
            try:
                await self.take()
                return 0.0
            except Transient as error:
                _log.warning("last snapshot not stored yet", error=str(error))
                await asyncio.sleep(seconds)
        await self.take()
        return 0.0

    async def take(self) -> Manifest:
        """One snapshot: the database, its keys, then the manifest, without which the rest counts for nothing."""
        state = await self._state()
        at = self._now().replace(microsecond=0)
        folder = f"{self._place}{folder_name(at, state.revision)}/"
        keys = await asyncio.to_thread(Path(self._settings.encryption_file).read_bytes)
        checker, sealed = Checker(), Sealed(self._source.id)
        await self._bucket.upload(folder + SNAPSHOT, self._checked(checker, sealed, keys))
        await self._bucket.put(folder + ENCRYPTION, keys)
        # Once more: what was emptied while it was read is no snapshot without a manifest.
        await self._state()
        manifest = Manifest(self._source, at, state, checker.size, checker.sha256)
        await self._bucket.put(folder + MANIFEST, to_bytes(manifest))
        self._last = at
        left = await self._remove_old()
        who = await self._who()
        message = f"snapshot {folder} of {checker.size} bytes is in s3://{self._bucket.name}{who}{left}"
        await self._say(Said(True, str(Reason.SNAPSHOT_STORED), message), manifest)
        _log.info("snapshot stored", folder=folder, bytes=checker.size, revision=state.revision)
        return manifest

    async def _state(self) -> State:
        """What etcd says of itself; raises where it is not the etcd that the operator knows."""
        state = await self._etcd.state()
        if refusal := plan.emptied(self._settings.holds, state):
            raise Refused(refusal)
        return state

    async def _checked(self, checker: Checker, sealed: Sealed, keys: bytes) -> AsyncGenerator[bytes]:
        """Raises at the end of what is no whole snapshot, or cannot be read, so that its upload is taken back."""
        async with aclosing(self._etcd.snapshot()) as pieces:
            async for piece in pieces:
                checker.feed(piece)
                sealed.feed(piece)
                yield piece
        if not sealed.is_opened_by(name_of(each) for each in sealers_of(keys)):
            unread = EtcdFailure(
                f"etcd's snapshot: Secrets in it are encrypted with a newer key, number {sealed.newest}, than "
                f"{self._settings.encryption_file} has, which the kubelet brings within two minutes; it is taken again"
            )
            unread.code = str(Reason.SNAPSHOT_BROKEN)
            raise unread
        if fault := checker.fault:
            broken = EtcdFailure(f"etcd's snapshot: {fault}; it is taken again")
            broken.code = str(Reason.SNAPSHOT_BROKEN)
            raise broken

    async def _remove_old(self) -> str:
        """What cannot be removed is told beside the success: the snapshot is stored."""
        try:
            keys = await self._bucket.keys(self._place)
            for key in plan.to_delete(keys, self._place, keep=self._settings.keep, now=self._now()):
                await self._bucket.delete(key)
        except KeylessError as error:
            return f"; older ones than the newest {self._settings.keep} are still there: {error}"
        return ""

    async def _who(self) -> str:
        try:
            return f" as {await self._bucket.identity()}"
        except KeylessError as error:
            return f" (by whom, STS did not say: {getattr(error, 'code', '')})"

    async def _failed(self, code: str, text: str) -> float:
        self.failures += 1
        self._in_a_row += 1
        reason = code or str(Reason.SNAPSHOT_NOT_STORED)
        last = f"the last one is of {self._last:%Y-%m-%dT%H:%M:%SZ}" if self._last else "there is none yet"
        _log.warning("snapshot not stored", reason=reason, error=text)
        message = f"s3://{self._bucket.name}/{self._place}: {text}; tried again by itself; {last}"
        await self._say(Said(False, reason, message), None)
        return _WAITS.seconds(self._in_a_row)

    async def _say(self, said: Said, stored: Manifest | None) -> None:
        """The work goes on where it cannot be told."""
        try:
            await self._host.report(said, stored)
        except KeylessError as error:
            _log.warning("condition not written", error=str(error))

    def metrics(self) -> CollectorRegistry:
        """How old the last snapshot is, and how often it failed."""
        registry = CollectorRegistry()
        age = Gauge("keyless_backup_age_seconds", "Seconds since the last snapshot; 0: none yet.", registry=registry)
        age.set_function(lambda: (self._now() - self._last).total_seconds() if self._last else 0.0)
        failed = Gauge("keyless_backup_failures", "Snapshots that failed since the start.", registry=registry)
        failed.set_function(lambda: float(self.failures))
        return registry


def _now() -> datetime:
    return datetime.now(UTC)
