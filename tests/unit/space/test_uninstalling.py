"""Before an uninstall every control plane is let go of: it stays, can be deleted, and volumes with data stay."""

from __future__ import annotations

import asyncio
import base64
import contextlib

import pytest

from keyless.api import Permanent
from keyless.kube import Unreachable
from keyless.kube.errors import failure_status
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CONTROLPLANES,
    DEPLOYMENTS,
    LOGICALCLUSTERS,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    ROLEBINDINGS,
    SECRETS,
    SERVICEACCOUNTS,
    STATEFULSETS,
)
from keyless.space import Settings
from keyless.space.uninstalling import Uninstall
from keyless.space.values import Persistence, Values
from unit.space.test_service import _set_values
from unit.space.world import BILLING, World

WITH_VOLUME = Values(billing=BILLING, persistence=Persistence(enabled=True))


async def _uninstall(world: World) -> None:
    """The hook, with the cluster's controllers beside it."""

    async def play() -> None:
        while True:
            world.play()
            await asyncio.sleep(0.05)
            world.grace *= 0

    playing = asyncio.create_task(play())
    try:
        await Uninstall(Settings(), world.host, world._door).run()
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def _running(values: Values = WITH_VOLUME, **metadata: object) -> World:
    world = World(values)
    _set_values(world)
    world.create(metadata=metadata)
    await world.settle()
    await world.tenants.aclose()
    return world


def _attach(world: World) -> None:
    data = {"server": "https://example.test/team-b", "ca.crt": "PEM", "token": "word"}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": encoded})


async def _stored(world: World) -> None:
    plane = await world.plane()
    stored = {"type": "BillingStored", "status": "True", "reason": "Stored"}
    conditions = [*plane["status"]["conditions"], stored]
    world.host.put(CONTROLPLANES, {**plane, "status": {**plane["status"], "conditions": conditions}})


async def test_a_control_plane_stays_and_can_be_deleted_by_anybody() -> None:
    world = await _running()
    await _uninstall(world)
    assert "finalizers" not in (await world.plane())["metadata"] or not (await world.plane())["metadata"]["finalizers"]
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")


async def test_components_and_their_rights_go_and_a_volume_with_data_stays() -> None:
    world = await _running()
    namespace = await world.host_namespace()
    await _uninstall(world)
    for res in (DEPLOYMENTS, PODS, SERVICEACCOUNTS, ROLEBINDINGS, SECRETS):
        assert world.host.stored(res, namespace) == [], res.plural
    assert world.host.stored(CLUSTERROLEBINDINGS) == []
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "vector-spool", namespace)
    assert await world.exists(NAMESPACES, namespace)
    assert len(world.host.stored(LOGICALCLUSTERS)) == 1, "it holds its users' objects"


async def test_a_volume_whose_usage_was_stored_goes() -> None:
    world = await _running()
    await _stored(world)
    await _uninstall(world)
    assert not await world.exists(PERSISTENTVOLUMECLAIMS, "vector-spool", await world.host_namespace())


async def test_what_was_made_inside_a_brought_api_goes_and_so_does_an_empty_host_namespace() -> None:
    world = World(Values(billing=BILLING))
    _set_values(world)
    _attach(world)
    world.create(metadata={"annotations": {"keyless.dev/attached-secret": "mine"}})
    await world.settle()
    await world.tenants.aclose()
    namespace = await world.host_namespace()
    await _uninstall(world)
    inside = world.inside("team-b")
    assert "keyless-system" not in [each["metadata"]["name"] for each in inside.stored(NAMESPACES)]
    names = [each["metadata"]["name"] for each in inside.stored(CLUSTERROLEBINDINGS)]
    assert names in ([], ["keyless:operator"]), "that one the namespace owns"
    assert not await world.exists(NAMESPACES, namespace)
    assert await world.exists(SECRETS, "mine", "default")


async def test_an_api_server_of_its_own_stays_with_its_keys_and_its_volume() -> None:
    world = await _running(Values(mode="kubernetes", billing=BILLING))
    await _stored(world)
    namespace = await world.host_namespace()
    await _uninstall(world)
    assert await world.exists(STATEFULSETS, "control-plane", namespace)
    assert await world.exists(SECRETS, "control-plane-keys", namespace)
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", namespace)


async def test_a_chart_that_is_installed_again_takes_them_up() -> None:
    world = await _running()
    namespace = await world.host_namespace()
    await _uninstall(world)
    world.start()
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert await world.host_namespace() == namespace
    assert await world.exists(DEPLOYMENTS, "vector", namespace)
    await world.tenants.aclose()


async def test_the_operator_ends_first() -> None:
    world = await _running()
    world.host.put(
        DEPLOYMENTS, {"metadata": {"name": "spaces-operator", "namespace": "default"}, "spec": {"replicas": 2}}
    )
    world._start_pods = lambda: False
    world.host.calls.clear()
    await _uninstall(world)
    assert (await world.host.get(DEPLOYMENTS, "spaces-operator", "default"))["spec"]["replicas"] == 0
    writes = [call for call in world.host.calls if not call.startswith("GET")]
    assert "deployments/spaces-operator" in writes[0]


@pytest.mark.parametrize("write", range(0, 24, 4))
async def test_one_that_was_cut_off_anywhere_goes_on(write: int) -> None:
    world = await _running()
    namespace = await world.host_namespace()
    world.fail_at(write)
    with contextlib.suppress(BaseException):
        await _uninstall(world)
    world.fail_at(None)
    await _uninstall(world)
    assert not (await world.plane())["metadata"].get("finalizers")
    assert world.host.stored(DEPLOYMENTS, namespace) == []


async def test_those_that_cannot_be_let_go_of_in_time_are_named() -> None:
    world = await _running()
    counted = world.host.before

    def refuse(request) -> None:
        if request.method == "DELETE":
            raise Unreachable(failure_status(0, "", "no answer"))
        counted(request)

    world.host.before = refuse
    with pytest.raises(Permanent, match="control planes default/ctp1: not let go of within 240 s"):
        await _uninstall(world)
