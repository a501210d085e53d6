"""An API that was brought: at the end of its control plane all that the operator made in it goes, and nothing else."""

from __future__ import annotations

import base64
import contextlib

import pytest

from keyless.kube.resources import CLUSTERROLES, CONTROLPLANES, EVENTS, SECRETS
from keyless.space.values import Values
from unit.space.world import BILLING, Interrupted, World


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.tenants.aclose()


def _bring(world: World, **metadata: object) -> None:
    world.values = Values(mode="attached", billing=BILLING)
    annotations = {"keyless.dev/attached-secret": "mine"}
    world.create(metadata={"annotations": annotations}, spec={"writeConnectionSecretToRef": {"name": "kubeconfig"}})
    data = {"server": "https://example.test/team-b", "ca.crt": "PEM", "token": "word"}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": encoded})


def _ours_inside(world: World) -> set[tuple[str, str]]:
    objects = world.inside("team-b")._server.objects.items()
    labelled = [key for key, obj in objects if "spaces-operator" in (obj["metadata"].get("labels") or {}).values()]
    return {(key.plural, key.name) for key in labelled if key.plural != "customresourcedefinitions"}


async def test_deletion_takes_all_rights_out_of_an_attached_api(world: World) -> None:
    _bring(world)
    await world.settle()
    assert ("clusterrolebindings", "keyless:connection") in _ours_inside(world)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")
    assert _ours_inside(world) == set()


async def test_deletion_leaves_what_another_made_under_the_same_name_in_an_attached_api(world: World) -> None:
    _bring(world)
    await world.settle()
    theirs = {"metadata": {"name": "keyless:vector"}, "rules": []}
    world.inside("team-b").put(CLUSTERROLES, theirs)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert await world.inside("team-b").get(CLUSTERROLES, "keyless:vector")
    assert _ours_inside(world) == set()


async def test_rights_in_an_attached_api_go_wherever_the_operator_is_killed(world: World) -> None:
    for write in range(60):
        fresh = World()
        _bring(fresh)
        await fresh.settle()
        await fresh.host.delete(CONTROLPLANES, "ctp1", "default")
        fresh.fail_at(write)
        with contextlib.suppress(Interrupted):
            await fresh.settle()
            await fresh.tenants.aclose()
            return
        await fresh.tenants.aclose()
        fresh.fail_at(None)
        fresh.start()
        await fresh.settle()
        await fresh.tenants.aclose()
        assert _ours_inside(fresh) == set()
    raise AssertionError("a deletion of more than 60 writes")


async def test_an_attached_api_that_cannot_be_entered_is_let_go_and_told(world: World) -> None:
    _bring(world)
    await world.settle()
    own = await world.host.get(SECRETS, "kubeconfig-operator", await world.host_namespace())
    world.void.add(base64.b64decode(own["data"]["token"]).decode())
    await world.host.delete(SECRETS, "mine", "default")
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")
    told = [each for each in world._objects(EVENTS) if each.get("reason") == "DeletionTimedOut"]
    (message,) = [each.get("message") or each.get("note") for each in told]
    assert "keyless:connection keyless:vector keyless:external-secrets" in message


async def test_what_a_component_says_is_wrong_is_the_sentence_of_the_control_plane(world: World) -> None:
    _bring(world)
    await world.settle()
    told = {"type": "BillingStored", "status": "False", "reason": "AccessDenied", "message": "no s3:PutObject"}
    plane = await world.plane()
    plane["status"]["conditions"].append(told)
    world.host.put(CONTROLPLANES, plane)
    await world.settle()
    assert (await world.plane())["status"]["message"] == "no s3:PutObject"
    plane = await world.plane()
    plane["status"]["conditions"] = [each for each in plane["status"]["conditions"] if each["type"] != told["type"]]
    world.host.put(CONTROLPLANES, plane)
    await world.settle()
    assert (await world.plane())["status"]["message"] == ""
