"""The operator as it runs: definitions first, then every watch wakes the control planes that it concerns."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from keyless.api import crds
from keyless.kube import ApiError, Forbidden, KubeObject, Unauthorized, Unreachable, keep_in_touch
from keyless.kube.errors import failure_status
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, CRDS, DEPLOYMENTS, SECRETS, SERVICEACCOUNTS
from keyless.space import Settings
from keyless.space.service import Operator
from keyless.tasks import Tasks
from unit.space.world import World

ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}
BILLING = {"enabled": True, "storage": {"provider": "aws", "aws": {"bucket": "usage"}, "secretRef": {"name": ""}}}


@contextlib.asynccontextmanager
async def _running(world: World) -> AsyncIterator[Operator]:
    operator = Operator(Settings(), world.host, world._door, now=lambda: world.clock)
    tasks = [asyncio.create_task(operator.run()), asyncio.create_task(_play(world))]
    try:
        yield operator
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _play(world: World) -> None:
    while True:
        _establish(world)
        world.play()
        await asyncio.sleep(0.05)


def _establish(world: World) -> None:
    for each in world._objects(CRDS):
        if not (each.get("status") or {}).get("conditions"):
            world.host.put(CRDS, {**each, "status": ESTABLISHED})


def _set_values(world: World, **document: object) -> None:
    metadata = {"name": "spaces-values", "namespace": "default"}
    world.host.put(CONFIGMAPS, {"metadata": metadata, "data": {"values.json": json.dumps(document)}})


async def _until(world: World, what) -> None:
    """Virtual time: a minute of the operator's costs nothing."""
    async with asyncio.timeout(60):
        while not await what():
            await asyncio.sleep(0.05)


async def _ready(world: World) -> bool:
    condition = await world.condition("ComponentsAvailable")
    return bool(condition and condition["status"] == "True")


async def test_from_an_empty_cluster_to_a_running_component() -> None:
    world = World()
    _set_values(world)
    async with _running(world) as operator:
        await _until(world, lambda: _is(operator.ready() == ""))
        assert {each["metadata"]["name"] for each in world._objects(CRDS)} == set(crds.HOST)
        world.create()
        await _until(world, lambda: _ready(world))
        assert operator.count() == 1
        assert await world.exists(DEPLOYMENTS, "external-secrets", await world.host_namespace())


async def test_a_helm_upgrade_reaches_every_control_plane() -> None:
    world = World()
    _set_values(world)
    world.create()
    async with _running(world):
        await _until(world, lambda: _ready(world))
        namespace = await world.host_namespace()
        assert not await world.exists(DEPLOYMENTS, "vector", namespace)
        _set_values(world, billing=BILLING)
        await _until(world, lambda: world.exists(DEPLOYMENTS, "vector", namespace))


async def test_an_account_that_someone_removes_comes_back() -> None:
    world = World()
    _set_values(world)
    world.create()
    async with _running(world):
        await _until(world, lambda: _ready(world))
        namespace = await world.host_namespace()
        await world.host.delete(SERVICEACCOUNTS, "external-secrets-controller", namespace)
        await _until(world, lambda: world.exists(SERVICEACCOUNTS, "external-secrets-controller", namespace))


async def test_a_deleted_control_plane_goes_to_the_end() -> None:
    world = World()
    _set_values(world)
    world.create()
    async with _running(world):
        await _until(world, lambda: _ready(world))
        await world.host.delete(CONTROLPLANES, "ctp1", "default")
        world.grace *= 0
        await _until(world, lambda: _gone(world))


async def test_without_values_nothing_is_begun_and_the_reason_is_said() -> None:
    world = World()
    world.create()
    async with _running(world):
        await _until(world, lambda: _has_condition(world))
        ready = await world.condition("Ready")
        assert ready is not None
        assert ready["reason"] == "ValuesInvalid"
        assert "install or upgrade the chart" in ready["message"]
        assert "finalizers" not in (await world.plane())["metadata"]


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({"annotations": {"meta.helm.sh/release-name": "upbound"}}, "Helm release upbound"),
        ({"labels": {"app.kubernetes.io/managed-by": "other"}}, "belongs to other"),
        ({}, "someone else"),
    ],
)
async def test_definitions_of_someone_else_are_refused_by_name(metadata: KubeObject, owner: str) -> None:
    world = World()
    name = crds.HOST[0]
    foreign = world.host.put(CRDS, {"metadata": {"name": name, **metadata}, "spec": {"theirs": True}})
    async with _running(world) as operator:
        await _until(world, lambda: _is(owner in operator.ready()))
        assert name in operator.ready()
    live = await world.host.get(CRDS, name)
    assert live["spec"] == foreign["spec"]


async def _is(value: bool) -> bool:
    return value


async def _gone(world: World) -> bool:
    return not await world.exists(CONTROLPLANES, "ctp1", "default")


async def _has_condition(world: World) -> bool:
    return await world.condition("Ready") is not None


VOID = {
    "a token that is void": Unauthorized(failure_status(401, "Unauthorized", "Unauthorized")),
    "a server that is away": Unreachable(failure_status(0, "", "no answer: refused")),
}


@pytest.mark.parametrize("failure", VOID.values(), ids=VOID.keys())
async def test_readiness_goes_within_seconds_of_the_connection_and_comes_back_with_it(failure: ApiError) -> None:
    world = World()
    _set_values(world)
    world.create()
    async with _running(world) as operator, Tasks() as tasks:
        beat = tasks.create_task(keep_in_touch(world.host))
        await _until(world, lambda: _is(operator.ready() == ""))
        counted = world.host.before
        world.host.before = lambda request: _refuse(failure)
        await asyncio.sleep(7)
        assert str(failure) in operator.ready(), "though every watch still stands"
        world.host.before = counted
        await asyncio.sleep(7)
        assert operator.ready() == ""
        beat.cancel()


async def test_a_watch_that_stays_refused_is_no_readiness() -> None:
    world = World()
    _set_values(world)
    async with _running(world) as operator:
        await _until(world, lambda: _is(operator.ready() == ""))
        counted = world.host.before
        forbidden = Forbidden(failure_status(403, "Forbidden", "deployments is forbidden"))
        world.host.before = lambda request: _refuse(forbidden) if "deployments" in request.path else None
        world.host.drop_watches()
        await asyncio.sleep(30)
        assert operator.ready() == "deployments cannot be watched: deployments is forbidden"
        world.host.before = counted
        await asyncio.sleep(120)
        assert operator.ready() == ""


def _refuse(failure: ApiError) -> None:
    raise failure


async def test_a_secret_of_a_brought_api_is_noticed_when_it_changes() -> None:
    world = World()
    _set_values(world)
    world.void.add("word")
    _bring(world, "word")
    world.create(metadata={"annotations": {"keyless.dev/attached-secret": "mine"}})
    async with _running(world):
        await _until(world, lambda: _has_reason(world, "AttachedCredentialRefused"))
        _bring(world, "better")
        async with asyncio.timeout(15):
            while not await _has_reason(world, "Available"):
                await asyncio.sleep(0.1)


def _bring(world: World, token: str) -> None:
    data = {"server": "https://example.test/team-b", "ca.crt": "PEM", "token": token}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": encoded})


async def _has_reason(world: World, reason: str) -> bool:
    condition = await world.condition("Ready")
    return bool(condition and condition["reason"] == reason)
