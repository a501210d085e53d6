"""Collect what has lost its owners."""

from __future__ import annotations

from contextlib import suppress

from keyless.kube import KubeObject, NotFound, Resource
from keyless.local.cluster.controllers.garbage.graph import Graph
from keyless.local.cluster.controllers.garbage.plan import (
    Delete,
    Keep,
    OwnerState,
    farewell,
    fate,
    owner_state,
    without_finalizer,
    without_owners,
)
from keyless.local.cluster.controllers.world import World, resource_of
from keyless.local.cluster.store import Key, Store


class Collector:
    """One for all clusters; ``graph`` is kept up by whoever feeds the queue."""

    def __init__(self, store: Store, graph: Graph) -> None:
        self._store = store
        self._graph = graph

    async def reconcile(self, world: World, key: Key) -> None:
        """Look at one object: as an owner that goes, then as a dependent."""
        obj = self._object(key)
        if obj is None:
            return
        if obj["metadata"].get("deletionTimestamp"):
            await self._say_farewell(world, key, obj)
        elif obj["metadata"].get("ownerReferences"):
            await self._decide(world, key, obj)

    async def _decide(self, world: World, key: Key, obj: KubeObject) -> None:
        uid = obj["metadata"]["uid"]

        def state(reference: KubeObject) -> OwnerState:
            found = self._graph.find(key.cluster, reference["uid"])
            return owner_state(reference, self._object(found) if found else None, obj)

        decided = fate(obj, state, has_dependents=bool(self._graph.dependents(key.cluster, uid)))
        res, place = resource_of(key.group, key.resource, obj), (key.name, key.namespace or None)
        match decided:
            case Delete(propagation):
                with suppress(NotFound):
                    await world.kube.delete(res, *place, propagation=propagation, uid=uid)
            case Keep(drop) if drop:
                await _patch(world, res, obj, without_owners(obj, drop))

    async def _say_farewell(self, world: World, key: Key, owner: KubeObject) -> None:
        uid = owner["metadata"]["uid"]
        keys = self._graph.dependents(key.cluster, uid)
        found = [(one, obj) for one in keys if (obj := self._object(one)) is not None]
        decided = farewell(owner, [obj for _, obj in found])
        for one, dependent in found:
            if decided.orphan:
                res = resource_of(one.group, one.resource, dependent)
                await _patch(world, res, dependent, without_owners(dependent, frozenset({uid})))
            elif decided.attend and not dependent["metadata"].get("deletionTimestamp"):
                await self._decide(world, one, dependent)
        if decided.finalizer:
            res = resource_of(key.group, key.resource, owner)
            await _patch(world, res, owner, without_finalizer(owner, decided.finalizer))

    def _object(self, key: Key) -> KubeObject | None:
        entry = self._store.get(key)
        return entry.object if entry else None


async def _patch(world: World, res: Resource, obj: KubeObject, patch: KubeObject) -> None:
    metadata = obj["metadata"]
    with suppress(NotFound):
        await world.kube.patch(res, metadata["name"], patch, metadata.get("namespace"))
