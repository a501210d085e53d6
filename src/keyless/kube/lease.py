"""One of several works, the others wait: leader election by a Lease.

Every contender counts on its own clock how long the Lease has not changed; so clocks may differ, only their pace may
not. The holder stops its work when it could not renew for ``renew_seconds``, before any other may take over.

Rules: https://pkg.go.dev/k8s.io/client-go/tools/leaderelection (the defaults are its own)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from keyless.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from keyless.kube.kube import Kube
from keyless.kube.model import version_of
from keyless.kube.resources import LEASES, KubeObject

Move = Literal["create", "take", "renew", "wait"]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds: how long a Lease lasts, when a holder that cannot renew it stops, and between two tries."""

    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """A version of the Lease and when, by one's own clock, it was first seen."""

    version: str
    at: float


def sighted(lease: KubeObject | None, before: Sighting | None, clock: float) -> Sighting:
    """Return since when the Lease has been as it is. Pure."""
    version = version_of(lease or {})
    return before if before and before.version == version else Sighting(version, clock)


def decide(lease: KubeObject | None, identity: str, seen: Sighting, clock: float) -> Move:
    """Return what ``identity`` may do with the Lease that it has seen since ``seen``. Pure."""
    if lease is None:
        return "create"
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if holder == identity:
        return "renew"
    # A Lease without a term is nobody's promise; without a holder it was released.
    lasts = float(spec.get("leaseDurationSeconds") or 0)
    return "take" if not holder or clock - seen.at >= lasts else "wait"


def written(lease: KubeObject | None, identity: str, now: datetime, terms: Terms) -> KubeObject:
    """Return the spec with which ``identity`` holds the Lease. Pure."""
    old = (lease or {}).get("spec") or {}
    time_text, mine = _micro_time(now), old.get("holderIdentity") == identity
    changes = int(old.get("leaseTransitions") or 0)
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": max(1, round(terms.lease_seconds)),
        "acquireTime": old.get("acquireTime") or time_text if mine else time_text,
        "renewTime": time_text,
        "leaseTransitions": changes if mine or not lease else changes + 1,
    }


class Lease:
    """One contender for one Lease. ``clock`` is monotonic seconds, ``now`` the time that others read."""

    def __init__(
        self,
        kube: Kube,
        name: str,
        namespace: str,
        identity: str,
        *,
        terms: Terms = Terms(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube, self._name, self._namespace, self._identity = kube, name, namespace, identity
        self._terms, self._clock, self._now = terms, clock, now
        self._seen: Sighting | None = None
        self._renewed_at: float | None = None
        self.fault = ""
        """Why the API server could not be asked, empty when it could: a wait for another holder is no fault."""

    @property
    def is_held(self) -> bool:
        """Whether work may go on: the last renewal is young enough that nobody else can have the Lease."""
        return self._renewed_at is not None and self._clock() - self._renewed_at < self._terms.renew_seconds

    async def hold(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` whenever the Lease is held, until cancelled: then the work ends first, and the Lease is freed.

        What ``work`` raises is raised; a lost Lease cancels it, and it begins anew with the next.
        """
        try:
            while True:
                await self._acquire()
                _log.info("lease acquired", lease=self._name, identity=self._identity)
                await self._work(work)
                _log.warning("lease lost", lease=self._name, identity=self._identity)
        finally:
            await self._release()

    async def _acquire(self) -> None:
        while not await self._try():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(self._terms.retry_seconds)

    async def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        """Work until the Lease is lost; the work has ended when this returns."""
        working = asyncio.ensure_future(work())
        keeping = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.wait({working, keeping})
        for task in (working, keeping):
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def _keep(self) -> None:
        """Renew until that has failed for too long, or another holds the Lease."""
        while self.is_held:
            await asyncio.sleep(self._terms.retry_seconds)
            left = self._terms.renew_seconds - (self._clock() - (self._renewed_at or 0.0))
            try:
                async with asyncio.timeout(max(0.0, left)):
                    await self._try()
            except TimeoutError:
                break
        self._renewed_at = None

    async def _try(self) -> bool:
        """Try once to hold the Lease; returns whether it is held."""
        asked_at = self._clock()
        try:
            lease = await self._found()
            self._seen = sighted(lease, self._seen, self._clock())
            move = decide(lease, self._identity, self._seen, self._clock())
            self.fault = ""
            if move == "wait":
                self._renewed_at = None
                return False
            await self._write(lease)
        except (AlreadyExists, Conflict):
            return False  # another was faster; the next look shows who
        except ApiError as error:
            self.fault = f"lease {self._name}: {error.reason or error.code or 'no answer'}"
            _log.warning("lease not renewed", lease=self._name, reason=error.reason or str(error.code))
            return False
        # Counted from before the request: others saw the change no earlier.
        self._renewed_at = asked_at
        return True

    async def _found(self) -> KubeObject | None:
        try:
            return await self._kube.get(LEASES, self._name, self._namespace)
        except NotFound:
            return None

    async def _write(self, lease: KubeObject | None) -> None:
        spec = written(lease, self._identity, self._now(), self._terms)
        if lease is None:
            await self._kube.create(LEASES, {"metadata": {"name": self._name}, "spec": spec}, self._namespace)
        else:
            await self._kube.replace(LEASES, {**lease, "spec": spec}, self._namespace)

    async def _release(self) -> None:
        """Free the Lease if it is ours, so that the next need not wait; a failure only costs that wait."""
        if self._renewed_at is None:
            return
        self._renewed_at = None
        try:
            lease = await self._found()
            if lease and (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                freed = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._kube.replace(LEASES, {**lease, "spec": freed}, self._namespace)
        except ApiError as error:
            _log.info("lease not released", lease=self._name, reason=error.reason or str(error.code))


def _micro_time(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
