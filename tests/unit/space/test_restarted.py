"""The API server restarts: watches end, it is away, it forgets old versions, then it is busy. What happened meanwhile
is seen by every loop of the operator, and nothing that went is kept."""

from __future__ import annotations

import asyncio
import json

import pytest

from keyless.kube import Name, keep_in_touch
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, CRDS, NAMESPACES, WORKLOADIDENTITIES
from keyless.space import Settings
from keyless.space.service import Operator
from kube_answers import ANSWERS, stand_in
from unit.space.world import World

FIRST, CAME = Name("default", "ctp1"), Name("default", "ctp2")
AWAY, BUSY = 45.0, 20.0


async def _play(world: World) -> None:
    while True:
        for each in world._objects(CRDS):
            if not (each.get("status") or {}).get("conditions"):
                world.host.put(CRDS, {**each, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
        world.play()
        await asyncio.sleep(1)


async def _ready(world: World, name: Name) -> bool:
    return (await world.condition("ComponentsAvailable", name) or {}).get("status") == "True"


async def _until(what, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await what():
            await asyncio.sleep(1)


def _values(world: World) -> None:
    metadata = {"name": "spaces-values", "namespace": "default"}
    world.host.put(CONFIGMAPS, {"metadata": metadata, "data": {"values.json": json.dumps({})}})


@pytest.mark.parametrize("forgets", [False, True], ids=["goes on from its version", "410 Gone"])
@pytest.mark.parametrize("busy", ["HTTP 429 with a Status", "HTTP 503 with nothing"])
async def test_every_loop_sees_what_happened_while_the_api_server_restarted(busy: str, forgets: bool) -> None:
    world = World()
    _values(world)
    operator = Operator(Settings(resync_seconds=86_400.0), world.host, world._door, now=lambda: world.clock)
    running = asyncio.create_task(operator.run())
    others = [asyncio.create_task(_play(world)), asyncio.create_task(keep_in_touch(world.host))]
    try:
        world.create(FIRST)
        await _until(lambda: _ready(world, FIRST), 900)
        namespace = await world.host_namespace(FIRST)
        standing = stand_in(world.host)
        standing.answer = ANSWERS["a connection that was cut"]
        world.host.drop_watches()
        await asyncio.sleep(AWAY)
        # As by other clients through other API servers, in the gap of our watches: the loops hear of none of it.
        world.create(CAME)
        world.grace *= 0
        first = await _stored(world, FIRST)
        world.host.put(CONTROLPLANES, _deleted(first))
        spec = {"component": "billing", "manage": False}
        world.host.put(WORKLOADIDENTITIES, {"metadata": {"name": "billing"}, "spec": spec})
        if forgets:
            world.host.expire_history()
        standing.answer, standing.asked = ANSWERS[busy], 0
        await asyncio.sleep(BUSY)
        assert standing.asked < 400, "no storm on one that is busy"
        standing.answer = None

        # Long before anything is looked at again by itself.
        await _until(lambda: _ready(world, CAME), 300)
        await _until(lambda: _is_gone(world, namespace), 300)
        await _until(lambda: _is_told(world), 60)
        await _until(lambda: _is(operator.ready() == ""), 120)
        assert operator.count() == 1
        assert not running.done()
    finally:
        for task in (running, *others):
            task.cancel()
        await asyncio.gather(running, *others, return_exceptions=True)


async def _is(held: bool) -> bool:
    return held


async def _stored(world: World, name: Name):
    return next(one for one in world._objects(CONTROLPLANES) if one["metadata"]["name"] == name.name)


def _deleted(plane):
    return {**plane, "metadata": {**plane["metadata"], "deletionTimestamp": "2026-11-22T12:00:00Z"}}


async def _is_gone(world: World, namespace: str) -> bool:
    names = [one["metadata"]["name"] for one in world._objects(NAMESPACES)]
    return namespace not in names


async def _is_told(world: World) -> bool:
    (found,) = world._objects(WORKLOADIDENTITIES)
    conditions = (found.get("status") or {}).get("conditions") or ()
    return [one["reason"] for one in conditions] == ["NotManaged"]
