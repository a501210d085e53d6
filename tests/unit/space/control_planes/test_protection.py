"""A control plane that nobody deletes by mistake, where no admission policy refuses it."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress

import pytest

from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, LOGICALCLUSTERS, NAMESPACES, STATEFULSETS
from keyless.space.control_planes.leaving import release
from keyless.space.control_planes.protection import PROTECTION
from keyless.space.values import Values
from unit.space.world import BILLING, Interrupted, World


@pytest.fixture(params=["kubernetes", "logical"])
async def world(request: pytest.FixtureRequest):
    made = World(Values(mode=request.param, billing=BILLING))
    yield made
    await made.tenants.aclose()


async def _made(world: World, word: str = "true") -> str:
    world.create(metadata={"annotations": {PROTECTION: word}})
    await world.settle()
    return await world.host_namespace()


async def _deleted(world: World) -> None:
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()


async def _run(world: World, command: str) -> None:
    """A printed ``kubectl annotate``."""
    kubectl, annotate, kind, name, dash, namespace, key = shlex.split(command)
    assert (kubectl, annotate, kind, dash, key) == ("kubectl", "annotate", "controlplane", "-n", f"{PROTECTION}-")
    patch = {"metadata": {"annotations": {key.removesuffix("-"): None}}}
    await world.host.patch(CONTROLPLANES, name, patch, namespace)


async def _marked(world: World, namespace: str) -> str:
    return (await world.host.get(NAMESPACES, namespace))["metadata"]["labels"].get(PROTECTION, "")


@pytest.mark.parametrize("word", ["true", "yes", "False"])
async def test_deleted_all_the_same_all_of_it_goes_on_until_the_printed_command_is_run(world: World, word: str) -> None:
    namespace = await _made(world, word)
    before = set(world.snapshot())
    await _deleted(world)
    assert set(world.snapshot()) == before
    assert (await world.condition("Ready"))["status"] == "True"
    synced = await world.condition("Synced")
    assert (synced["status"], synced["reason"]) == ("False", "DeletionProtected")
    assert (await world.plane())["status"]["message"] == synced["message"]
    # What somebody takes away meanwhile is brought back, as ever.
    await world.host.delete(DEPLOYMENTS, "vector", namespace)
    await world.settle()
    assert await world.exists(DEPLOYMENTS, "vector", namespace)

    (command,) = re.findall(r"`([^`]+)`", synced["message"])
    await _run(world, command)
    await world.settle()
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")
    assert not any("mxp-" in each for each in world.snapshot() if each.startswith("host "))


@pytest.mark.parametrize("word", ["", "false"])
async def test_a_word_that_says_no_protects_nothing(world: World, word: str) -> None:
    namespace = await _made(world, word)
    assert await _marked(world, namespace) == ""
    await _deleted(world)
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")


async def test_the_host_namespace_is_marked_as_long_as_it_lasts(world: World) -> None:
    namespace = await _made(world)
    assert await _marked(world, namespace) == "true"
    own = await world.plane()
    world.host.put(CONTROLPLANES, {**own, "metadata": {**own["metadata"], "annotations": {}}})
    await world.settle()
    assert await _marked(world, namespace) == ""


async def test_no_namespace_is_removed_that_is_still_marked(world: World) -> None:
    namespace = await _made(world)
    await _run(world, f"kubectl annotate controlplane ctp1 -n default {PROTECTION}-")
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    seen, forget = [], world.host.delete

    async def watched(resource, name, *rest, **more):
        if resource == NAMESPACES:
            seen.append(await _marked(world, name))
        return await forget(resource, name, *rest, **more)

    world.host.delete = watched
    await world.settle()
    assert seen == [""], namespace


async def test_an_uninstall_lets_go_of_it_and_deletes_nothing_that_is_protected(world: World) -> None:
    await _made(world)
    await _deleted(world)
    world.loop._decide = release
    await world.settle()
    assert [each for each in world._objects(CONTROLPLANES) if each["metadata"].get("finalizers")] == []
    assert world._objects(STATEFULSETS) or world._objects(LOGICALCLUSTERS), "what its users made is still there"


async def test_an_operator_killed_at_any_write_never_removes_what_is_protected(world: World) -> None:
    namespace = await _made(world)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    for number in range(3):
        await world.tenants.aclose()
        world.start()
        world.fail_at(number)
        with suppress(Interrupted):
            await world.settle()
        world.fail_at(None)
        assert await world.exists(DEPLOYMENTS, "vector", namespace)
        assert await world.exists(NAMESPACES, namespace)
