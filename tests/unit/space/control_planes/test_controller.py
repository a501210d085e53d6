"""A control plane's whole life against API servers in memory, and what an operator leaves that is killed on the way."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from keyless.api import Reason, Refusal
from keyless.kube import Invalid, Name, Unreachable
from keyless.kube.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CONTROLPLANES,
    CRDS,
    DEPLOYMENTS,
    LOGICALCLUSTERS,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
)
from keyless.kube.transport import Request
from keyless.space.values import Billing, Persistence, Values, Workload
from unit.space.world import BILLING, CTP1, ROLE, Interrupted, World, a_definition

WITH_ROLE = Values(billing=BILLING, vector=Workload(annotations={"eks.amazonaws.com/role-arn": ROLE}))
WITH_VOLUME = Values(billing=BILLING, persistence=Persistence(enabled=True))


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.tenants.aclose()


async def test_a_control_plane_gets_an_id_a_namespace_and_its_components(world: World) -> None:
    world.create()
    await world.settle()
    status = (await world.plane())["status"]
    namespace = f"mxp-{status['controlPlaneID']}-system"
    assert status["hostNamespace"] == namespace
    assert (await world.condition("Ready"))["status"] == "True"
    assert (await world.condition("Synced"))["status"] == "True"
    assert (await world.condition("ComponentsAvailable"))["status"] == "True"
    for name in ("vector", "external-secrets"):
        assert await world.exists(DEPLOYMENTS, name, namespace)
        assert await world.exists(SECRETS, f"kubeconfig-{name}", namespace)
    for account in ("vector", "external-secrets-controller"):
        assert await world.exists(SERVICEACCOUNTS, account, namespace)


async def test_a_settled_control_plane_is_left_alone(world: World) -> None:
    world.create()
    await world.settle()
    before = world.writes
    await world.settle()
    assert world.writes == before


async def test_the_host_namespace_is_the_one_that_was_asked_for(world: World) -> None:
    world.create(spec={"hostNamespace": {"name": "team-a"}})
    await world.settle()
    assert await world.host_namespace() == "team-a"
    assert await world.exists(LOGICALCLUSTERS, "team-a")
    assert await world.exists(DEPLOYMENTS, "vector", "team-a")


@pytest.mark.parametrize("taken", ["kube-system", "default"])
async def test_a_namespace_of_the_cluster_or_a_group_is_refused(world: World, taken: str) -> None:
    world.create(spec={"hostNamespace": {"name": taken}})
    await world.settle()
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "HostNamespaceTaken")
    assert taken in ready["message"]
    assert (await world.plane())["status"]["message"] == ready["message"]
    assert not await world.exists(LOGICALCLUSTERS, taken)


async def test_two_control_planes_cannot_share_a_namespace(world: World) -> None:
    other = Name("default", "ctp2")
    world.create(spec={"hostNamespace": {"name": "shared"}})
    world.create(other, spec={"hostNamespace": {"name": "shared"}})
    await world.settle()
    await world.settle(other)
    assert (await world.condition("Ready"))["status"] == "True"
    assert (await world.condition("Ready", other))["reason"] == "HostNamespaceTaken"


async def test_a_namespace_that_is_no_group_is_told_how_to_become_one(world: World) -> None:
    world.host.put(NAMESPACES, {"metadata": {"name": "plain"}})
    name = Name("plain", "ctp1")
    world.create(name)
    await world.settle(name)
    ready = await world.condition("Ready", name)
    assert ready["reason"] == "GroupNotLabelled"
    assert "kubectl label namespace plain spaces.upbound.io/group=true" in ready["message"]
    assert "finalizers" not in (await world.plane(name))["metadata"]


async def test_what_is_not_managed_is_said(world: World) -> None:
    world.create(spec={"crossplane": {"version": "1.18.0"}, "class": "large"})
    await world.settle()
    told = await world.condition("CrossplaneManaged")
    assert (told["status"], told["reason"]) == ("False", "CrossplaneNotManaged")
    assert "spec.crossplane and spec.class" in told["message"]
    assert (await world.condition("Ready"))["status"] == "True"


async def test_the_collectors_rights_do_not_wait_for_the_managed_kinds(world: World) -> None:
    world.create()
    await world.settle()
    inside = world.inside(await world.host_namespace())
    inside.put(CRDS, a_definition("vpcs", "ec2.aws.upbound.io", managed=True))
    inside.put(CRDS, a_definition("settings", "example.org", managed=False))
    await world.settle()
    await world.settle()
    assert CTP1 in world.woken
    rules = (await inside.get(CLUSTERROLES, "keyless:vector"))["rules"]
    assert [rule["resources"] for rule in rules] == [["customresourcedefinitions"], ["*"]]


async def test_tokens_are_renewed_at_half_their_life(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    first = (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"]
    world.clock += timedelta(seconds=1700)
    await world.settle()
    assert (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"] == first
    world.clock += timedelta(seconds=200)
    await world.settle()
    second = (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"]
    assert second["token"] != first["token"]
    assert second["server"] == first["server"]


async def test_a_recreated_account_inside_gets_a_new_token(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    first = (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"]["token"]
    await world.inside(namespace).delete(SERVICEACCOUNTS, "vector", "keyless-system")
    await world.settle()
    assert (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"]["token"] != first


async def test_a_component_waits_for_the_role_its_account_names(world: World) -> None:
    world.values, world.webhook = WITH_ROLE, False
    world.create()
    begin = world.clock
    await world.settle()
    assert world.clock - begin >= timedelta(seconds=30), "it was held back as long as it may be"
    namespace = await world.host_namespace()
    assert await world.exists(DEPLOYMENTS, "vector", namespace), "then it was created all the same"
    told = await world.condition("IdentityInjected")
    assert (told["status"], told["reason"]) == ("False", "IdentityNotInjected")
    assert f"kubectl rollout restart deployment vector -n {namespace}" in told["message"]


async def test_a_component_comes_at_once_where_the_webhook_answers(world: World) -> None:
    world.values = WITH_ROLE
    world.create()
    begin = world.clock
    await world.settle()
    assert world.clock - begin < timedelta(seconds=5)
    assert (await world.condition("IdentityInjected"))["status"] == "True"


async def test_nothing_is_said_of_an_identity_that_nobody_promised(world: World) -> None:
    world.webhook = False
    world.create()
    begin = world.clock
    await world.settle()
    assert world.clock - begin < timedelta(seconds=5)
    assert await world.condition("IdentityInjected") is None


async def test_annotating_an_account_restarts_nothing_and_says_what_to_do(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    before = await world.host.get(DEPLOYMENTS, "vector", namespace)
    world.values = WITH_ROLE
    await world.settle()
    account = await world.host.get(SERVICEACCOUNTS, "vector", namespace)
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == ROLE
    assert (await world.host.get(DEPLOYMENTS, "vector", namespace))["spec"] == before["spec"]
    assert (await world.condition("IdentityInjected"))["reason"] == "IdentityNotInjected"


async def test_an_annotation_made_by_hand_stays(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    patch = {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}}
    await world.host.patch(SERVICEACCOUNTS, "vector", patch, namespace)
    world.values = Values(billing=BILLING, vector=Workload(annotations={"team": "a"}))
    await world.settle()
    annotations = (await world.host.get(SERVICEACCOUNTS, "vector", namespace))["metadata"]["annotations"]
    assert annotations["eks.amazonaws.com/role-arn"] == ROLE
    assert annotations["team"] == "a"


async def test_a_changed_pod_template_rolls_out(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    world.values = Values(billing=Billing(True, "aws", "other-bucket", "us-west-2", "", ""))
    await world.settle()
    env = (await world.host.get(DEPLOYMENTS, "vector", namespace))["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "KEYLESS_BILLING_BUCKET", "value": "other-bucket"} in env


async def test_billing_turned_off_flushes_before_identity_and_volume_go(world: World) -> None:
    world.values = WITH_VOLUME
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    await _vector_says(world, "True")
    world.values = Values()
    world.grace = timedelta(seconds=20)
    await world.loop.reconcile(CTP1)
    assert not await world.exists(DEPLOYMENTS, "vector", namespace)
    world.play()
    await world.loop.reconcile(CTP1)
    assert await world.exists(SERVICEACCOUNTS, "vector", namespace), "its pods still store what they hold"
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "vector-spool", namespace)
    await world.settle()
    for res, name in ((SERVICEACCOUNTS, "vector"), (PERSISTENTVOLUMECLAIMS, "vector-spool")):
        assert not await world.exists(res, name, namespace)
    assert not await world.exists(CLUSTERROLEBINDINGS, f"spaces-vector-{namespace}")
    assert await world.condition("BillingStored") is None
    assert await world.exists(DEPLOYMENTS, "external-secrets", namespace)


async def test_a_component_that_goes_and_comes_many_times_is_nobodys_quarrel(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    for _ in range(6):
        world.values = Values()
        await world.settle()
        assert not await world.exists(DEPLOYMENTS, "vector", namespace)
        world.values = WITH_VOLUME
        await world.settle()
        assert await world.exists(DEPLOYMENTS, "vector", namespace)
        await _vector_says(world, "True")
        synced = await world.condition("Synced")
        assert synced is None or synced["status"] == "True", synced


async def test_usage_that_could_not_be_stored_keeps_its_volume(world: World) -> None:
    world.values = WITH_VOLUME
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    await _vector_says(world, "False")
    world.values = Values()
    await world.settle()
    assert not await world.exists(SERVICEACCOUNTS, "vector", namespace)
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "vector-spool", namespace)
    assert (await world.condition("UsageFlushed"))["reason"] == "UsageNotFlushed"
    world.values = WITH_VOLUME
    await world.settle()
    assert await world.exists(DEPLOYMENTS, "vector", namespace)
    assert await world.condition("UsageFlushed") is None


async def test_billing_without_a_bucket_starts_nothing_and_stops_nothing(world: World) -> None:
    world.values = Values(billing=Billing(enabled=True, secret=""))
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    assert not await world.exists(DEPLOYMENTS, "vector", namespace)
    told = await world.condition("BillingConfigured")
    assert told["reason"] == "BillingNotConfigured"
    assert "--set billing.storage.aws.bucket=" in told["message"]
    world.values = Values(billing=BILLING)
    await world.settle()
    world.values = Values(billing=Billing(enabled=True))
    await world.settle()
    assert await world.exists(DEPLOYMENTS, "vector", namespace), "what runs goes on with what it was told"


async def test_values_that_cannot_be_read_change_nothing_but_tokens_are_renewed(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    before = (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"]["token"]
    world.values = Refusal(Reason.VALUES_INVALID, "values.json is not JSON")
    world.clock += timedelta(seconds=2000)
    await world.settle()
    assert await world.exists(DEPLOYMENTS, "vector", namespace)
    assert (await world.condition("Synced"))["reason"] == "ValuesInvalid"
    assert (await world.condition("Ready"))["status"] == "True"
    assert (await world.host.get(SECRETS, "kubeconfig-vector", namespace))["data"]["token"] != before


async def test_shared_secrets_turned_off_leave_the_tenants_objects_alone(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    world.values = Values(billing=BILLING, shared_secrets=False)
    await world.settle()
    assert not await world.exists(DEPLOYMENTS, "external-secrets", namespace)
    assert not await world.exists(SERVICEACCOUNTS, "external-secrets-controller", namespace)
    assert await world.inside(namespace).get(CRDS, "externalsecrets.external-secrets.io")


async def test_definitions_of_someone_else_inside_are_theirs(world: World) -> None:
    world.create(spec={"hostNamespace": {"name": "team-a"}})
    foreign = a_definition("externalsecrets", "external-secrets.io", managed=False)
    world.inside("team-a").put(CRDS, foreign)
    await world.settle()
    told = await world.condition("Synced")
    assert told["reason"] == "DefinitionOwnedElsewhere"
    assert "externalsecrets.external-secrets.io" in told["message"]
    assert not await world.exists(DEPLOYMENTS, "external-secrets", "team-a")
    assert await world.exists(DEPLOYMENTS, "vector", "team-a")


async def test_a_connection_secret_is_written_into_the_group(world: World) -> None:
    world.create(spec={"writeConnectionSecretToRef": {"name": "ctp1-kubeconfig"}})
    await world.settle()
    secret = await world.host.get(SECRETS, "ctp1-kubeconfig", "default")
    kubeconfig = base64.b64decode(secret["data"]["kubeconfig"]).decode()
    assert (await world.host_namespace()) in kubeconfig
    assert secret["metadata"]["ownerReferences"][0]["name"] == "ctp1"


@pytest.mark.parametrize("namespace", ["kube-system", "default"])
async def test_a_connection_secret_elsewhere_or_of_someone_else_is_refused(world: World, namespace: str) -> None:
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": {"a": "Yg=="}})
    world.create(spec={"writeConnectionSecretToRef": {"name": "mine", "namespace": namespace}})
    await world.settle()
    assert (await world.condition("Synced"))["reason"] == "ConnectionSecretRefused"
    assert (await world.host.get(SECRETS, "mine", "default"))["data"] == {"a": "Yg=="}


async def test_an_attached_control_plane_is_reached_with_the_secret_that_was_brought(world: World) -> None:
    world.values = Values(mode="attached", billing=BILLING)
    world.create(metadata={"annotations": {"keyless.dev/attached-secret": "mine"}})
    await world.settle()
    assert (await world.condition("Ready"))["reason"] == "AttachedSecretMissing"
    data = {"server": "https://example.test/team-b", "ca.crt": "PEM", "token": "word"}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    world.host.put(SECRETS, {"metadata": {"name": "mine", "namespace": "default"}, "data": encoded})
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    assert await world.inside("team-b").get(SERVICEACCOUNTS, "vector", "keyless-system")
    assert not await world.exists(LOGICALCLUSTERS, await world.host_namespace())


async def test_a_deleted_control_plane_leaves_nothing(world: World) -> None:
    before = world.snapshot()
    world.values = WITH_VOLUME
    world.create(spec={"writeConnectionSecretToRef": {"name": "ctp1-kubeconfig"}})
    await world.settle()
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    world.insides.clear()
    assert world.snapshot() == before


async def test_deletion_flushes_first_and_says_what_it_waits_for(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    world.grace = timedelta(seconds=20)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.loop.reconcile(CTP1)
    world.play()
    await world.loop.reconcile(CTP1)
    ready = await world.condition("Ready")
    assert ready["reason"] == "Deleting"
    assert "vector" in ready["message"]
    for res, name in ((SERVICEACCOUNTS, "vector"), (SECRETS, "kubeconfig-vector")):
        assert await world.exists(res, name, namespace)
    assert await world.exists(LOGICALCLUSTERS, namespace)


async def test_a_pod_that_never_ends_does_not_hold_a_deletion_for_ever(world: World) -> None:
    world.create()
    await world.settle()
    world.grace = timedelta(days=1)
    begin = world.clock
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")
    assert world.clock - begin < timedelta(minutes=3)


async def test_a_namespace_that_was_there_before_stays(world: World) -> None:
    world.host.put(NAMESPACES, {"metadata": {"name": "mine"}})
    world.create(spec={"hostNamespace": {"name": "mine"}})
    await world.settle()
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert await world.exists(NAMESPACES, "mine")
    assert not await world.exists(DEPLOYMENTS, "vector", "mine")


async def test_an_orphaned_namespace_stays(world: World) -> None:
    world.create(spec={"hostNamespace": {"name": "kept", "deletionPolicy": "Orphan"}})
    await world.settle()
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not await world.exists(CONTROLPLANES, "ctp1", "default")
    assert await world.exists(NAMESPACES, "kept")


async def _vector_says(world: World, status: str) -> None:
    condition = {
        "type": "BillingStored",
        "status": status,
        "reason": "Stored",
        "message": "",
        "lastTransitionTime": "x",
    }
    said = {"metadata": {"name": "ctp1", "namespace": "default"}, "status": {"conditions": [condition]}}
    await world.host.apply(CONTROLPLANES, said, field_manager="vector", subresource="status")


async def _until_killed(world: World) -> bool:
    try:
        await world.settle()
    except Interrupted:
        pass
    else:
        return False
    await world.tenants.aclose()
    world.fail_at(None)
    world.start()
    return True


def _a_full_world() -> World:
    world = World(Values(billing=BILLING, vector=WITH_ROLE.vector, persistence=Persistence(enabled=True)))
    world.create(spec={"writeConnectionSecretToRef": {"name": "ctp1-kubeconfig"}})
    return world


async def test_an_operator_killed_at_any_write_leaves_a_way_to_the_same_end() -> None:
    reference = _a_full_world()
    await reference.settle()
    writes, expected = reference.writes, reference.snapshot()
    await reference.tenants.aclose()
    assert writes > 40
    for number in range(writes):
        world = _a_full_world()
        world.fail_at(number)
        assert await _until_killed(world)
        await world.settle()
        assert world.snapshot() == expected, f"killed at write {number}"
        await world.tenants.aclose()


async def test_an_operator_killed_at_any_write_of_a_deletion_still_leaves_nothing() -> None:
    number = 0
    killed = True
    while killed:
        world = World(WITH_VOLUME)
        before = world.snapshot()
        world.create()
        await world.settle()
        await world.host.delete(CONTROLPLANES, "ctp1", "default")
        world.fail_at(number)
        killed = await _until_killed(world)
        await world.settle()
        world.insides.clear()
        assert world.snapshot() == before, f"killed at write {number}"
        await world.tenants.aclose()
        number += 1
    assert number > 15


async def test_no_pod_is_left_when_all_is_gone(world: World) -> None:
    world.create()
    await world.settle()
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    assert not (await world.host.list(PODS)).items


async def test_a_failure_is_said_where_the_user_looks_and_tried_again(world: World) -> None:
    world.create()
    await world.settle()
    inside = world.inside(await world.host_namespace())
    counted = inside.before

    def unreachable(request: object) -> None:
        raise Unreachable({"message": "no answer: refused", "code": 0})

    inside.before = unreachable
    await world.loop.reconcile(CTP1)
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "ApiUnreachable")
    assert "no answer: refused" in told["message"]
    assert (await world.condition("Ready"))["status"] == "True", "it may be restarting"
    world.clock += timedelta(seconds=16)
    await world.loop.reconcile(CTP1)
    told = await world.condition("Ready")
    assert (told["status"], told["reason"]) == ("False", "ApiUnreachable")
    assert (await world.plane())["status"]["hostNamespace"]
    assert (await world.condition("ComponentsAvailable"))["status"] == "True", "nothing is known of them"
    inside.before = counted
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"
    await world.settle()
    assert (await world.condition("Synced"))["status"] == "True"


async def test_what_was_true_stays_true_over_a_restart_of_the_operator(world: World) -> None:
    world.create()
    await world.settle()
    status = (await world.plane())["status"]
    version = world.host._server.objects.version
    world.clock += timedelta(hours=1) / 4
    world.start()
    await world.loop.reconcile(CTP1)
    assert (await world.plane())["status"] == status, "also before its watches inside have heard anything"
    await world.settle()
    assert (await world.plane())["status"] == status
    assert world.host._server.objects.version == version, "nothing was written"


async def test_an_operator_that_starts_while_the_api_is_away_says_so_and_lets_the_rest_stand(world: World) -> None:
    world.create()
    await world.settle()
    inside = world.inside(await world.host_namespace())
    counted = inside.before

    def unreachable(request: object) -> None:
        raise Unreachable({"message": "no answer: refused", "code": 0})

    inside.before = unreachable
    world.start()
    for _ in range(3):
        await world.loop.reconcile(CTP1)
        await asyncio.sleep(1)
    assert (await world.condition("Ready"))["status"] == "True"
    assert (await world.condition("Synced"))["reason"] == "ApiUnreachable"
    world.clock += timedelta(seconds=20)
    await world.loop.reconcile(CTP1)
    assert (await world.condition("Ready"))["reason"] == "ApiUnreachable"
    inside.before = counted
    await asyncio.sleep(60)  # its watches wait longer and longer
    await world.settle()
    assert (await world.condition("Ready"))["status"] == "True"


async def test_one_component_that_is_refused_does_not_hold_back_the_other(world: World) -> None:
    world.values = replace(WITH_ROLE, vector=Workload(resources={"limits": {"cpu": "much"}}))
    world.create()
    for _ in range(8):
        with contextlib.suppress(Invalid):
            await world.loop.reconcile(CTP1)
        world.play()
        await asyncio.sleep(0.2)
    with pytest.raises(Invalid):
        await world.loop.reconcile(CTP1)
    namespace = await world.host_namespace()
    assert await world.exists(DEPLOYMENTS, "external-secrets", namespace)
    assert not await world.exists(DEPLOYMENTS, "vector", namespace)
    told = await world.condition("Synced")
    assert (told["status"], told["reason"]) == ("False", "ReconcileError")
    assert "quantities must match" in told["message"]
    assert (await world.condition("ComponentsAvailable"))["message"].startswith("vector: no ready pod yet")


async def test_a_failure_that_nobody_foresaw_is_said_without_its_words(world: World) -> None:
    world.create()
    await world.settle()

    def broken(request: Request) -> None:
        if "/pods" in request.path:
            raise KeyError("AKIA-not-to-be-told")

    world.host.before = broken
    with pytest.raises(KeyError):
        await world.loop.reconcile(CTP1)
    told = await world.condition("Synced")
    assert told["message"] == "KeyError in the operator, which is a bug of ours; its log has more"
