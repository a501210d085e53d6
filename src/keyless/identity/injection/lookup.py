"""Service accounts that the informer does not hold: asked of the API server once for all who wait.

That there is none is remembered for a moment, so that a flood of pods without a service account costs one question a
second, and no pod longer than that: the watch's event about the service account ends the memory at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from keyless.api import KeylessError
from keyless.kube import NotFound

MISS_SECONDS = 1.0
_MOST = 4096
"""So many misses are remembered: names come from whoever makes pods, and must not fill memory."""

Place = tuple[str, str]
Found = dict[str, Any] | None


class Lookup:
    """``fetch`` asks the API server and raises ``NotFound``; ``seconds`` is how long it may take."""

    def __init__(
        self,
        fetch: Callable[[str, str], Awaitable[dict[str, Any]]],
        *,
        seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._seconds, self._now = fetch, seconds, now
        self._flights: dict[Place, asyncio.Task[Found]] = {}
        self._misses: dict[Place, float] = {}

    async def get(self, namespace: str, name: str) -> Found:
        """Return the service account, None where there is none; raises ``KeylessError`` where nobody can say."""
        place = (namespace, name)
        if self._misses.get(place, float("-inf")) > self._now():
            return None
        flight = self._flights.get(place)
        if flight is None:
            flight = self._flights[place] = asyncio.create_task(self._ask(place))
            flight.add_done_callback(lambda done: self._landed(place, done))
        # Shielded: a review that is given up must not take the answer from the others.
        return await asyncio.shield(flight)

    def changed(self, namespace: str, name: str) -> None:
        """The watch has told of the service account: what was remembered or is being asked may be older."""
        self._misses.pop((namespace, name), None)
        self._flights.pop((namespace, name), None)

    async def _ask(self, place: Place) -> Found:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._fetch(*place)
        except NotFound:
            return None
        except TimeoutError as error:
            raise KeylessError(f"no answer within {self._seconds:g} s") from error

    def _landed(self, place: Place, flight: asyncio.Task[Found]) -> None:
        if self._flights.get(place) is not flight:
            flight.cancelled() or flight.exception()
            return  # the watch was quicker
        del self._flights[place]
        if flight.cancelled() or flight.exception() is not None or flight.result() is not None:
            return
        if len(self._misses) >= _MOST:
            self._misses.clear()
        self._misses[place] = self._now() + MISS_SECONDS
