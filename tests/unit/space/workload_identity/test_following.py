"""Following control planes: rows that say how far each is, and every interruption, refusal and edit goes on well."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyless.identity.verify.model import Unread
from keyless.kube import KubeObject
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS, WORKLOADIDENTITIES
from keyless.space.values import Billing, Values
from keyless.space.workload_identity.controller import Clusters, Follower
from keyless.space.workload_identity.model import with_roles
from keyless.space.workload_identity.proof import Proof
from unit.identity.grants.fake_aws import ACCOUNT, FakeAws, refused, throttled
from unit.identity.grants.test_grants import CLUSTER, host_namespace

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/keyless-billing"


class Killed(BaseException):
    """The operator was killed here."""


class Sts(FakeAws):
    """IAM and EKS, and an STS that judges by what IAM has had for ``lag`` changes of the clock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self.clock, self.seen_after = clock, NOON
        self.probes = self.calls = 0
        self.kill_at: int | None = None

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        self.calls += 1
        if self.kill_at is not None and self.calls > self.kill_at:
            raise Killed
        if operation == "AssumeRoleWithWebIdentity":
            self.probes += 1
            role = self.roles.get(params["RoleArn"].rpartition("/")[2])
            if role is None or self.clock() < self.seen_after or params["WebIdentityToken"] not in str(role):
                raise refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
            assert "Deny" in params["Policy"]
            return {}
        return await super().call(service, operation, **params)


class World:
    """A Space in memory; ``settle`` runs the follower until it would sleep for long."""

    def __init__(self, **spec: Any) -> None:
        self.clock = NOON
        self.host = MemoryKube(now=lambda: self.clock)
        self.aws = Sts(lambda: self.clock)
        self.cluster: Any = CLUSTER
        self.values = Values(billing=Billing(enabled=True, provider="aws", bucket="usage", secret=""))
        self.host.put(NAMESPACES, {"metadata": {"name": "default"}})
        self.spec = {"component": "billing", "manage": True, "clusterName": "prod", **spec}
        self.host.put(WORKLOADIDENTITIES, {"metadata": {"name": "billing"}, "spec": self.spec})
        self.start()

    def start(self) -> None:
        """A new operator, which remembers nothing."""

        async def read(_: str) -> Any:
            return self.cluster

        async def pause(seconds: float) -> None:
            self.clock += timedelta(seconds=seconds)

        prover = Proof(TokenKube(self.host), self.aws)
        self.follower = Follower(
            self.host, self.aws, prover, Clusters(read), lambda: self.values, now=lambda: self.clock, pause=pause
        )

    def plane(self, number: int, **status: Any) -> None:
        """A control plane with its host namespace."""
        metadata = {"name": f"cp{number}", "namespace": "default"}
        content = {"hostNamespace": host_namespace(number), **status}
        self.annotate(number, ROLE)
        self.host.put(CONTROLPLANES, {"metadata": metadata, "spec": {}, "status": content})

    def annotate(self, number: int, role: str) -> None:
        """The service account, as the loop over control planes writes it."""
        metadata = {"name": "vector", "namespace": host_namespace(number)}
        annotations = {"eks.amazonaws.com/role-arn": role}
        self.host.put(SERVICEACCOUNTS, {"metadata": {**metadata, "annotations": annotations}})

    def pod(self, number: int, **env: str) -> None:
        """A pod of its collector."""
        namespace = host_namespace(number)
        listed = [{"name": name, "value": value} for name, value in env.items()]
        metadata = {"name": "vector-1", "namespace": namespace, "labels": {"app.kubernetes.io/name": "vector"}}
        self.host.put(PODS, {"metadata": metadata, "spec": {"containers": [{"name": "vector", "env": listed}]}})
        metadata = {"name": "vector", "namespace": namespace}
        self.host.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"template": {"metadata": {}}}})

    async def settle(self) -> None:
        for _ in range(40):
            again = await self.follower.reconcile("billing")
            if again is None or again >= 60:
                return
            self.clock += timedelta(seconds=again)
        raise AssertionError("the follower does not come to rest")

    async def status(self) -> KubeObject:
        return (await self.host.get(WORKLOADIDENTITIES, "billing"))["status"]

    async def rows(self) -> dict[str, str]:
        return {row["name"]: row["reason"] for row in (await self.status())["controlPlanes"]}

    async def ready(self) -> tuple[str, str]:
        (condition,) = (await self.status())["conditions"]
        return condition["reason"], condition["message"]


class TokenKube:
    """Issues tokens that are their own subject; all else is the host's."""

    def __init__(self, host: MemoryKube) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    async def token(self, service_account: str, namespace: str, **_: Any) -> Any:
        class Issued:
            token = f"system:serviceaccount:{namespace}:{service_account}"

        return Issued()


def shown(pod: str) -> dict[str, Any]:
    """What a collector with Pod Identity says when it has stored."""
    told = f"usage is stored as arn:aws:sts::{ACCOUNT}:assumed-role/keyless-billing/eks-prod-vector"
    said = {"type": "BillingStored", "status": "True", "reason": "Stored", "message": told}
    return {**said, "pod": pod} if pod else said


def admitted(world: World) -> list[int]:
    shown = str([world.aws.roles, list(world.aws.associations.values())])
    return [n for n in range(8) if host_namespace(n) in shown]


async def test_off_by_default_nothing_is_asked_of_aws() -> None:
    world = World(manage=False)
    world.plane(1)
    await world.settle()

    assert world.aws.calls == 0
    assert (await world.ready())[0] == "NotManaged"


async def test_a_control_plane_that_appears_gets_its_identity_and_one_that_goes_loses_it() -> None:
    world = World()
    world.plane(1)
    await world.settle()
    assert await world.rows() == {"cp1": "Effective"}

    world.plane(2)
    await world.settle()
    assert await world.rows() == {"cp1": "Effective", "cp2": "Effective"}
    assert admitted(world) == [1, 2]

    await world.host.delete(CONTROLPLANES, "cp1", "default")
    await world.settle()
    assert admitted(world) == [2]
    assert (await world.status())["effective"] == "1/1"


async def test_propagation_is_shown_until_a_probe_gets_the_role() -> None:
    world = World()
    world.plane(1)
    world.aws.seen_after = NOON + timedelta(seconds=15)
    await world.follower.reconcile("billing")
    assert await world.rows() == {"cp1": "Propagating"}
    assert "AccessDenied" in (await world.status())["controlPlanes"][0]["message"]

    await world.settle()
    assert await world.rows() == {"cp1": "Effective"}
    assert world.clock - NOON < timedelta(seconds=20)


async def test_what_stays_refused_says_so_and_is_asked_less_often() -> None:
    world = World()
    world.plane(1)
    world.aws.seen_after = NOON + timedelta(hours=1)
    for _ in range(80):
        again = await world.follower.reconcile("billing")
        assert again is not None
        world.clock += timedelta(seconds=again)
    assert await world.rows() == {"cp1": "NotEffective"}
    assert world.aws.probes < 82


async def test_being_deleted_it_keeps_its_identity_until_it_is_gone() -> None:
    world = World()
    world.plane(1)
    await world.settle()
    plane = await world.host.get(CONTROLPLANES, "cp1", "default")
    plane = copy.deepcopy(plane)
    plane["metadata"] |= {"deletionTimestamp": "2026-11-22T12:00:00Z", "finalizers": ["spaces.upbound.io/operator"]}
    world.host.put(CONTROLPLANES, plane)
    await world.settle()

    assert await world.rows() == {"cp1": "IdentityKept"}
    assert admitted(world) == [1]


async def test_a_persons_edit_is_reported_and_left() -> None:
    world = World()
    world.plane(1)
    await world.settle()
    world.aws.roles["keyless-billing"]["AssumeRolePolicyDocument"]["Statement"][0]["Action"] = "sts:*"
    before = copy.deepcopy(world.aws.roles)
    world.plane(2)
    await world.settle()

    reason, message = await world.ready()
    assert reason == "GrantRefused"
    assert "changed by somebody" in message
    assert world.aws.roles == before
    assert await world.rows() == {"cp1": "Effective", "cp2": "GrantRefused"}


async def test_throttling_is_shown_and_ends_by_itself() -> None:
    world = World()
    world.plane(1)
    world.aws.failures = [throttled()] * 12
    await world.follower.reconcile("billing")
    assert (await world.rows())["cp1"] == "Throttled"
    for _ in range(3):
        world.clock += timedelta(seconds=60)
        await world.settle()
    assert await world.rows() == {"cp1": "Effective"}


async def test_a_cluster_that_cannot_be_read_is_a_reason_and_not_an_end() -> None:
    world = World()
    world.plane(1)
    world.cluster = Unread("eks:DescribeCluster was denied")
    await world.settle()
    assert (await world.ready())[0] == "AWSNotReadable"

    world.cluster = CLUSTER
    await world.settle()
    assert await world.rows() == {"cp1": "Effective"}


async def test_a_role_that_was_deleted_is_made_again_at_the_next_sweep() -> None:
    world = World()
    world.plane(1)
    await world.settle()
    world.aws.roles.clear()
    world.aws.policies.clear()
    world.clock += timedelta(minutes=11)
    await world.settle()

    assert admitted(world) == [1]


@pytest.mark.parametrize("mode", ["irsa", "pod-identity"])
async def test_killed_at_any_call_of_aws_the_next_one_converges(mode: str) -> None:
    whole = World(mode=mode)
    for number in (1, 2, 3):
        whole.plane(number)
    await whole.follower.reconcile("billing")
    count = whole.aws.calls
    assert count > 4
    for stop in range(count):
        world = World(mode=mode)
        for number in (1, 2, 3):
            world.plane(number)
        world.aws.kill_at = stop
        with pytest.raises(Killed):
            await world.follower.reconcile("billing")
        world.aws.kill_at = None
        world.start()
        await world.follower.reconcile("billing")
        assert (world.aws.roles, world.aws.policies, world.aws.providers) == (
            whole.aws.roles,
            whole.aws.policies,
            whole.aws.providers,
        ), stop
        assert len(world.aws.associations) == len(whole.aws.associations)


async def test_two_operators_at_once_end_where_one_does() -> None:
    world = World()
    for number in (1, 2, 3):
        world.plane(number)
    first = world.follower
    world.start()
    await asyncio.gather(first.reconcile("billing"), world.follower.reconcile("billing"), return_exceptions=True)
    world.clock += timedelta(minutes=11)
    await world.settle()

    assert admitted(world) == [1, 2, 3]
    assert set((await world.rows()).values()) == {"Effective"}


async def test_a_pod_older_than_its_identity_is_told_of_or_restarted_once_as_the_author_wishes() -> None:
    for restart, restarted in (("Manual", False), ("Automatic", True)):
        world = World(restart=restart)
        world.plane(1)
        world.pod(1)
        await world.follower.reconcile("billing")
        world.clock += timedelta(seconds=2)
        await world.follower.reconcile("billing")
        deployment = await world.host.get(DEPLOYMENTS, "vector", host_namespace(1))

        assert await world.rows() == {"cp1": "PodNotRestarted"}
        assert ("annotations" in deployment["spec"]["template"]["metadata"]) == restarted
        world.pod(1, AWS_ROLE_ARN=ROLE)
        await world.settle()
        assert await world.rows() == {"cp1": "Effective"}


async def test_a_pod_is_not_restarted_before_its_service_account_names_the_role() -> None:
    world = World(restart="Automatic")
    world.plane(1)
    world.annotate(1, "")
    world.pod(1)
    await world.follower.reconcile("billing")
    deployment = await world.host.get(DEPLOYMENTS, "vector", host_namespace(1))

    assert "annotations" not in deployment["spec"]["template"]["metadata"]
    assert "has yet to annotate it" in (await world.status())["controlPlanes"][0]["message"]
    world.annotate(1, ROLE)
    world.clock += timedelta(seconds=2)
    await world.follower.reconcile("billing")
    deployment = await world.host.get(DEPLOYMENTS, "vector", host_namespace(1))
    assert "annotations" in deployment["spec"]["template"]["metadata"]


async def test_with_pod_identity_the_component_itself_shows_that_it_works() -> None:
    world = World(mode="pod-identity")
    world.plane(1)
    await world.follower.reconcile("billing")
    assert await world.rows() == {"cp1": "Propagating"}
    world.pod(1, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://169.254.170.23/v1/credentials")
    for before in ("vector-0", ""):
        world.plane(1, conditions=[shown(before)])
        await world.follower.reconcile("billing")
        assert await world.rows() == {"cp1": "Propagating"}
        assert "the pod that runs has not shown it yet" in (await world.status())["controlPlanes"][0]["message"]
    world.plane(1, conditions=[shown("vector-1")])
    await world.settle()

    assert await world.rows() == {"cp1": "Effective"}
    assert "1 of 5000 associations" in (await world.status())["forecast"]


async def test_a_settled_space_costs_no_call_of_aws_until_the_next_sweep() -> None:
    world = World()
    world.plane(1)
    await world.settle()
    before = world.aws.calls
    await world.follower.reconcile("billing")

    assert world.aws.calls == before


async def test_each_host_namespace_is_annotated_with_its_own_role_over_the_helm_value() -> None:
    world = World()
    for number in range(30):
        world.plane(number)
    await world.follower.reconcile("billing")
    identity = await world.host.get(WORKLOADIDENTITIES, "billing")
    found = {
        with_roles(world.values, host_namespace(n), [identity]).vector.annotations["eks.amazonaws.com/role-arn"]
        for n in range(30)
    }

    assert found == {ROLE, f"{ROLE}-2"}
    new = with_roles(world.values, host_namespace(99), [identity])
    assert new.vector.annotations["eks.amazonaws.com/role-arn"] == f"{ROLE}-2"
    assert with_roles(world.values, host_namespace(1), []) == world.values


async def test_nothing_to_grant_is_said() -> None:
    world = World()
    world.plane(1)
    world.values = Values(billing=Billing(enabled=True, provider="aws", bucket="", secret=""))
    await world.settle()

    assert (await world.ready())[0] == "BillingNotConfigured"


async def test_a_host_namespace_that_is_another_now_moves_the_identity() -> None:
    world = World()
    world.plane(1)
    await world.settle()
    plane = copy.deepcopy(await world.host.get(CONTROLPLANES, "cp1", "default"))
    plane["status"]["hostNamespace"] = host_namespace(5)
    world.annotate(5, ROLE)
    world.host.put(CONTROLPLANES, plane)
    await world.settle()

    assert admitted(world) == [5]


async def test_an_association_that_somebody_changed_is_seen_at_a_sweep_and_new_ones_cost_a_few_calls() -> None:
    world = World(mode="pod-identity")
    for number in range(40):
        world.plane(number)
    await world.follower.reconcile("billing")
    await world.follower.reconcile("billing")
    world.plane(41)
    world.aws.reads = 0
    await world.follower.reconcile("billing")
    assert world.aws.reads < 50
    world.plane(42)
    world.aws.reads = 0
    await world.follower.reconcile("billing")
    assert world.aws.reads < 10

    world.aws.associations.clear()
    world.clock += timedelta(minutes=11)
    await world.follower.reconcile("billing")
    assert len(world.aws.associations) == 42
