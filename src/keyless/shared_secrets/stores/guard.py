"""Failed reads are remembered per identity and name, so that many ExternalSecrets do not repeat one failure.

The wait doubles from a second to ``CAP_SECONDS``; a read that is asked for by a person (a changed spec or annotation)
goes through at once. Concurrent reads of the same thing by the same identity are one call. Values are not kept.
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
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Failed:
    error: KeylessError
    times: int
    until: float


class ReadGuard:
    """Shared by all syncs of the process; ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff(first_seconds=1.0, cap_seconds=CAP_SECONDS)
        self._failed: dict[tuple[str, RemoteRef], _Failed] = {}
        self._flights: dict[tuple[str, RemoteRef], asyncio.Task[Payload]] = {}
        self.reads = 0

    async def read(self, reader: Reader, ref: RemoteRef, *, fresh: bool = False) -> Payload:
        """Read through the guard; ``fresh`` ignores what failed before."""
        key = (reader.identity, ref)
        failed = self._failed.get(key)
        if failed and not fresh and self._clock() < failed.until:
            raise failed.error
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._read(key, reader, ref))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

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
        self._failed.pop(key, None)
        return payload

    def _remember(self, key: tuple[str, RemoteRef], error: KeylessError) -> None:
        times = self._failed[key].times + 1 if key in self._failed else 1
        wait = self._backoff.seconds(times)
        if isinstance(error, Transient) and error.retry_after_seconds:
            wait = max(wait, error.retry_after_seconds)
        if len(self._failed) >= MAX_REMEMBERED:
            self._failed.clear()
        self._failed[key] = _Failed(error, times, self._clock() + wait)

    def _landed(self, key: tuple[str, RemoteRef], flight: asyncio.Task[Payload]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # whoever waited has it
