"""Failed reads are remembered per identity and name, so that many ExternalSecrets do not repeat one failure.

The wait doubles from a second to ``CAP_SECONDS``; a read that is asked for by a person (a changed spec or annotation)
goes through at once. Concurrent reads of the same thing by the same identity are one call. Values are not kept. When
AWS answers again after it was busy or away, what else the identity waits for is tried again, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from keyless.api import KeylessError, Transient
from keyless.kube import Backoff
from keyless.shared_secrets.stores.model import Payload, RemoteRef
from keyless.shared_secrets.stores.ports import Reader

CAP_SECONDS = 300.0
SETTLED_SECONDS = 1.0
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Failed:
    error: KeylessError
    times: int
    until: float
    at: float

    def holds(self, now: float, *, fresh: bool) -> bool:
        """Return whether it answers a read; a ``fresh`` one only while AWS was busy or away a moment ago."""
        if fresh:
            # Else hundreds of new objects would ask a busy AWS one after the other, and all others would wait for them.
            return isinstance(self.error, Transient) and now < self.at + SETTLED_SECONDS
        return now < self.until


class ReadGuard:
    """Shared by all syncs of the process; ``clock`` is monotonic seconds, ``recovered`` hears of AWS' recovery."""

    def __init__(self, clock: Callable[[], float], recovered: Callable[[], None] = lambda: None) -> None:
        self._clock, self._recovered = clock, recovered
        self._backoff = Backoff(first_seconds=1.0, cap_seconds=CAP_SECONDS)
        self._failed: dict[tuple[str, RemoteRef], _Failed] = {}
        self._flights: dict[tuple[str, RemoteRef], asyncio.Task[Payload]] = {}
        self.reads = 0

    async def read(self, reader: Reader, ref: RemoteRef, *, fresh: bool = False) -> Payload:
        """Read through the guard; ``fresh`` ignores what failed before."""
        key = (reader.identity, ref)
        failed = self._failed.get(key)
        if failed and failed.holds(self._clock(), fresh=fresh):
            raise failed.error
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._read(key, reader, ref))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    def wait_seconds(self, reader: Reader, ref: RemoteRef) -> float | None:
        """Return how long a failure of this read is remembered yet; None: it is not."""
        failed = self._failed.get((reader.identity, ref))
        return max(0.0, failed.until - self._clock()) if failed else None

    def forgive(self) -> None:
        """Forget what failed: what it failed for, an identity or a store, may have been mended."""
        self._failed.clear()

    async def _read(self, key: tuple[str, RemoteRef], reader: Reader, ref: RemoteRef) -> Payload:
        self.reads += 1
        try:
            payload = await reader.read(ref)
        except KeylessError as error:
            self._remember(key, error)
            raise
        failed = self._failed.pop(key, None)
        if failed and isinstance(failed.error, Transient):
            self._forgive_busy(key[0])
            self._recovered()
        return payload

    def _forgive_busy(self, identity: str) -> None:
        for key, failed in list(self._failed.items()):
            if key[0] == identity and isinstance(failed.error, Transient):
                del self._failed[key]

    def _remember(self, key: tuple[str, RemoteRef], error: KeylessError) -> None:
        before, now = self._failed.get(key), self._clock()
        if before and now < before.until:
            # Many that are new ask at once, whatever failed: together they are one failure, not one wait longer each.
            self._failed[key] = _Failed(error, before.times, before.until, now)
            return
        times = before.times + 1 if before else 1
        wait = self._backoff.seconds(times)
        if isinstance(error, Transient) and error.retry_after_seconds:
            wait = max(wait, error.retry_after_seconds)
        if len(self._failed) >= MAX_REMEMBERED:
            self._failed.clear()
        self._failed[key] = _Failed(error, times, now + wait, now)

    def _landed(self, key: tuple[str, RemoteRef], flight: asyncio.Task[Payload]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # whoever waited has it
