"""In the middle of something else: deleted while it is made, its group relabelled while it runs."""

from __future__ import annotations

import pytest

from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, NAMESPACES
from keyless.space.values import Persistence, Values
from unit.space.control_planes.test_controller import WITH_ROLE, _until_killed
from unit.space.world import BILLING, World


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.tenants.aclose()


async def test_a_control_plane_that_is_deleted_while_it_is_made_leaves_nothing_wherever_it_was() -> None:
    number, made = 0, False
    while not made:
        world = World(Values(billing=BILLING, vector=WITH_ROLE.vector, persistence=Persistence(enabled=True)))
        before = world.snapshot()
        world.create(spec={"writeConnectionSecretToRef": {"name": "ctp1-kubeconfig"}})
        world.fail_at(number)
        made = not await _until_killed(world)
        world.fail_at(None)
        await world.host.delete(CONTROLPLANES, "ctp1", "default")
        await world.settle()
        world.insides.clear()
        assert world.snapshot() == before, f"deleted after write {number}"
        await world.tenants.aclose()
        number += 3  # each third write: they come in threes of a kind, and a file's tests stay quick
    assert number > 40


async def test_a_group_that_is_relabelled_and_back_loses_nothing(world: World) -> None:
    world.create()
    await world.settle()
    before, namespace = world.snapshot(), await world.host_namespace()

    world.host.put(NAMESPACES, {"metadata": {"name": "default", "labels": {"spaces.upbound.io/group": "false"}}})
    await world.settle()
    ready = await world.condition("Ready")
    assert (ready["status"], "spaces.upbound.io/group=true" in ready["message"]) == ("False", True)
    assert await world.exists(DEPLOYMENTS, "vector", namespace), "usage goes on: the resources are still there"

    world.host.put(NAMESPACES, {"metadata": {"name": "default", "labels": {"spaces.upbound.io/group": "true"}}})
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert await world.host_namespace() == namespace
    assert set(before) == set(world.snapshot())
