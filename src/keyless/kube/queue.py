"""A queue of keys: each key once, one worker per key, changes ahead of periodic work.

A key that is added while it is being worked on runs again afterwards, so the last change is always seen. There are no
events in the queue: whoever takes a key reads the present state (level-based).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")


class Queue(Generic[K]):
    """Unbounded in keys, hence bounded by the number of objects."""

    def __init__(self) -> None:
        self._urgent: OrderedDict[K, None] = OrderedDict()
        self._periodic: OrderedDict[K, None] = OrderedDict()
        self._active: set[K] = set()
        self._again: dict[K, bool] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait for a worker right now."""
        return len(self._urgent) + len(self._periodic)

    def add(self, key: K, *, urgent: bool = True) -> None:
        """Ask for a run of ``key`` as soon as a worker is free."""
        if key in self._active:
            self._again[key] = urgent or self._again.get(key, False)
            return
        if urgent:
            self._periodic.pop(key, None)
            self._urgent[key] = None
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

    async def get(self) -> K:
        """Take the next key; it stays with the caller until ``done``."""
        while not len(self):
            self._ready.clear()
            await self._ready.wait()
        key, _ = (self._urgent or self._periodic).popitem(last=False)
        self._active.add(key)
        if timer := self._timers.pop(key, None):
            timer.cancel()
        return key

    def done(self, key: K) -> None:
        """Give ``key`` back; it runs again if it was added meanwhile."""
        self._active.discard(key)
        urgent = self._again.pop(key, None)
        if urgent is not None:
            self.add(key, urgent=urgent)

    def close(self) -> None:
        """Drop every later wish, so that no timer outlives its owner."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: K, urgent: bool) -> None:
        self._timers.pop(key, None)
        self.add(key, urgent=urgent)
