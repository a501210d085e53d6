"""``spec.crossplane.state: Paused``: nothing runs, nothing is lost, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject
from keyless.kube.resources import (
    CONTROLPLANES,
    DEPLOYMENTS,
    EVENTS,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SECRETS,
    STATEFULSETS,
)
from keyless.space import components
from keyless.space.values import Persistence, Values
from unit.space.control_planes.test_attached import _bring
from unit.space.control_planes.test_backup import VALUES as BACKED_UP
from unit.space.world import BILLING, CTP1, Interrupted, World

OWN = Values(mode="kubernetes", billing=BILLING, persistence=Persistence(enabled=True))
COMMAND = (
    """`kubectl patch controlplane ctp1 -n default --type merge -p '{"spec":{"crossplane":{"state":"Running"}}}'`"""
)


@pytest.fixture
async def world():
    made = World(OWN)
    yield made
    await made.tenants.aclose()


async def _made(world: World) -> str:
    world.create()
    await world.settle()
    return await world.host_namespace()


async def _state(world: World, state: str) -> None:
    own = await world.plane()
    world.host.put(CONTROLPLANES, {**own, "spec": {**own["spec"], "crossplane": {"state": state}}})


async def _paused(world: World) -> None:
    await _state(world, "Paused")
    await world.settle()


async def _ready(world: World) -> tuple[str, str, str]:
    found = await world.condition("Ready")
    return found["status"], found["reason"], found["message"]


async def _pauses(world: World) -> list[KubeObject]:
    return (await world.plane())["status"].get("pauses", [])


async def _refused(world: World) -> None:
    """The collector says that its bucket refuses what it holds."""
    own = await world.plane()
    kept = [each for each in own["status"]["conditions"] if each["type"] != "BillingStored"]
    said = {"type": "BillingStored", "status": "False", "reason": "AccessDenied", "message": "usage waits"}
    stamped = {**said, "lastTransitionTime": "2026-11-22T12:00:00Z"}
    world.host.put(CONTROLPLANES, {**own, "status": {**own["status"], "conditions": [*kept, stamped]}})


def _runs(world: World) -> set[str]:
    scaled = {each["metadata"]["name"] for each in world._objects(STATEFULSETS) if each["spec"]["replicas"]}
    pods = {each["metadata"]["labels"]["app.kubernetes.io/name"] for each in world._objects(PODS)}
    return scaled | {each["metadata"]["name"] for each in world._objects(DEPLOYMENTS)} | pods


async def test_nothing_of_it_runs_and_all_that_it_holds_stays(world: World) -> None:
    world.values = replace(BACKED_UP, persistence=Persistence(enabled=True))
    namespace = await _made(world)
    before = world.snapshot()
    assert {"control-plane", "vector", "backup"} <= _runs(world)
    await _paused(world)
    assert _runs(world) == set()
    gone = {each for each in before.keys() - world.snapshot().keys() if " pods " not in each}
    assert gone == {f"host deployments mxp-ID-system/{name}" for name in components.NAMES}
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", namespace)
    status, reason, message = await _ready(world)
    assert (status, reason) == ("False", "Paused")
    assert COMMAND in message


async def test_resumed_it_is_what_it_was(world: World) -> None:
    await _made(world)
    before = world.snapshot()
    await _paused(world)
    await _state(world, "Running")
    await world.settle()
    assert (await _ready(world))[0] == "True"
    # The pause itself stays, in the status.
    changed = {each for each, text in world.snapshot().items() if before.get(each) != text}
    assert {each for each in changed if " pods " not in each} == {"host controlplanes default/ctp1"}


async def test_what_is_told_of_the_time_holds_no_moment_in_which_anything_ran(world: World) -> None:
    await _made(world)
    own_pod = {"app.kubernetes.io/name": "control-plane"}
    owner = world._objects(STATEFULSETS)[0]["metadata"]["labels"]
    pod = {"metadata": {"name": "p", "namespace": await world.host_namespace(), "labels": owner | own_pod}}
    world.webhook = False
    world.host.put(PODS, {**pod, "spec": {"containers": []}})
    world.grace = timedelta(hours=1)
    await _state(world, "Paused")
    for _ in range(40):
        await world.loop.reconcile(CTP1)
        world.play()
        world.clock += timedelta(seconds=3)
    assert world._objects(STATEFULSETS)[0]["spec"]["replicas"] == 0
    assert await _pauses(world) == [], "a pod of its API server is there"
    gone = world.clock
    world.grace = timedelta()
    await world.settle()
    begun = world.clock
    (pause,) = await _pauses(world)
    assert datetime.fromisoformat(pause["from"]) >= gone
    assert datetime.fromisoformat(pause["from"]) <= begun + timedelta(seconds=1)
    assert "to" not in pause
    world.clock += timedelta(hours=5)
    await _state(world, "Running")
    replicas = []
    world.meddle = lambda plural, obj: (
        (replicas.append(obj["spec"]["replicas"]) if plural == "statefulsets" else None) or obj
    )
    resumed = world.clock
    await world.loop.reconcile(CTP1)
    assert replicas == [1]
    (pause,) = await _pauses(world)
    assert datetime.fromisoformat(pause["to"]) <= resumed


async def test_an_operator_killed_at_any_write_of_a_pause_and_its_end_goes_on(world: World) -> None:
    await _made(world)
    before = {each for each in world.snapshot() if " pods " not in each}
    number, rounds, whole = 0, 0, set()
    while whole != {"Paused", "Running"}:
        for state, runs in (("Paused", False), ("Running", True)):
            await _state(world, state)
            world.fail_at(number)
            try:
                await world.settle()
                whole.add(state)
            except Interrupted:
                await world.tenants.aclose()
                world.fail_at(None)
                world.start()
                await world.settle()
            world.fail_at(None)
            assert bool(_runs(world)) is runs, f"killed at write {number} of {state}"
            pauses = await _pauses(world)
            assert len(pauses) == rounds + 1
            assert ["to" in each for each in pauses] == [True] * rounds + [runs]
        assert {each for each in world.snapshot() if " pods " not in each} == before
        number, rounds = number + 2, rounds + 1  # each second write: a file's tests stay quick
    assert number > 4


async def test_usage_that_is_not_stored_is_waited_for_where_it_would_go_with_its_pod(world: World) -> None:
    world.values = replace(OWN, persistence=Persistence(enabled=False))
    await _made(world)
    await _refused(world)
    await _state(world, "Paused")
    for _ in range(20):
        await world.loop.reconcile(CTP1)
        world.play()
    assert "vector" in _runs(world)
    message = (await _ready(world))[2]
    assert "usage that is not stored would be lost" in message
    assert "AccessDenied: usage waits" in message


async def test_usage_on_a_volume_keeps_nobody_waiting_and_is_told(world: World) -> None:
    await _made(world)
    await _refused(world)
    await _paused(world)
    assert _runs(world) == set()
    assert "is stored when it is resumed" in (await _ready(world))[2]


@pytest.mark.parametrize(
    ("taken", "told"), [("2026-11-22T11:00:00Z", True), ("2026-11-22T11:59:30Z", False), ("", True)]
)
async def test_deleted_while_it_is_paused_it_leaves_nothing_and_says_what_could_not_be_stored(
    world: World, taken: str, told: bool
) -> None:
    world.values = replace(BACKED_UP, persistence=Persistence(enabled=True))
    await _made(world)
    await _refused(world)
    if taken:
        own = await world.plane()
        last = {"snapshot": "x/20261122T115930Z-7", "takenAt": taken, "bytes": 4}
        world.host.put(CONTROLPLANES, {**own, "status": {**own["status"], "backup": last}})
    await _paused(world)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not any("mxp-" in each for each in world.snapshot() if each.startswith("host "))
    said = {each["reason"]: each["message"] for each in world._objects(EVENTS)}
    assert ("SnapshotNotStored" in said) is told
    assert "AccessDenied: usage waits; nothing runs that could store it" in said["UsageNotFlushed"]


async def test_deleted_on_its_way_to_rest_it_leaves_nothing(world: World) -> None:
    await _made(world)
    await _state(world, "Paused")
    await world.loop.reconcile(CTP1)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not any("mxp-" in each for each in world.snapshot() if each.startswith("host "))


async def test_made_to_be_paused_it_has_an_address_and_nothing_else(world: World) -> None:
    world.create(spec={"crossplane": {"state": "Paused"}})
    await world.settle()
    assert _runs(world) == set()
    assert (await _ready(world))[:2] == ("False", "Paused")
    assert "nothing of it was made yet" in (await _ready(world))[2]
    assert await _pauses(world) == [], "it owes nothing yet"
    await _state(world, "Running")
    await world.settle()
    assert (await _ready(world))[0] == "True"


@pytest.mark.parametrize(
    ("mode", "why"),
    [("logical", "its API is served by the host"), ("attached", "what is made there would not be counted")],
)
async def test_an_api_that_the_operator_does_not_run_goes_on_and_says_so(mode: str, why: str) -> None:
    world = World(replace(OWN, mode=mode))
    if mode == "attached":
        _bring(world)
    else:
        world.create()
    await world.settle()
    runs = _runs(world)
    await _paused(world)
    assert _runs(world) == runs
    synced = await world.condition("Synced")
    assert (synced["status"], synced["reason"]) == ("False", "PauseRefused")
    assert why in synced["message"]
    assert COMMAND in synced["message"]
    assert (await _ready(world))[0] == "True"
    assert await world.condition("CrossplaneManaged") is None, "that field is acted upon"
    await world.tenants.aclose()


async def test_certificates_are_renewed_meanwhile_and_nothing_is_asked_of_its_api(world: World) -> None:
    namespace = await _made(world)
    await _paused(world)
    first = (await world.host.get(SECRETS, "control-plane-certificates", namespace))["data"]
    asked = len(world.shown)
    world.clock += timedelta(days=20)
    await world.settle()
    assert (await world.host.get(SECRETS, "control-plane-certificates", namespace))["data"] != first
    assert len(world.shown) == asked
    assert _runs(world) == set()


@pytest.mark.parametrize("paused", [True, False])
async def test_values_that_cannot_be_read_neither_pause_nor_resume(world: World, paused: bool) -> None:
    await _made(world)
    if paused:
        await _paused(world)
    runs = _runs(world)
    world.values = Refusal(Reason.VALUES_INVALID, "no YAML")
    await _state(world, "Running" if paused else "Paused")
    for _ in range(12):
        await world.loop.reconcile(CTP1)
        world.play()
    assert _runs(world) == runs
    told = await world.condition("Ready" if paused else "Synced")
    assert (told["status"], told["reason"]) == ("False", "ValuesInvalid")


async def test_lost_keys_are_told_although_it_is_paused(world: World) -> None:
    await _made(world)
    await _paused(world)
    world._forget(SECRETS, next(e for e in world._objects(SECRETS) if e["metadata"]["name"] == "control-plane-keys"))
    await world.settle()
    assert (await _ready(world))[1] == "ApiKeysLost"
    assert _runs(world) == set()
