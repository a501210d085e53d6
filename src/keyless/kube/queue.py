"""A queue of keys: each key once, one worker per key, changes ahead of periodic work, work that failed in a lane apart.

What failed is often slow to fail again (a busy cloud, a time-out): such keys hold no more workers at a time than
``most_suspect``, so that hundreds of them never keep a healthy key waiting.

A key that is added while it is being worked on runs again afterwards, so the last change is always seen. There are no
events in the queue: whoever takes a key reads the present state (level-based).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import chain, islice
from typing import Generic, TypeVar

K = TypeVar("K")


class Queue(Generic[K]):
    """Unbounded in keys, hence bounded by the number of objects."""

    def __init__(self) -> None:
        self.most_suspect = 1
        """How many keys of the lane may be worked on at once; at least one, or none would ever recover."""
        self._urgent: OrderedDict[K, None] = OrderedDict()
        self._periodic: OrderedDict[K, None] = OrderedDict()
        self._suspect: OrderedDict[K, None] = OrderedDict()
        self._failing: set[K] = set()
        self._active: set[K] = set()
        self._active_suspects: set[K] = set()
        self._last_was_suspect = False
        self._again: dict[K, bool] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait for a worker right now."""
        return len(self._urgent) + len(self._periodic) + len(self._suspect)

    def suspect(self, key: K, *, failing: bool) -> None:
        """Say whether the last run of ``key`` failed: while it did, its runs wait in the lane, changes aside."""
        if failing:
            self._failing.add(key)
        else:
            self._failing.discard(key)

    def add(self, key: K, *, urgent: bool = True) -> None:
        """Ask for a run of ``key`` as soon as a worker is free."""
        if key in self._active:
            self._again[key] = urgent or self._again.get(key, False)
            return
        if urgent:
            # Also of a failing key: whoever mended it looks on.
            self._periodic.pop(key, None)
            self._suspect.pop(key, None)
            self._urgent[key] = None
        elif key in self._failing and key not in self._urgent:
            self._suspect[key] = None
        elif key not in self._urgent:
            self._periodic[key] = None
        self._ready.set()

    def add_after(self, key: K, seconds: float, *, urgent: bool = False) -> None:
        """Ask for a run of ``key`` later; the earliest wish counts, and any run in between fulfils it."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= due:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key, urgent)

    def upcoming(self, most: int) -> list[K]:
        """Return the keys that are taken next, failing ones aside; they stay where they are."""
        return list(islice(chain(self._urgent, self._periodic), most))

    async def get(self) -> K:
        """Take the next key; it stays with the caller until ``done``."""
        while (lane := self._next_lane()) is None:
            self._ready.clear()
            await self._ready.wait()
        key, _ = lane.popitem(last=False)
        self._active.add(key)
        self._last_was_suspect = lane is self._suspect
        if self._last_was_suspect:
            self._active_suspects.add(key)
        if timer := self._timers.pop(key, None):
            timer.cancel()
        return key

    def done(self, key: K) -> None:
        """Give ``key`` back; it runs again if it was added meanwhile."""
        self._active.discard(key)
        self._active_suspects.discard(key)
        self._ready.set()  # the lane may have room again
        urgent = self._again.pop(key, None)
        if urgent is not None:
            self.add(key, urgent=urgent)

    def close(self) -> None:
        """Drop every later wish, so that no timer outlives its owner."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _next_lane(self) -> OrderedDict[K, None] | None:
        if self._suspect and len(self._active_suspects) < self.most_suspect and self._is_turn_of_suspects():
            return self._suspect
        return self._urgent or self._periodic or None

    def _is_turn_of_suspects(self) -> bool:
        """One suspect runs even while healthy keys wait: what is mended must not wait for a queue that never ends.

        But never two in a row, for a single worker would do nothing else.
        """
        if not (self._urgent or self._periodic):
            return True
        return not self._active_suspects and not self._last_was_suspect

    def _fire(self, key: K, urgent: bool) -> None:
        self._timers.pop(key, None)
        self.add(key, urgent=urgent)
