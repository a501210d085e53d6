"""A bad day of AWS or of the operator: what works goes on, what came is waited for, and the end is the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.kube.resources import CONTROLPLANES, WORKLOADIDENTITIES
from unit.space.workload_identity.test_following import NOON, Killed, Sts, World, admitted, shown

HOUR = timedelta(hours=1)
FAILURES: dict[str, Callable[[str], Exception]] = {
    "throttled": lambda operation: AwsTransient(Said(operation, "Throttling", "Rate exceeded")),
    "down": lambda operation: AwsTransient(Said(operation, "EndpointConnectionError", "no answer", answered=False)),
    "without credentials": lambda operation: AwsPermanent(
        Said(operation, "NoCredentialsError", "none", answered=False)
    ),
}


class Away(Sts):
    """AWS, whose ``services`` fail until the hour is over."""

    def __init__(self, world: World, services: tuple[str, ...], failure: Callable[[str], Exception]) -> None:
        super().__init__(lambda: world.clock)
        self.services, self.failure, self.tried = services, failure, 0

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if service in self.services and self.clock() < NOON + HOUR:
            self.tried += 1
            raise self.failure(operation)
        return await super().call(service, operation, **params)


async def through_the_hour(world: World) -> None:
    """Look again when the follower says so, until the hour is over and it has come to rest."""
    looked = 0
    while world.clock < NOON + HOUR + timedelta(minutes=12):
        again = await world.follower.reconcile("billing")
        assert again, "it looks again by itself"
        world.clock += timedelta(seconds=again)
        looked += 1
    assert looked < 400, "an hour of it is no hot loop"


async def a_world_that_worked(mode: str, services: tuple[str, ...], failure: str) -> tuple[World, Away]:
    """One control plane is Effective when the hour begins, and a second comes then."""
    world = World(mode=mode)
    works(world, 1, mode)
    await world.settle()
    assert await world.rows() == {"cp1": "Effective"}
    away = Away(world, services, FAILURES[failure])
    for name in ("roles", "policies", "providers", "associations"):
        setattr(away, name, getattr(world.aws, name))
    world.aws, world.clock = away, NOON
    world.start()
    works(world, 2, mode)
    return world, away


def works(world: World, number: int, mode: str) -> None:
    """A control plane; with Pod Identity the component itself shows what it has."""
    if mode == "irsa":
        world.plane(number)
        return
    world.pod(number, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://169.254.170.23/v1/credentials")
    world.plane(number, conditions=[shown("vector-1")])


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("mode", "services"),
    [
        ("irsa", ("iam",)),
        ("irsa", ("sts",)),
        ("irsa", ("iam", "eks", "sts")),
        ("pod-identity", ("eks",)),
        ("pod-identity", ("iam", "eks", "sts")),
    ],
)
async def test_an_hour_without_aws_takes_nothing_from_who_works_and_ends_by_itself(
    mode: str, services: tuple[str, ...], failure: str
) -> None:
    world, away = await a_world_that_worked(mode, services, failure)
    before = admitted(world)
    await world.follower.reconcile("billing")
    rows = await world.rows()
    assert rows["cp1"] == "Effective"
    assert rows["cp2"] != "Effective"
    assert set(before) <= set(admitted(world))

    await through_the_hour(world)
    assert away.tried > 10
    assert set((await world.rows()).values()) == {"Effective"}
    assert admitted(world) == [1, 2]


@pytest.mark.parametrize("failure", ["throttled", "down"])
async def test_what_passes_by_itself_is_not_called_a_refusal(failure: str) -> None:
    world, _ = await a_world_that_worked("irsa", ("iam",), failure)
    await world.follower.reconcile("billing")
    assert (await world.ready())[0] == "Throttled"
    assert (await world.rows())["cp2"] == "Throttled"


@pytest.mark.parametrize("mode", ["irsa", "pod-identity"])
async def test_killed_at_any_call_of_kubernetes_the_next_one_converges(mode: str) -> None:
    """Before the status is written, after it, and at every read on the way."""
    whole, calls = await _counted(mode)
    expected = (whole.aws.roles, whole.aws.policies, whole.aws.providers, len(whole.aws.associations))
    assert calls > 4
    for stop in range(calls):
        world = _three(mode)
        left = [stop]

        def kill(_: Any, left: list[int] = left) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1

        world.host.before = kill
        with pytest.raises(Killed):
            await world.follower.reconcile("billing")
        world.host.before = lambda _: None
        world.start()
        await world.settle()
        assert set((await world.rows()).values()) == {"Effective"}, stop
        found = (world.aws.roles, world.aws.policies, world.aws.providers, len(world.aws.associations))
        assert found == expected, stop


def _three(mode: str) -> World:
    world = World(mode=mode)
    for number in (1, 2, 3):
        works(world, number, mode)
    return world


async def _counted(mode: str) -> tuple[World, int]:
    world, calls = _three(mode), 0

    def count(_: Any) -> None:
        nonlocal calls
        calls += 1

    world.host.before = count
    await world.follower.reconcile("billing")
    world.host.before = lambda _: None
    await world.settle()
    return world, calls


async def test_a_status_that_cannot_be_written_is_written_later_and_aws_is_not_asked_for_more() -> None:
    world = _three("irsa")

    def refuse(request: Any) -> None:
        if request.method == "PATCH" and WORKLOADIDENTITIES.plural in request.path:
            raise Killed

    world.host.before = refuse
    for _ in range(3):
        with pytest.raises(Killed):
            await world.follower.reconcile("billing")
    writes = world.aws.writes
    world.host.before = lambda _: None
    await world.settle()
    assert world.aws.writes == writes
    assert set((await world.rows()).values()) == {"Effective"}


WHO = "arn:aws:sts::111122223333:assumed-role/spaces-operator/pod"


class Denying(Sts):
    """AWS, which refuses one operation to whoever follows."""

    def __init__(self, world: World, operation: str) -> None:
        super().__init__(lambda: world.clock)
        self.operation = operation

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if operation == self.operation:
            action = f"{service}:{operation}"
            words = (
                f"User: {WHO} is not authorized to perform: {action} on resource: r because no identity-based policy"
            )
            raise AwsPermanent(Said(operation, "AccessDenied", f"{words} allows the {action} action"))
        return await super().call(service, operation, **params)


@pytest.mark.parametrize(
    ("mode", "operation"),
    [
        *(("irsa", one) for one in ("ListRoles", "GetRole", "ListRolePolicies", "GetRolePolicy")),
        *(("irsa", one) for one in ("ListAttachedRolePolicies", "GetOpenIDConnectProvider", "UpdateAssumeRolePolicy")),
        *(("irsa", one) for one in ("CreateOpenIDConnectProvider", "CreateRole", "PutRolePolicy")),
        *(("pod-identity", f"{verb}PodIdentityAssociation") for verb in ("Create", "Describe", "Delete")),
        *(("pod-identity", one) for one in ("ListPodIdentityAssociations", "CreateRole", "PutRolePolicy")),
    ],
)
async def test_what_the_operator_lacks_is_told_in_the_condition_and_once_it_has_it_the_rest_follows(
    mode: str, operation: str
) -> None:
    world = World(mode=mode)
    old, there = world.aws, operation not in ("CreateOpenIDConnectProvider", "CreateRole", "PutRolePolicy")
    if there:
        works(world, 1, mode)
        works(world, 3, mode)
        await world.settle()
        await world.host.delete(CONTROLPLANES, "cp3", "default")
    world.aws = Denying(world, operation)
    for name in ("roles", "policies", "providers", "associations"):
        setattr(world.aws, name, getattr(old, name))
    world.start()
    works(world, 2, mode)
    for _ in range(2):
        await world.follower.reconcile("billing")
        reason, message = await world.ready()
        assert reason == "GrantRefused"
        assert f"{WHO} is not authorized to perform: " in message
        assert f"{WHO} needs " in message
        assert f':{operation}"' in message.partition("add {")[2]
        rows = await world.rows()
        assert rows["cp2"] == "GrantRefused"
        assert not there or rows["cp1"] == "Effective"
    world.aws.operation = ""
    await world.settle()
    assert (await world.ready())[0] == "Effective"
    assert admitted(world) == ([1, 2] if there else [2])
