"""A control plane that begins as a snapshot of another: which steps, in which order, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace

import pytest

from keyless.kube import KubeObject, Name, NotFound
from keyless.kube.resources import (
    CONTROLPLANES,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    ROLES,
    SECRETS,
    STATEFULSETS,
)
from keyless.space.kubernetes.files import encryption
from keyless.space.values import Backup, Values
from unit.space.control_planes.test_backup import VALUES
from unit.space.world import CTP1, Interrupted, World

OLD = "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065"
WISH = {"metadata": {"annotations": {"keyless.dev/restore-from": OLD}}}
OLDER = encryption([("first", "b2xk")])


@pytest.fixture
async def world():
    made = World(VALUES)
    yield made
    await made.tenants.aclose()


def _pods(world: World) -> list[KubeObject]:
    return [each for each in world._objects(PODS) if each["metadata"]["name"] == "restore"]


async def _begun(world: World, **content: object) -> None:
    world.create(**(content or WISH))
    await _rounds(world)


async def _rounds(world: World, count: int = 8) -> None:
    for _ in range(count):
        await world.loop.reconcile(CTP1)
        world.play()


async def _fill(world: World) -> None:
    """What the pod does: the Secret with the keys, and that the data is in its place."""
    namespace = await world.host_namespace()
    data = {"encryption.json": OLDER, "placed": f"{OLD}/20261129T120000Z-42"}
    coded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    await world.host.patch(SECRETS, "control-plane-restored", {"data": coded}, namespace)


async def _ready(world: World) -> KubeObject:
    found = await world.condition("Ready")
    assert found is not None
    return found


async def test_the_volume_is_filled_before_there_are_keys_or_an_api_server(world: World) -> None:
    await _begun(world)
    namespace = await world.host_namespace()
    (pod,) = _pods(world)
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["fetch", "etcdutl"]
    assert pod["spec"]["serviceAccountName"] == "backup"
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-control-plane-0"}} in pod["spec"]["volumes"]
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", namespace)
    assert not await world.exists(SECRETS, "control-plane-keys", namespace)
    assert not await world.exists(STATEFULSETS, "control-plane", namespace)
    ready = await _ready(world)
    assert (ready["status"], "see condition Restored" in ready["message"]) == ("False", True)


async def test_then_it_has_keys_of_its_own_beside_those_of_the_snapshot(world: World) -> None:
    await _begun(world)
    await _fill(world)
    await world.settle()
    namespace = await world.host_namespace()
    assert (await _ready(world))["status"] == "True"
    held = (await world.host.get(SECRETS, "control-plane-certificates", namespace))["data"]["encryption.json"]
    keys = json.loads(base64.b64decode(held))["resources"][0]["providers"][0]["secretbox"]["keys"]
    assert keys[1] == {"name": "first", "secret": "b2xk"}
    assert keys[0]["name"] not in ("first", "")
    assert keys[0]["secret"] != "b2xk"
    assert (await world.plane())["status"]["controlPlaneID"] != OLD
    assert not _pods(world)
    assert not await world.exists(SECRETS, "control-plane-restored", namespace)
    assert not await world.exists(ROLES, "restore", namespace)


async def test_whoever_restores_may_write_one_secret_and_read_none(world: World) -> None:
    await _begun(world)
    role = await world.host.get(ROLES, "restore", await world.host_namespace())
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["control-plane-restored"], "verbs": ["patch"]}
    ]


async def test_a_pod_that_failed_is_made_anew_after_a_while(world: World) -> None:
    await _begun(world)
    (pod,) = _pods(world)
    failed = {"phase": "Failed", "startTime": world.clock.strftime("%Y-%m-%dT%H:%M:%SZ")}
    world.host.put(PODS, {**pod, "status": failed})
    await _rounds(world, 2)
    assert [each["metadata"]["uid"] for each in _pods(world)] == [pod["metadata"]["uid"]]
    world.clock = world.clock.replace(minute=5)
    await _rounds(world, 3)
    (again,) = _pods(world)
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]


@pytest.mark.parametrize(
    ("values", "wish", "reason"),
    [
        (VALUES, "the newest", "RestoreRefused"),
        (VALUES, f"{OLD}/newest", "RestoreRefused"),
        (replace(VALUES, backup=Backup()), OLD, "BackupNotConfigured"),
        (replace(VALUES, mode="logical"), OLD, "RestoreRefused"),
    ],
)
async def test_what_cannot_be_restored_is_told_and_nothing_is_begun_in_its_stead(
    values: Values, wish: str, reason: str
) -> None:
    world = World(values)
    await _begun(world, metadata={"annotations": {"keyless.dev/restore-from": wish}})
    assert (await _ready(world))["reason"] == reason
    assert not world._objects(STATEFULSETS)
    assert not _pods(world)
    await world.tenants.aclose()


async def test_once_it_has_keys_the_annotation_changes_nothing(world: World) -> None:
    world.create()
    await world.settle()
    before = world.snapshot()
    own = await world.plane()
    world.host.put(CONTROLPLANES, {**own, "metadata": {**own["metadata"], **WISH["metadata"]}})
    await world.settle()
    assert {key: text for key, text in world.snapshot().items() if "controlplanes" not in key} == {
        key: text for key, text in before.items() if "controlplanes" not in key
    }


async def test_lost_keys_of_a_restored_control_plane_begin_no_second_restoring(world: World) -> None:
    await _begun(world)
    await _fill(world)
    await world.settle()
    keys = next(each for each in world._objects(SECRETS) if each["metadata"]["name"] == "control-plane-keys")
    world._forget(SECRETS, keys)
    await world.settle()
    assert (await _ready(world))["reason"] == "ApiKeysLost"
    assert not _pods(world)


async def test_deleted_in_the_middle_it_leaves_nothing(world: World) -> None:
    before = set(world.snapshot())
    await _begun(world)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert set(world.snapshot()) == before


async def test_an_operator_killed_at_any_write_restores_once_and_ends_the_same() -> None:
    number, made, whole = 0, False, set[str]()
    while not made:
        world = World(VALUES)
        world.create(**WISH)
        world.fail_at(number)
        made = True
        for _ in range(14):
            try:
                await world.loop.reconcile(CTP1)
                if _pods(world):
                    with contextlib.suppress(NotFound):  # it is over
                        await _fill(world)
            except Interrupted:
                made = False
                await world.tenants.aclose()
                world.fail_at(None)
                world.start()
            world.play()
        await world.settle()
        assert (await _ready(world))["status"] == "True", f"killed at write {number}"
        assert not [each for each in _pods(world) if not each["metadata"].get("deletionTimestamp")]
        found = {each for each in world.snapshot() if "pods" not in each}
        assert found == (whole or found), f"killed at write {number}"
        whole = found
        await world.tenants.aclose()
        number += 13  # some of each kind: a file's tests stay quick
    assert number > 20


LAST = "20261122T120130Z-77"
"""Taken when the backup's pod ended, which is after all else that writes."""


@pytest.mark.parametrize("deleted", [False, True], ids=["still paused", "deleted meanwhile"])
async def test_the_last_snapshot_of_one_that_is_paused_begins_a_new_one_and_either_leaves_the_other_alone(
    world: World, deleted: bool
) -> None:
    world.create()
    await world.settle()
    source = await world.plane()
    place, identity = source["status"]["hostNamespace"], source["status"]["controlPlaneID"]
    last = {"snapshot": f"{identity}/{LAST}", "takenAt": "2026-11-22T12:01:30Z", "bytes": 4}
    spec = {**source["spec"], "crossplane": {"state": "Paused"}}
    world.host.put(CONTROLPLANES, {**source, "spec": spec, "status": {**source["status"], "backup": last}})
    await world.settle()
    assert (await _ready(world))["reason"] == "Paused"
    assert (await world.plane())["status"]["backup"] == last, "which one it is stays to be read"
    second = Name("default", "ctp2")
    world.create(second, metadata={"annotations": {"keyless.dev/restore-from": last["snapshot"]}})
    for number in range(12):
        await world.loop.reconcile(second)
        world.play()
        if deleted and number == 8:
            await world.host.delete(CONTROLPLANES, CTP1.name, CTP1.namespace)
            await world.settle()
            assert not await world.exists(NAMESPACES, place)
    namespace = await world.host_namespace(second)
    assert namespace != place
    (pod,) = _pods(world)
    assert pod["metadata"]["namespace"] == namespace
    asked = {each["name"]: each.get("value") for each in pod["spec"]["initContainers"][0]["env"]}
    assert last["snapshot"] in asked.values()
    data = {"encryption.json": OLDER, "placed": last["snapshot"]}
    coded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    await world.host.patch(SECRETS, "control-plane-restored", {"data": coded}, namespace)
    await world.settle(second)
    assert (await world.condition("Ready", second))["status"] == "True"
    assert (await world.plane(second))["status"]["controlPlaneID"] != identity
    assert not (await world.plane(second))["status"].get("pauses"), "that one was never paused"
    if not deleted:
        for _ in range(4):
            await world.loop.reconcile(CTP1)
            world.play()
        assert (await _ready(world))["reason"] == "Paused"
        assert await world.exists(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", place)
