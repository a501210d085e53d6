"""An etcd that lost what it held is told, and nothing is made in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyless.kube import NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import (
    CONTROLPLANES,
    DEPLOYMENTS,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    STATEFULSETS,
)
from keyless.space.control_planes.holding import HOLDS
from keyless.space.control_planes.restoring import ANNOTATION
from keyless.space.values import Backup, Values
from unit.space.world import BILLING, CTP1, World

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


async def test_an_operator_that_starts_again_says_nothing_else_of_it_meanwhile(world: World) -> None:
    await _made(world)
    await _lose(world)
    await world.settle()
    before = await world.condition("Ready")
    await world.tenants.aclose()
    world.start()
    await world.loop.reconcile(CTP1)
    assert await world.condition("Ready") == before, "before it looked inside"
    await world.settle()
    assert await world.condition("Ready") == before


async def test_no_snapshot_of_one_that_began_anew_is_taken_until_somebody_wants_it(world: World) -> None:
    world.values = replace(OWN, backup=Backup(enabled=True, bucket="snapshots"))
    namespace, uid = await _made(world)
    assert await _told(world, namespace) == uid, "what it takes snapshots of, and of nothing else"
    other = await _lose(world)
    await world.settle()
    await world.settle()
    assert (await world.condition("Ready"))["reason"] == "DataLost"
    assert not await world.exists(DEPLOYMENTS, "backup", namespace)
    assert not [pod for pod in world._objects(PODS) if pod["metadata"]["name"].startswith("backup")]
    await world.host.patch(SECRETS, "control-plane-keys", {"metadata": {"labels": {HOLDS: None}}}, namespace)
    await world.settle()
    assert await _told(world, namespace) == other


async def _told(world: World, namespace: str) -> str | None:
    pod = (await world.host.get(DEPLOYMENTS, "backup", namespace))["spec"]["template"]["spec"]
    return {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}.get("KEYLESS_HOLDS")


SNAPSHOT = "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065/20261122T120000Z-7"


@pytest.mark.parametrize("begun_as", ["", SNAPSHOT.replace("Z-7", "Z-2")], ids=["new", "restored once"])
async def test_one_whose_host_namespace_was_lost_is_told_and_not_made_anew(world: World, begun_as: str) -> None:
    world.values = replace(OWN, backup=Backup(enabled=True, bucket="snapshots"))
    namespace, _ = await _made(world)
    plane = await world.plane()
    plane["metadata"]["annotations"] = {ANNOTATION: begun_as} if begun_as else {}
    plane["status"]["backup"] = {"snapshot": SNAPSHOT}
    world.host.put(CONTROLPLANES, plane)
    for res in (DEPLOYMENTS, STATEFULSETS, PODS, SECRETS, PERSISTENTVOLUMECLAIMS, SERVICEACCOUNTS, NAMESPACES):
        for obj in world._objects(res):
            if namespace in (obj["metadata"].get("namespace"), obj["metadata"]["name"]):
                world._forget(res, obj)
    await world.settle()
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DataLost")
    assert f"keyless.dev/restore-from: {SNAPSHOT}" in ready["message"]
    for res, name in ((SECRETS, "control-plane-keys"), (STATEFULSETS, "control-plane"), (DEPLOYMENTS, "backup")):
        assert not await world.exists(res, name, namespace), name
    await world.host.delete(CONTROLPLANES, CTP1.name, CTP1.namespace)
    await world.settle()
    assert not await world.exists(CONTROLPLANES, CTP1.name, CTP1.namespace)


async def test_whoever_begins_anew_with_nothing_says_so_by_the_printed_command(world: World) -> None:
    namespace, _ = await _made(world)
    other = await _lose(world)
    await world.settle()
    await world.host.patch(SECRETS, "control-plane-keys", {"metadata": {"labels": {HOLDS: None}}}, namespace)
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert await _noted(world, namespace) == other
