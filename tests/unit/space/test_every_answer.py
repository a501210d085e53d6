"""The operator lives through every answer of its API server and of a control plane's, says so, and recovers."""

from __future__ import annotations

import asyncio
import json

import pytest

from keyless.kube import Name, keep_in_touch
from keyless.kube.resources import CONFIGMAPS, CRDS
from keyless.space import Settings
from keyless.space.service import Operator
from kube_answers import ANSWERS, stand_in
from unit.space.world import World

NAMES = [
    "HTTP 401 with a Status",
    "HTTP 403 with a Status",
    "HTTP 404 with a page",
    "HTTP 409 with a Status",
    "HTTP 410 with nothing",
    "HTTP 422 with a Status",
    "HTTP 429 with a Status",
    "HTTP 500 with a page",
    "HTTP 503 with nothing",
    "HTTP 302 with a page",
    "a page",
    "a text that was cut off",
    "a list",
    "an empty object",
    "metadata null",
    "labels that are a list",
    "status that is a word",
    "a watch ERROR",
    "DNS that does not know the name",
    "a certificate that nobody vouches for",
    "a connection that was cut",
]
OTHER = Name("default", "ctp2")


async def _play(world: World) -> None:
    while True:
        for each in world._objects(CRDS):
            if not (each.get("status") or {}).get("conditions"):
                world.host.put(CRDS, {**each, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
        world.play()
        await asyncio.sleep(1)


async def _until_ready(world: World, name: Name) -> None:
    async with asyncio.timeout(900):
        while (await world.condition("ComponentsAvailable", name) or {}).get("status") != "True":
            await asyncio.sleep(1)


@pytest.mark.parametrize("side", ["host", "inside"])
@pytest.mark.parametrize("name", NAMES)
async def test_the_operator_lives_through_it_and_recovers(name: str, side: str) -> None:
    world = World()
    metadata = {"name": "spaces-values", "namespace": "default"}
    world.host.put(CONFIGMAPS, {"metadata": metadata, "data": {"values.json": json.dumps({})}})
    operator = Operator(Settings(resync_seconds=60.0), world.host, world._door, now=lambda: world.clock)
    running = asyncio.create_task(operator.run())
    others = [asyncio.create_task(_play(world)), asyncio.create_task(keep_in_touch(world.host))]
    world.create()
    first = Name("default", "ctp1")
    await _until_ready(world, first)
    seen = world.host if side == "host" else world.inside(await world.host_namespace(first))
    standing = stand_in(seen)
    standing.answer = ANSWERS[name]
    seen.drop_watches()
    standing.asked = 0
    await asyncio.sleep(120)
    assert not running.done()
    assert standing.asked < 1500, "no storm"
    if side == "host":
        assert operator.ready() != "", "readiness says why"
    standing.answer = None
    world.create(OTHER)
    await asyncio.sleep(60)
    await _until_ready(world, OTHER)
    await _until_ready(world, first)
    assert operator.ready() == ""
    for task in (running, *others):
        task.cancel()
    await asyncio.gather(running, *others, return_exceptions=True)
