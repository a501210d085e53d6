"""An etcd that lost what it held is told, and nothing is made in it."""

from __future__ import annotations

import pytest

from keyless.kube import NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import DEPLOYMENTS, NAMESPACES, SECRETS
from keyless.space.control_planes.holding import HOLDS
from keyless.space.values import Values
from unit.space.world import BILLING, World

OWN = Values(mode="kubernetes", billing=BILLING)


@pytest.fixture
async def world():
    made = World(OWN)
    yield made
    await made.tenants.aclose()


def _inside(world: World) -> MemoryKube:
    """The control plane's API: the one that the operator wrote into."""
    return next(kube for kube in world.insides.values() if _has_system(kube))


def _has_system(kube: MemoryKube) -> bool:
    return any(each["metadata"]["name"] == "keyless-system" for each in kube.stored(NAMESPACES))


async def _made(world: World) -> tuple[str, str]:
    world.create()
    await world.settle()
    found = await _inside(world).get(NAMESPACES, "kube-system")
    return await world.host_namespace(), str(found["metadata"]["uid"])


async def _lose(world: World) -> str:
    inside = _inside(world)
    world.insides = {name: kube for name, kube in world.insides.items() if kube is inside}
    for name in ("kube-system", "keyless-system"):
        await inside.delete(NAMESPACES, name)
    made = inside.put(NAMESPACES, {"metadata": {"name": "kube-system"}})
    return str(made["metadata"]["uid"])


async def _noted(world: World, namespace: str) -> str:
    found = await world.host.get(SECRETS, "control-plane-keys", namespace)
    return str(found["metadata"]["labels"][HOLDS])


async def test_what_it_holds_is_noted_once_and_an_operator_that_starts_again_believes_it(world: World) -> None:
    namespace, uid = await _made(world)
    assert await _noted(world, namespace) == uid
    await world.tenants.aclose()
    world.start()
    await world.settle()
    assert await _noted(world, namespace) == uid
    assert (await world.condition("Ready"))["status"] == "True"


async def test_one_that_began_anew_is_told_and_nothing_is_made_inside(world: World) -> None:
    namespace, uid = await _made(world)
    other = await _lose(world)
    await world.settle()
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DataLost")
    assert uid in ready["message"]
    assert other in ready["message"]
    assert f"kubectl label secret control-plane-keys -n {namespace} {HOLDS}-" in ready["message"]
    with pytest.raises(NotFound):
        await next(iter(world.insides.values())).get(NAMESPACES, "keyless-system")
    assert await world.exists(DEPLOYMENTS, "vector", namespace), "usage that it holds is still stored"


async def test_whoever_begins_anew_with_nothing_says_so_by_the_printed_command(world: World) -> None:
    namespace, _ = await _made(world)
    other = await _lose(world)
    await world.settle()
    await world.host.patch(SECRETS, "control-plane-keys", {"metadata": {"labels": {HOLDS: None}}}, namespace)
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert await _noted(world, namespace) == other
