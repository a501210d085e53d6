"""Reads are shared per identity and name: many ExternalSecrets do not repeat one read, nor one failure.

A value is kept as long as a reader may take one of its age, ``MOST_AGE_SECONDS`` at most and ``KEPT_BYTES`` in all, and
is never shared between identities, of which the bounds of a namespace are a part.

The wait doubles from a second to ``CAP_SECONDS``, also for what does not pass by itself (a right, a name): whoever
mends it looks whether it helped, and should not wait for longer. A read that is asked for by a person (a changed spec
or annotation) goes through at once.
Concurrent reads of the same thing by the same identity are one call. When AWS answers again after it was busy or away,
what else the identity waits for is tried again, too.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from keyless.api import KeylessError, Transient
from keyless.kube import Backoff
from keyless.shared_secrets.stores.model import Payload, RemoteRef
from keyless.shared_secrets.stores.ports import Reader

CAP_SECONDS = 300.0
SETTLED_SECONDS = 1.0
MAX_REMEMBERED = 10_000
MOST_AGE_SECONDS = 60.0
KEPT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class _Kept:
    payload: Payload = field(repr=False)
    at: float
    size: int


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
        self._kept: OrderedDict[tuple[str, RemoteRef], _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._sweep: asyncio.TimerHandle | None = None
        self.reads = 0

    async def read(
        self, reader: Reader, ref: RemoteRef, *, fresh: bool = False, most_age_seconds: float = 0.0
    ) -> Payload:
        """Read through the guard; ``fresh`` ignores what failed before, a value may be ``most_age_seconds`` old."""
        key = (reader.identity, ref)
        kept = self._kept.get(key)
        if kept and self._clock() - kept.at < min(most_age_seconds, MOST_AGE_SECONDS):
            return kept.payload
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

    def age_seconds(self, reader: Reader, ref: RemoteRef) -> float:
        """Return how long ago a value was asked for that was just given; one that is not kept was read just now."""
        kept = self._kept.get((reader.identity, ref))
        return max(0.0, self._clock() - kept.at) if kept else 0.0

    def forgive(self) -> None:
        """Forget what failed: what it failed for, an identity or a store, may have been mended."""
        self._failed.clear()

    async def _read(self, key: tuple[str, RemoteRef], reader: Reader, ref: RemoteRef) -> Payload:
        self.reads += 1
        # A value is as old as the question: what changed while AWS answered may not be in it.
        asked = self._clock()
        try:
            payload = await reader.read(ref)
        except KeylessError as error:
            self._drop(key)
            self._remember(key, error)
            raise
        self._keep(key, payload, asked)
        failed = self._failed.pop(key, None)
        if failed and isinstance(failed.error, Transient):
            self._forgive_busy(key[0])
            self._recovered()
        return payload

    def _keep(self, key: tuple[str, RemoteRef], payload: Payload, at: float) -> None:
        self._drop(key)
        size = len(payload.text or "") * 4 + len(payload.binary or b"") + 512
        if size > KEPT_BYTES // 4:
            return
        self._kept[key] = _Kept(payload, at, size)
        self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES:
            self._drop(next(iter(self._kept)))
        if self._sweep is None:
            # Also when nothing more is read: a value stays in memory no longer than it may be used.
            self._sweep = asyncio.get_running_loop().call_later(MOST_AGE_SECONDS, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        oldest = self._clock() - MOST_AGE_SECONDS
        for key in [key for key, kept in self._kept.items() if kept.at <= oldest]:
            self._drop(key)
        if self._kept:
            self._sweep = asyncio.get_running_loop().call_later(MOST_AGE_SECONDS, self._swept)

    def _drop(self, key: tuple[str, RemoteRef]) -> None:
        kept = self._kept.pop(key, None)
        self._kept_bytes -= kept.size if kept else 0

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
        # What only a person mends is asked for less and less; what passes by itself is missed no longer than needed.
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
