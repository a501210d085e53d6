"""Read ahead for ExternalSecrets that wait for a worker, so that what is read together travels together.

A worker reads, then writes: of twenty workers few read at the same moment, and batches would be nearly empty. So when
one that waits comes near its turn, as many others of its stores as fill a batch are read with it. What is read ahead is
kept by the guard for as long as its reader may take it, and nobody else can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyless.api import KeylessError
from keyless.kube import KubeObject, Name
from keyless.shared_secrets.stores.classes import FindStore, serves
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.model import RemoteRef
from keyless.shared_secrets.stores.resolution import SECRET_STORE, StoreRef, Stores
from keyless.shared_secrets.sync import plan
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.model import SpecFault, Wanted, wanted_of

NEAR = 20
"""As many as work at a time: what is read from now on is answered when their turn comes."""
MOST_AHEAD = 200
"""From how many a batch is filled: what waits longer than that would be read too early."""
FULL = 20
"""Names that fill a batch of Secrets Manager, or two of Parameter Store."""

Home = tuple[StoreRef, str]
"""A store; with its namespace if it has one."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What an ExternalSecret is going to read; ``age_seconds`` is how old a value may be (0: it asks anew)."""

    namespace: str
    names: frozenset[tuple[StoreRef, RemoteRef]]
    age_seconds: float
    version: str

    @property
    def homes(self) -> frozenset[Home]:
        """Return the stores it reads from."""
        return frozenset((ref, self.namespace if ref.kind == SECRET_STORE else "") for ref, _ in self.names)


def joining(
    following: Sequence[Name], begun: Collection[Name], asks: Callable[[Name], Asks | None]
) -> tuple[Name, ...]:
    """Return those of ``following`` whose reads begin now, in the order of the queue's need. Pure.

    Nothing begins before one that is near has not been begun: else each that leaves the queue would bring one other,
    and a batch would hold what came in while it waited, not what it can.
    """
    found: dict[Name, None] = {}
    for near in following[:NEAR]:
        first = asks(near) if near not in begun and near not in found else None
        if first is None:
            continue
        found[near] = None
        names = set(first.names)
        for name in following:
            if len(names) >= FULL:
                break
            other = asks(name) if name not in begun and name not in found else None
            if other is not None and other.homes & first.homes:
                found[name] = None
                names |= other.names
    return tuple(found)


class Ahead:
    """``upcoming`` are the keys that are worked on next, ``found`` an ExternalSecret as last seen.

    ``clock`` is monotonic seconds, the guard's own.
    """

    def __init__(
        self,
        stores: Stores,
        guard: ReadGuard,
        store: FindStore,
        *,
        upcoming: Callable[[int], list[Name]],
        found: Callable[[Name], KubeObject | None],
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._stores, self._guard, self._store = stores, guard, store
        self._upcoming, self._found, self._now, self._clock = upcoming, found, now, clock
        self._begun: dict[Name, tuple[str, float]] = {}
        self._asks: dict[Name, Asks | None] = {}
        self._running: set[asyncio.Task[None]] = set()

    def look(self, key: Name, version: str) -> float:
        """Begin reads for those that follow ``key``; whatever fails is told by their own sync.

        Returns how many seconds old a value may be that was read for ``key`` itself, if that was for what it asks now:
        its ``version`` (``resource_version``); else 0.
        """
        self._asks.pop(key, None)
        begun_version, began = self._begun.pop(key, ("", 0.0))
        if any(name not in self._begun for name in self._upcoming(NEAR)):
            self._begin()
        return self._clock() - began if begun_version == version else 0.0

    def _begin(self) -> None:
        following = self._upcoming(MOST_AHEAD)
        # One that left the queue may come again, and ask for something else.
        waiting = set(following)
        self._begun = {name: begun for name, begun in self._begun.items() if name in waiting}
        self._asks = {name: asks for name, asks in self._asks.items() if name in waiting}
        for name in joining(following, self._begun, self._asked):
            asks = self._asked(name)
            if asks is not None:
                # From when on a value counts as read for it: from before, if it takes one that is kept.
                self._begun[name] = (asks.version, self._clock() - asks.age_seconds / 2)
                task = asyncio.create_task(self._read(asks))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _asked(self, name: Name) -> Asks | None:
        if name not in self._asks:
            obj = self._found(name)
            self._asks[name] = self._read_of(obj) if obj else None
        return self._asks[name]

    def _read_of(self, obj: KubeObject) -> Asks | None:
        try:
            wanted = wanted_of(obj)
        except SpecFault:
            return None
        namespace = obj["metadata"]["namespace"]
        if not serves(obj.get("spec") or {}, namespace, self._store) or not plan.policy_asks(obj, wanted, self._now()):
            return None
        changed = plan.is_changed(obj)
        age = plan.most_age_seconds(obj, wanted, fresh=not obj.get("status") or changed)
        names = _names(wanted)
        # What may take nothing that is kept reads nothing ahead either, unless a person asks: then it is news by now.
        return Asks(namespace, names, age, resource_version(obj)) if names and (age > 0 or changed) else None

    async def _read(self, asks: Asks) -> None:
        for store in {ref for ref, _ in asks.names}:
            try:
                reader = await self._stores.open(store, asks.namespace)
            except KeylessError:
                continue
            # Half of the age: what is kept would be too old when its turn comes.
            fresh, age = asks.age_seconds <= 0, asks.age_seconds / 2
            reads = (
                self._guard.read(reader, remote, fresh=fresh, most_age_seconds=age)
                for ref, remote in asks.names
                if ref == store
            )
            await asyncio.gather(*reads, return_exceptions=True)


def _names(wanted: Wanted) -> frozenset[tuple[StoreRef, RemoteRef]]:
    sources = [item.source for item in wanted.extracts if item.find is None and item.generator is None]
    sources += [item.source for item in wanted.data]
    return frozenset((source.store, source.remote) for source in sources)
