"""Read ahead for ExternalSecrets that wait for a worker, so that what is read together travels together.

A worker reads, then writes: of twenty workers few read at the same moment, and batches would be nearly empty. What is
read ahead is kept by the guard for as long as its reader may take it, and nobody else can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from keyless.api import KeylessError
from keyless.kube import KubeObject, Name
from keyless.shared_secrets.stores.classes import FindStore, serves
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.resolution import Stores
from keyless.shared_secrets.sync import plan
from keyless.shared_secrets.sync.model import SpecFault, Wanted, wanted_of

MOST_AHEAD = 40
"""Two batches: what waits longer than that would be read too early."""


class Ahead:
    """``upcoming`` are the keys that are worked on next, ``found`` an ExternalSecret as last seen."""

    def __init__(
        self,
        stores: Stores,
        guard: ReadGuard,
        store: FindStore,
        *,
        upcoming: Callable[[int], list[Name]],
        found: Callable[[Name], KubeObject | None],
        now: Callable[[], datetime],
    ) -> None:
        self._stores, self._guard, self._store = stores, guard, store
        self._upcoming, self._found, self._now = upcoming, found, now
        self._begun: set[Name] = set()
        self._running: set[asyncio.Task[None]] = set()

    def look(self, key: Name) -> None:
        """Begin reads for those that follow ``key``; whatever fails is told by their own sync."""
        self._begun.discard(key)
        following = self._upcoming(MOST_AHEAD)
        # One that is alone needs no batch, and one that left the queue may come again.
        self._begun &= set(following)
        for name in following:
            if name in self._begun:
                continue
            self._begun.add(name)
            obj = self._found(name)
            wanted = self._wanted(obj) if obj else None
            if wanted is not None:
                task = asyncio.create_task(self._read(wanted))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _wanted(self, obj: KubeObject) -> Wanted | None:
        try:
            wanted = wanted_of(obj)
        except SpecFault:
            return None
        namespace = obj["metadata"]["namespace"]
        if not serves(obj.get("spec") or {}, namespace, self._store) or not plan.policy_asks(obj, wanted, self._now()):
            return None
        fresh = not obj.get("status") or plan.is_changed(obj)
        # Where a person asks anew nothing may be taken that was read before.
        return wanted if plan.most_age_seconds(obj, wanted, fresh=fresh) > 0 else None

    async def _read(self, wanted: Wanted) -> None:
        sources = [item.source for item in wanted.extracts if item.find is None and item.generator is None]
        sources += [item.source for item in wanted.data]
        for store in {source.store for source in sources}:
            try:
                reader = await self._stores.open(store, wanted.namespace)
            except KeylessError:
                continue
            remotes = {source.remote for source in sources if source.store == store}
            reads = (self._guard.read(reader, remote, most_age_seconds=plan.NEW_SECONDS) for remote in remotes)
            await asyncio.gather(*reads, return_exceptions=True)
