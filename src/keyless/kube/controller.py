"""A loop that brings one kind of thing to its wanted state, key by key.

``reconcile`` is given a key, reads the present state and acts. What it raises names the next move:

- ``Transient``: again after its ``retry_after_seconds``, else after a wait that doubles for each failure in a row;
- ``Permanent``: again when something changes, or at the slow resync (a cure may leave no trace that we watch);
- anything else is a fault of ours: it is logged with its trace and retried like a transient failure.

A returned number asks for another run after that many seconds.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from keyless.api import Permanent, Transient
from keyless.kube.backoff import Backoff
from keyless.kube.model import Name
from keyless.kube.queue import Queue
from keyless.tasks import Tasks

K = TypeVar("K")

_log = structlog.get_logger("keyless.kube.controller")


class Controller(Generic[K]):
    """``name`` labels its logs. ``resync_seconds`` is the wait after a permanent failure."""

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[float | None]],
        *,
        backoff: Backoff = Backoff(),  # noqa: B008 - a frozen value
        resync_seconds: float = 300.0,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._backoff = backoff
        self._resync_seconds = resync_seconds
        self._queue: Queue[K] = Queue()
        self._failures: dict[K, int] = {}

    def enqueue(self, key: K, *, urgent: bool = True) -> None:
        """Ask for a run; not ``urgent`` for periodic sweeps, which wait behind changes."""
        self._queue.add(key, urgent=urgent)

    def enqueue_after(self, key: K, seconds: float) -> None:
        """Ask for a run later; any earlier run fulfils the wish."""
        self._queue.add_after(key, seconds)

    def upcoming(self, most: int) -> list[K]:
        """Return the keys that are worked on next."""
        return self._queue.upcoming(most)

    async def run(self, workers: int = 2) -> None:
        """Work until cancelled. Keys that failed hold half of the workers at most."""
        self._queue.most_suspect = max(1, workers // 2)
        try:
            async with Tasks() as group:
                for number in range(workers):
                    group.create_task(self._work(), name=f"{self.name}-{number}")
        finally:
            self._queue.close()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._run_once(key)
            finally:
                self._queue.done(key)

    async def _run_once(self, key: K) -> None:
        try:
            again = await self._reconcile(key)
        except Transient as error:
            self._retry(key, error.retry_after_seconds)
            _log.info("retrying", controller=self.name, key=_told(key), error=str(error))
        except Permanent as error:
            self._succeeded(key)
            self._queue.add_after(key, self._resync_seconds)
            _log.warning("failed", controller=self.name, key=_told(key), error=str(error))
        except Exception as error:  # noqa: BLE001 - one broken object must not stop the work for all the others
            self._retry(key, None)
            # Formatted here: a renderer that prints local variables would print tokens.
            trace = "".join(traceback.format_exception(error))
            _log.error("bug", controller=self.name, key=_told(key), trace=trace)
        else:
            self._succeeded(key)
            if again is not None:
                self._queue.add_after(key, again)

    def _succeeded(self, key: K) -> None:
        self._failures.pop(key, None)
        self._queue.suspect(key, failing=False)

    def _retry(self, key: K, after_seconds: float | None) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._queue.suspect(key, failing=True)
        if after_seconds is None:
            # Up to a tenth more, so that keys which failed together do not come back together.
            after_seconds = self._backoff.seconds(failures) * (1 + random.random() / 10)  # noqa: S311 - no secret
        self._queue.add_after(key, after_seconds)


def _told(key: object) -> str:
    return "/".join(part for part in key if part) if isinstance(key, Name) else str(key)
