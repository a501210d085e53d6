"""The token of an API that was brought makes a narrow one, which takes over and renews itself."""

from __future__ import annotations

import base64
import contextlib
from datetime import timedelta

import pytest

from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONTROLPLANES,
    NAMESPACES,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
)
from keyless.space.control_planes import tenant
from keyless.space.values import Values
from unit.space.world import BILLING, Interrupted, World

GIVEN = "given-word"
ANNOTATION = "keyless.dev/attached-secret"


@pytest.fixture
async def world():
    made = World(Values(billing=BILLING))
    yield made
    await made.tenants.aclose()


def _give(world: World, token: str = GIVEN, server: str = "https://example.test/team-b") -> None:
    data = {"server": server, "ca.crt": "PEM", "token": token}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": encoded})


def _bring(world: World, **spec: object) -> None:
    _give(world)
    world.create(metadata={"annotations": {ANNOTATION: "mine"}}, spec=spec)


async def _own(world: World) -> str:
    secret = await world.host.get(SECRETS, "kubeconfig-operator", await world.host_namespace())
    return base64.b64decode(secret["data"]["token"]).decode()


async def test_the_given_token_is_used_for_nothing_but_to_make_the_narrow_one(world: World) -> None:
    _bring(world)
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    own = await _own(world)
    assert "keyless-system/operator" in own
    first = world.shown.index(own)
    assert set(world.shown[:first]) == {GIVEN}
    assert GIVEN not in world.shown[first:], "once the narrow one is there"
    made_before = {"operator"}
    accounts = world.inside("team-b").stored(SERVICEACCOUNTS, "keyless-system")
    assert {each["metadata"]["name"] for each in accounts} == made_before | {"vector", "external-secrets"}


async def test_the_narrow_one_outlives_the_given_and_renews_itself(world: World) -> None:
    _bring(world)
    await world.settle()
    before = await _own(world)
    world.void.add(GIVEN)
    for _ in range(6):
        world.clock += timedelta(hours=7)
        await world.settle()
        assert (await world.condition("Ready"))["status"] == "True"
        assert (await world.condition("Synced"))["status"] == "True"
    assert await _own(world) != before
    assert GIVEN not in world.shown[world.shown.index(before) :]


async def test_a_void_token_is_told_at_once_and_a_good_one_taken_up(world: World) -> None:
    world.void.add(GIVEN)
    _bring(world)
    await world.settle()
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "AttachedCredentialRefused")
    assert "https://example.test/team-b refuses the token in Secret mine in namespace default (401" in ready["message"]
    assert GIVEN not in str(await world.plane())
    _give(world, "better")
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"


async def test_a_changed_secret_is_tried_though_the_narrow_one_works(world: World) -> None:
    _bring(world)
    await world.settle()
    world.void.add("spoilt")
    _give(world, "spoilt")
    await world.settle()
    synced = await world.condition("Synced")
    assert (synced["status"], synced["reason"]) == ("False", "AttachedCredentialRefused")
    assert "goes on with its own token" in synced["message"]
    assert (await world.condition("Ready"))["status"] == "True"
    await world.settle()
    assert (await world.condition("Synced"))["status"] == "False", "also when it was not tried again"
    before = await _own(world)
    _give(world, "renewed")
    await world.settle()
    assert (await world.condition("Synced"))["status"] == "True"
    assert await _own(world) != before


async def test_a_narrow_one_that_somebody_made_void_is_made_again(world: World) -> None:
    _bring(world)
    await world.settle()
    before = await _own(world)
    inside = world.inside("team-b")
    await inside.delete(SERVICEACCOUNTS, "operator", "keyless-system")
    world.void.add(before)
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert await _own(world) != before
    assert await inside.get(SERVICEACCOUNTS, "operator", "keyless-system")


async def test_without_any_credential_that_works_it_says_so_and_keeps_what_runs(world: World) -> None:
    _bring(world)
    await world.settle()
    world.void |= {GIVEN, await _own(world)}
    _give(world)
    await world.settle()
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "AttachedCredentialRefused")
    assert await world.exists(SECRETS, "kubeconfig-vector", await world.host_namespace())


async def test_another_api_in_the_secret_is_entered_with_what_was_given_for_it(world: World) -> None:
    _bring(world)
    await world.settle()
    _give(world, "other-word", "https://example.test/team-c")
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert world.inside("team-c").stored(SERVICEACCOUNTS, "keyless-system")


async def test_rights_that_grew_need_the_given_token_again_and_that_is_said(world: World) -> None:
    _bring(world)
    await world.settle()
    world.void.add(GIVEN)
    await world.host.patch(
        CONTROLPLANES, "ctp1", {"spec": {"writeConnectionSecretToRef": {"name": "kubeconfig"}}}, "default"
    )
    await world.settle()
    synced = await world.condition("Synced")
    assert (synced["status"], synced["reason"]) == ("False", "AttachedCredentialRefused")
    _give(world, "renewed")
    await world.settle()
    await world.settle()
    assert (await world.condition("Synced"))["status"] == "True"
    role = await world.inside("team-b").get(CLUSTERROLES, "keyless:operator")
    assert {"bind"} in [set(rule["verbs"]) for rule in role["rules"]]


async def test_a_connection_that_nobody_asks_for_any_more_loses_its_rights(world: World) -> None:
    world.create(spec={"writeConnectionSecretToRef": {"name": "kubeconfig"}})
    await world.settle()
    inside = world.inside(await world.host_namespace())
    assert await inside.get(CLUSTERROLEBINDINGS, "keyless:connection")
    plane = await world.plane()
    world.host.put(CONTROLPLANES, {**plane, "spec": {}})
    await world.settle()
    names = [each["metadata"]["name"] for each in inside.stored(CLUSTERROLEBINDINGS)]
    assert "keyless:connection" not in names
    assert "connection" not in [each["metadata"]["name"] for each in inside.stored(SERVICEACCOUNTS)]


@pytest.mark.parametrize("given_is_void", [False, True])
async def test_deletion_leaves_no_rights_wherever_the_operator_is_killed(given_is_void: bool) -> None:
    for write in range(0, 60, 7):
        fresh = World(Values(billing=BILLING))
        _bring(fresh)
        await fresh.settle()
        if given_is_void:
            fresh.void.add(GIVEN)
        await fresh.host.delete(CONTROLPLANES, "ctp1", "default")
        fresh.fail_at(write)
        done = False
        with contextlib.suppress(Interrupted):
            await fresh.settle()
            done = True
        await fresh.tenants.aclose()
        fresh.fail_at(None)
        fresh.start()
        await fresh.settle()
        await fresh.tenants.aclose()
        assert not await fresh.exists(CONTROLPLANES, "ctp1", "default")
        _collect(fresh)
        inside = fresh.inside("team-b")
        for res in (CLUSTERROLEBINDINGS, CLUSTERROLES, SERVICEACCOUNTS, ROLES):
            assert inside.stored(res) == []
        if done:
            return
    raise AssertionError("a deletion of more than 60 writes")


def _collect(world: World) -> None:
    """The namespace and garbage collectors of the API that was brought."""
    inside = world.inside("team-b")
    assert "keyless-system" not in [each["metadata"]["name"] for each in inside.stored(NAMESPACES)]
    for res in (CLUSTERROLEBINDINGS, CLUSTERROLES, SERVICEACCOUNTS, ROLES):
        for each in inside.stored(res):
            owners = [owner["kind"] for owner in each["metadata"].get("ownerReferences") or ()]
            if each["metadata"].get("namespace") == "keyless-system" or owners == ["Namespace"]:
                key = next(key for key, obj in inside._server.objects.items() if obj is each or obj == each)
                inside._server.lifecycle._remove(key)


def test_the_operators_own_rights_hold_all_that_it_hands_on() -> None:
    """Kubernetes lets nobody grant what they do not have."""
    own = next(each for each in tenant.operator("uid", connects=False) if each.resource == CLUSTERROLES).object["rules"]
    for name in ("vector", "external-secrets"):
        role = next(each for each in tenant.identity(name) if each.resource == CLUSTERROLES)
        assert [rule for rule in role.object["rules"] if rule not in own] == []


def test_the_operators_own_rights_bind_no_administrator_unless_a_connection_is_asked_for() -> None:
    for connects in (False, True):
        own = next(each for each in tenant.operator("uid", connects=connects) if each.resource == CLUSTERROLES).object
        verbs = {verb for rule in own["rules"] for verb in rule["verbs"]}
        assert ("bind" in verbs) == connects
        assert verbs.isdisjoint({"escalate", "impersonate", "*"})
