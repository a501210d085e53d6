"""Controllers of others beside a control plane: who is named has an account, rights and a Secret, and nobody else."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzzing import effort

from keyless.kube import Forbidden, KubeObject
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONTROLPLANES,
    DEPLOYMENTS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
)
from keyless.space.control_planes import tenant
from keyless.space.control_planes.beside import ANNOTATION, LIMIT, RESERVED, Declared, names, read
from keyless.space.values import Values
from unit.space.control_planes.test_controller import _until_killed
from unit.space.control_planes.test_credentials import GIVEN, _give, _own
from unit.space.world import BILLING, CTP1, World

ATTACHED = "keyless.dev/attached-secret"
WAYS = ("logical", "kubernetes", "attached")


def a_world(way: str, controllers: str = "crossplane=crossplane", **content: Any) -> World:
    world = World(Values(billing=BILLING, mode="kubernetes" if way == "kubernetes" else "logical"))
    annotations = {ANNOTATION: controllers} if controllers else {}
    if way == "attached":
        world.values = Values(billing=BILLING)
        _give(world)
        annotations[ATTACHED] = "mine"
    world.create(metadata={"annotations": annotations}, **content)
    return world


async def inside(world: World, way: str) -> Any:
    return world.inside("team-b" if way == "attached" else await world.host_namespace())


async def name(world: World, controllers: str | None) -> None:
    await world.host.patch(
        CONTROLPLANES, CTP1.name, {"metadata": {"annotations": {ANNOTATION: controllers}}}, CTP1.namespace
    )
    await world.settle()
    await world.settle()


async def theirs(world: World, way: str) -> dict[str, str]:
    """By name of the account: its ClusterRole, empty without; each must have its Secret, and no Secret be without."""
    api = await inside(world, way)
    own = {"vector", "external-secrets", "operator", "connection", "default"}
    accounts = {each["metadata"]["name"] for each in api.stored(SERVICEACCOUNTS, "keyless-system")} - own
    bound = {
        each["metadata"]["name"].removeprefix("keyless:controller:"): each["roleRef"]["name"]
        for each in api.stored(CLUSTERROLEBINDINGS)
        if each["metadata"]["name"].startswith("keyless:controller:")
    }
    host = await world.host_namespace()
    secrets = {
        each["metadata"]["name"].removeprefix("kubeconfig-")
        for each in world.host.stored(SECRETS, host)
        if each["metadata"]["name"].startswith("kubeconfig-")
    }
    assert secrets - own == accounts
    assert bound.keys() <= accounts
    return {each: bound.get(each, "") for each in sorted(accounts)}


async def secret(world: World, of: str = "crossplane") -> dict[str, Any]:
    return dict(await world.host.get(SECRETS, f"kubeconfig-{of}", await world.host_namespace()))


def held(found: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


@pytest.mark.parametrize("way", WAYS)
async def test_who_is_named_comes_and_goes_with_the_annotation(way: str) -> None:
    world = a_world(way, "crossplane=crossplane, flux")
    await world.settle()
    assert await theirs(world, way) == {"crossplane": "crossplane", "flux": ""}
    told = (await world.plane())["status"]["controllers"]
    assert told == [
        {"name": "crossplane", "secret": "kubeconfig-crossplane"},
        {"name": "flux", "secret": "kubeconfig-flux"},
    ]
    assert (await world.condition("Synced"))["status"] == "True"
    await name(world, "crossplane=cluster-admin")
    assert await theirs(world, way) == {"crossplane": "cluster-admin"}
    await name(world, "crossplane")
    assert await theirs(world, way) == {"crossplane": ""}
    await name(world, None)
    assert await theirs(world, way) == {}
    assert (await world.plane())["status"].get("controllers", []) == []
    assert (await world.condition("Synced"))["status"] == "True"
    await world.tenants.aclose()


async def test_its_kubeconfig_names_the_files_beside_it_and_holds_no_token() -> None:
    world = a_world("logical")
    await world.settle()
    found = held(await secret(world))
    kubeconfig = json.loads(found["kubeconfig"])
    (user,), (cluster,) = kubeconfig["users"], kubeconfig["clusters"]
    assert user["user"] == {"tokenFile": "token"}
    assert cluster["cluster"] == {"server": found["server"], "certificate-authority": "ca.crt"}
    assert found["token"] not in found["kubeconfig"]
    await world.tenants.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_its_token_is_renewed_at_half_its_life_after_an_absence_too(way: str) -> None:
    world = a_world(way)
    await world.settle()
    before = await secret(world)
    world.clock += timedelta(minutes=29)
    await world.settle()
    assert await secret(world) == before
    await world.tenants.aclose()
    world.start()  # an operator that was away, and remembers nothing
    world.clock += timedelta(minutes=2)
    await world.settle()
    after = await secret(world)
    issued, expires = (
        after["metadata"]["annotations"][f"keyless.dev/token-{each}-at"] for each in ("issued", "expires")
    )
    assert issued > before["metadata"]["annotations"]["keyless.dev/token-issued-at"]
    assert expires > before["metadata"]["annotations"]["keyless.dev/token-expires-at"]
    await world.tenants.aclose()


async def test_a_secret_that_lost_its_kubeconfig_is_written_again() -> None:
    world = a_world("logical")
    await world.settle()
    found = await secret(world)
    del found["data"]["kubeconfig"]
    world.host.put(SECRETS, found)
    await world.settle()
    assert "kubeconfig" in held(await secret(world))
    await world.tenants.aclose()


@pytest.mark.parametrize(
    "entry", [*RESERVED, "keyless-more", "Crossplane", "a/b", "-a", "flux=", "flux=a/b", "flux=.."]
)
async def test_an_entry_that_cannot_be_is_refused_and_the_others_hold(entry: str) -> None:
    world = a_world("logical", f"{entry},crossplane=crossplane")
    await world.settle()
    assert await theirs(world, "logical") == {"crossplane": "crossplane"}
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "ControllerRefused")
    assert f"annotation {ANNOTATION}: {entry!r}: expected" in told["message"]
    kept = "--overwrite 'keyless.dev/controllers=crossplane=crossplane'`"
    assert f"`kubectl annotate controlplane ctp1 -n default {kept}" in told["message"]
    await name(world, "crossplane=crossplane")
    assert (await world.condition("Synced"))["status"] == "True"
    await world.tenants.aclose()


async def test_what_somebody_else_has_under_that_name_stays_and_is_told() -> None:
    world = a_world("logical", "")
    await world.settle()
    host, api = await world.host_namespace(), await inside(world, "logical")
    mine = {"metadata": {"name": "kubeconfig-one", "namespace": host}, "data": {"token": "bWluZQ=="}}
    kept = world.host.put(SECRETS, mine)
    account = api.put(SERVICEACCOUNTS, {"metadata": {"name": "two", "namespace": "keyless-system"}})
    bound = {
        "metadata": {"name": "keyless:controller:three"},
        "roleRef": {"apiGroup": tenant.RBAC, "kind": "ClusterRole", "name": "view"},
    }
    api.put(CLUSTERROLEBINDINGS, bound)
    await name(world, "one,two=edit,three=cluster-admin,four")
    told = (await world.condition("Synced"))["message"]
    assert f"'one': Secret kubeconfig-one in namespace {host} exists and was not made for it" in told
    assert "'two': ServiceAccount two in namespace keyless-system inside exists" in told
    assert "'three': ClusterRoleBinding keyless:controller:three inside exists" in told
    assert "--overwrite 'keyless.dev/controllers=four'" in told
    assert (await world.plane())["status"]["controllers"] == [{"name": "four", "secret": "kubeconfig-four"}]
    await name(world, None)
    assert world.host.stored(SECRETS, host)[0]["metadata"]["uid"]
    assert (await world.host.get(SECRETS, "kubeconfig-one", host))["data"] == kept["data"]
    assert (await api.get(SERVICEACCOUNTS, "two", "keyless-system"))["metadata"]["uid"] == account["metadata"]["uid"]
    assert (await api.get(CLUSTERROLEBINDINGS, "keyless:controller:three"))["roleRef"]["name"] == "view"
    await world.tenants.aclose()


async def test_of_very_many_wrong_entries_a_few_are_named_and_the_others_are_counted() -> None:
    world = a_world("logical", ",".join(["crossplane", *(f"B{number}" for number in range(30_000))]))
    await world.settle()
    assert await theirs(world, "logical") == {"crossplane": ""}
    told = await world.condition("Synced")
    assert "'B0': expected" in told["message"]
    assert "; 29995 more entries are wrong; the other names hold" in told["message"]
    assert len(told["message"]) < 2000
    await world.tenants.aclose()


async def test_what_somebody_else_let_go_of_is_taken_up_soon() -> None:
    world = a_world("logical", "")
    await world.settle()
    host = await world.host_namespace()
    world.host.put(SECRETS, {"metadata": {"name": "kubeconfig-one", "namespace": host}, "data": {}})
    await name(world, "one")
    assert (await world.condition("Synced"))["reason"] == "ControllerRefused"
    again = await world.loop.reconcile(CTP1)
    assert again is not None
    assert again <= 30
    await world.host.delete(SECRETS, "kubeconfig-one", host)
    await world.settle()
    assert await theirs(world, "logical") == {"one": ""}
    await world.tenants.aclose()


async def test_a_binding_that_somebody_holds_back_is_named_and_holds_nobody_else_back() -> None:
    world = a_world("logical", "held=view,other=view")
    await world.settle()
    api = await inside(world, "logical")
    finalizers: dict[str, Any] = {"metadata": {"finalizers": ["example.org/hold"]}}
    await api.patch(CLUSTERROLEBINDINGS, "keyless:controller:held", finalizers)
    before = await secret(world, "other")
    await name(world, "held=edit,other=view,new=view")
    assert await theirs(world, "logical") == {"held": "view", "new": "view", "other": "view"}
    told = await world.condition("Synced")
    assert told["reason"] == "ControllerRefused"
    where = "'held': ClusterRoleBinding keyless:controller:held inside"
    assert f"{where} is being deleted and waits for its finalizers (example.org/hold)" in told["message"]
    world.clock += timedelta(minutes=40)
    await world.settle()
    assert held(await secret(world, "other"))["token"] != held(before)["token"]
    # As well where it is to go altogether.
    await name(world, "other=view,new=view")
    assert (await world.condition("Synced"))["reason"] == "ControllerRefused"
    assert [each["name"] for each in (await world.plane())["status"]["controllers"]] == ["held", "new", "other"]
    finalizers["metadata"]["finalizers"] = None
    await api.patch(CLUSTERROLEBINDINGS, "keyless:controller:held", finalizers)
    await world.settle()
    assert await theirs(world, "logical") == {"new": "view", "other": "view"}
    assert (await world.condition("Synced"))["status"] == "True"
    await world.tenants.aclose()


async def test_a_binding_that_a_policy_inside_refuses_holds_back_no_others_token() -> None:
    world = a_world("logical", "one=cluster-admin,two=view")
    await world.settle()
    api = await inside(world, "logical")
    admit = api.admit

    def refusing(operation: str, plural: str, obj: KubeObject) -> KubeObject:
        if plural == "clusterrolebindings" and obj["metadata"]["name"] == "keyless:controller:one":
            raise Forbidden({"code": 403, "reason": "Forbidden", "message": "a policy refuses cluster-admin"})
        return admit(operation, plural, obj)

    api.admit = refusing
    await api.delete(CLUSTERROLEBINDINGS, "keyless:controller:one")
    before = await secret(world, "two")
    world.clock += timedelta(minutes=40)
    with pytest.raises(Forbidden):
        await world.settle()
    assert held(await secret(world, "two"))["token"] != held(before)["token"]
    await world.tenants.aclose()


async def test_what_is_ours_is_never_taken_for_theirs_whatever_its_labels_and_the_status_say() -> None:
    world = a_world("logical", "")
    await world.settle()
    api = await inside(world, "logical")
    labelled = {"metadata": {"labels": {"keyless.dev/controller": "vector"}}}
    await api.patch(SERVICEACCOUNTS, "vector", labelled, "keyless-system")
    before = await api.get(SERVICEACCOUNTS, "vector", "keyless-system")
    plane = await world.plane()
    lied = {**plane["status"], "controllers": [{"name": "vector"}, {"name": "A b"}, {}]}
    await world.host.replace(CONTROLPLANES, {**plane, "status": lied}, subresource="status")
    await world.settle()
    assert (await api.get(SERVICEACCOUNTS, "vector", "keyless-system"))["metadata"]["uid"] == before["metadata"]["uid"]
    assert await world.exists(SECRETS, "kubeconfig-vector", await world.host_namespace())
    await world.tenants.aclose()


async def test_one_that_came_with_a_snapshot_and_is_not_named_goes() -> None:
    world = a_world("kubernetes")
    await world.settle()
    await world.tenants.aclose()
    plane = await world.plane()
    status = {key: value for key, value in plane["status"].items() if key != "controllers"}
    metadata = {**plane["metadata"], "annotations": {}}
    await world.host.replace(CONTROLPLANES, {**plane, "metadata": metadata})
    plane = await world.plane()
    await world.host.replace(CONTROLPLANES, {**plane, "status": status}, subresource="status")
    await world.host.delete(SECRETS, "kubeconfig-crossplane", await world.host_namespace())
    world.start()
    await world.settle()
    assert await theirs(world, "kubernetes") == {}
    await world.tenants.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_an_operator_killed_at_any_write_goes_on_with_what_comes_and_what_goes(way: str) -> None:
    number, killed = 0, True
    while killed:
        world = a_world(way, "old=view,kept=view")
        await world.settle()
        before = world.snapshot().keys()
        wish = {"metadata": {"annotations": {ANNOTATION: "kept=edit,new=view"}}}
        await world.host.patch(CONTROLPLANES, "ctp1", wish, "default")
        world.fail_at(number)
        killed = await _until_killed(world)
        await world.settle()
        await world.settle()
        assert await theirs(world, way) == {"kept": "edit", "new": "view"}, f"killed at write {number}"
        assert [each["name"] for each in (await world.plane())["status"]["controllers"]] == ["kept", "new"]
        assert (await world.condition("Synced"))["status"] == "True"
        # As many objects as before: one came for each that went.
        assert {each.replace("new", "old") for each in world.snapshot()} == set(before), f"killed at write {number}"
        await world.tenants.aclose()
        number += 2 if way == "logical" else 5
    assert number > 8


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_theirs_is_left_after_a_deletion_in_a_namespace_that_stays(way: str) -> None:
    number, killed = 0, True
    while killed:
        world = a_world(way, spec={"hostNamespace": {"name": "team-a", "deletionPolicy": "Orphan"}})
        await world.settle()
        api = await inside(world, way)
        await world.host.delete(CONTROLPLANES, "ctp1", "default")
        world.fail_at(number)
        killed = await _until_killed(world)
        await world.settle()
        assert not [
            each["metadata"]["name"]
            for each in world.host.stored(SECRETS, "team-a")
            if each["metadata"]["name"].startswith("kubeconfig-")
        ], f"killed at write {number}"
        if way == "attached":
            bound = [each["metadata"]["name"] for each in api.stored(CLUSTERROLEBINDINGS)]
            assert not [each for each in bound if "crossplane" in each], f"killed at write {number}"
        await world.tenants.aclose()
        number += 3
    assert number > 6


async def test_a_pause_says_what_it_means_to_them_and_a_resumption_renews_the_token() -> None:
    world = a_world("kubernetes")
    await world.settle()
    before = held(await secret(world))
    state = {"spec": {"crossplane": {"state": "Paused"}}}
    await world.host.patch(CONTROLPLANES, "ctp1", state, "default")
    await world.settle()
    ready = await world.condition("Ready")
    assert ready["reason"] == "Paused"
    assert "; crossplane beside it: no API to reach, and a new token when it is resumed; `kubectl" in ready["message"]
    assert held(await secret(world)) == before
    world.clock += timedelta(hours=5)
    state["spec"]["crossplane"]["state"] = "Running"
    await world.host.patch(CONTROLPLANES, "ctp1", state, "default")
    await world.settle()
    expires = (await secret(world))["metadata"]["annotations"]["keyless.dev/token-expires-at"]
    assert expires > world.clock.strftime("%Y-%m-%dT%H:%M:%SZ")
    await world.tenants.aclose()


async def test_in_an_api_that_was_brought_a_new_name_needs_its_administrators_token_and_that_is_said() -> None:
    world = a_world("attached", "")
    await world.settle()
    world.void.add(GIVEN)
    await name(world, "crossplane=crossplane")
    assert await theirs(world, "attached") == {}
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "AttachedCredentialRefused")
    assert await world.exists(DEPLOYMENTS, "vector", await world.host_namespace())
    _give(world, "renewed")
    await world.settle()
    await world.settle()
    assert await theirs(world, "attached") == {"crossplane": "crossplane"}
    await world.tenants.aclose()


async def test_in_an_api_that_was_brought_the_operator_gives_rights_back_by_itself() -> None:
    world = a_world("attached")
    await world.settle()
    narrow = await rights(world)
    assert "keyless:controller:crossplane" in narrow
    world.void.add(GIVEN)
    own = await _own(world)
    await name(world, None)
    assert await theirs(world, "attached") == {}
    assert "crossplane" not in await rights(world)
    assert (await world.condition("Synced"))["status"] == "True"
    assert own in world.shown[-20:]
    await world.tenants.aclose()


async def rights(world: World) -> str:
    api = world.inside("team-b")
    role = await api.get(ROLES, "keyless:operator", "keyless-system")
    return json.dumps([role["rules"], (await api.get(CLUSTERROLES, "keyless:operator"))["rules"]])


def test_the_operators_rights_bind_no_other_role_than_is_named() -> None:
    made = tenant.operator("uid", connects=False, controllers={"crossplane": "crossplane", "flux": ""})
    rules = [rule for each in made if "rules" in each.object for rule in each.object["rules"]]
    assert [rule["resourceNames"] for rule in rules if "bind" in rule["verbs"]] == [["crossplane"]]
    without = tenant.operator("uid", connects=False, controllers={})
    # What was made before anybody could be named stays as it is: nobody needs an administrator's token for an upgrade.
    assert [each.object for each in without] == [each.object for each in tenant.operator("uid", connects=False)]


entries = st.one_of(
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?(=[a-zA-Z:.-]{1,8})?", fullmatch=True),
    st.sampled_from([*RESERVED, "keyless-x", "spaces", "", " ", "=", "a=", "=b", "A", "a=b=c", "a=b'; c", "a=`b`"]),
    st.text(max_size=12),
)


@effort(300)
@given(st.lists(entries, max_size=LIMIT + 8))
@example(["a=x", "a=y"])
@example([f"a{number}" for number in range(LIMIT + 1)])
def test_whatever_is_written_there_each_name_is_taken_once_or_refused(texts: list[str]) -> None:
    found, wrong = read(_naming(",".join(texts)))
    assert len({each.name for each in found}) == len(found) <= LIMIT
    for each in found:
        assert each.name not in RESERVED
        assert each.name == each.name.strip().lower()
        assert len(each.name) <= 63
        assert not set(each.role) & set("/% ='\"$`\\")
    # What is kept, written out, says the same again: the printed fix holds.
    again = _naming(",".join(map(str, found)))
    assert read(again) == (found, ())
    assert names(again) == tuple(each.name for each in found)
    assert bool(wrong) or {
        Declared(*each.split("=", 1)) for text in texts for raw in text.split(",") if (each := raw.strip())
    } == set(found)


def _naming(controllers: str) -> KubeObject:
    return {"metadata": {"name": "ctp1", "namespace": "default", "annotations": {ANNOTATION: controllers}}}
