"""What changed about identity and readiness is an event on the ControlPlane, once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyless.kube.resources import CONTROLPLANES, EVENTS, PODS, SERVICEACCOUNTS
from keyless.space.control_planes.news import identity_news, ready_news
from keyless.space.items import STAMP
from keyless.space.values import ROLE_ANNOTATION, Values, Workload
from unit.space.world import BILLING, ROLE, World

OTHER = "arn:aws:iam::111122223333:role/other"
ACCOUNT = "service account vector"


@pytest.fixture
async def world():
    made = World(Values(billing=BILLING))
    yield made
    await made.tenants.aclose()


def _told(world: World, reason: str = "IdentityChanged") -> list[str]:
    return [each["message"] for each in world._objects(EVENTS) if each.get("reason") == reason]


async def _annotate(world: World, role: str | None) -> None:
    patch = {"metadata": {"annotations": {ROLE_ANNOTATION: role}}}
    await world.host.patch(SERVICEACCOUNTS, "vector", patch, await world.host_namespace())
    await world.settle()


async def test_a_role_that_comes_changes_and_goes_is_told_each_time(world: World) -> None:
    world.create()
    await world.settle()
    assert _told(world) == []
    await _annotate(world, ROLE)
    await _annotate(world, OTHER)
    await _annotate(world, None)
    assert sorted(_told(world)) == sorted(
        [
            f"{ACCOUNT} names role {ROLE} (before: names no role)",
            f"{ACCOUNT} names role {OTHER} (before: names role {ROLE})",
            f"{ACCOUNT} names no role (before: names role {OTHER})",
        ]
    )
    events = [each for each in world._objects(EVENTS) if each["reason"] == "IdentityChanged"]
    assert {(each["type"], each["involvedObject"]["kind"], each["involvedObject"]["name"]) for each in events} == {
        ("Normal", "ControlPlane", "ctp1")
    }


async def test_an_upgrade_with_a_role_is_told_for_account_and_pods(world: World) -> None:
    world.create()
    await world.settle()
    annotated = Workload(annotations={ROLE_ANNOTATION: ROLE}, pod_labels={"new": "pods"})
    world.values = replace(Values(billing=BILLING), vector=annotated)
    await world.settle()
    await world.settle()
    assert f"{ACCOUNT} names role {ROLE} (before: names no role)" in _told(world)
    assert f"vector's pods have role {ROLE} (before: run without an identity of their own)" in _told(world)


async def test_an_association_is_told_when_new_pods_have_it(world: World) -> None:
    world.create()
    await world.settle()
    (pod,) = [each for each in world._objects(PODS) if each["metadata"]["name"].startswith("vector-")]
    variable = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"}
    containers = [{**pod["spec"]["containers"][0], "env": [variable]}]
    world.host.put(PODS, {**pod, "spec": {**pod["spec"], "containers": containers}})
    await world.settle()
    (told,) = _told(world)
    assert told.startswith("vector's pods have the role of a pod identity association (before: run without")


async def test_credentials_that_a_probe_proved_are_told_and_so_is_another_role(world: World) -> None:
    world.create()
    await world.settle()
    for role in (ROLE, ROLE, OTHER):
        plane = await world.plane()
        message = f"no secret was read yet; the identity is {role}"
        proven = {"type": "SharedSecretsRead", "status": "Unknown", "reason": "IdentityProven", "message": message}
        kept = [each for each in plane["status"]["conditions"] if each["type"] != proven["type"]]
        world.host.put(CONTROLPLANES, {**plane, "status": {**plane["status"], "conditions": [*kept, proven]}})
        await world.settle()
    first, second = sorted(_told(world), key=len)
    asked = "external-secrets asked AWS who it is: IdentityProven: no secret was read yet; the identity is"
    assert first == f"{asked} {ROLE}"
    assert second.startswith(f"{asked} {OTHER} (before: ")
    assert ROLE in second


async def test_a_restarted_operator_tells_nothing_again(world: World) -> None:
    world.create()
    await world.settle()
    await _annotate(world, ROLE)
    before = len(world._objects(EVENTS))
    await world.tenants.aclose()
    world.start()
    await world.settle()
    assert len(world._objects(EVENTS)) == before


async def test_why_a_control_plane_is_not_ready_is_an_event_and_that_it_became_so(world: World) -> None:
    world.values = Values(mode="attached", billing=BILLING)
    world.create()
    await world.settle()
    await world.settle()
    (told,) = [each for each in world._objects(EVENTS) if each["reason"] == "AttachedSecretMissing"]
    assert told["type"] == "Warning"
    assert "kubectl annotate controlplane ctp1" in told["message"]
    assert told["count"] == 1
    world.values = Values(billing=BILLING)
    await world.settle()
    assert _told(world, "Available") == ["the control plane is ready"]


def test_what_was_not_known_before_is_no_change() -> None:
    assert identity_news(None, {"a": "b"}) == ()
    assert identity_news({}, {"service account vector": "names no role"}) == ()
    assert identity_news({"a": "b"}, {}) == ()


@pytest.mark.parametrize("reason", ["Creating", "Deleting"])
def test_stages_of_every_life_are_no_news(reason: str) -> None:
    after = {"conditions": [{"type": "Ready", "status": "False", "reason": reason}]}
    assert ready_news({}, after) == ()


def test_a_role_stands_before_the_operators_own_note() -> None:
    """kubectl, like every writer of Kubernetes' YAML, sorts the keys of a mapping."""
    assert sorted([STAMP, ROLE_ANNOTATION]) == [ROLE_ANNOTATION, STAMP]
