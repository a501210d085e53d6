"""Trust that follows, by our own time: a look at a hundred control planes, and a new one beside a thousand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import structlog

from keyless.aws import AwsPermanent, Session
from keyless.aws.errors import Said
from keyless.cli.verifying import BILLING, billing_access
from keyless.identity.verify import Chosen, Needs, Sources, State, gather, verify
from keyless.identity.verify.model import ANNOTATION
from keyless.identity.verify.plan import verdict
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import (
    CONFIGMAPS,
    CONTROLPLANES,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    SERVICEACCOUNTS,
    WORKLOADIDENTITIES,
)
from keyless.space.values import Billing, Values
from keyless.space.workload_identity.controller import Clusters, Follower
from keyless.space.workload_identity.proof import Proof
from tests.bench.grants import ACCOUNT, CLUSTER, Held
from tests.bench.row import Row

LOOKED_AT, FOLLOWED = 100, 1000
AWS_SECONDS, AT_ONCE = 0.05, 8
ROLE = f"arn:aws:iam::{ACCOUNT}:role/keyless-billing"
AUDIENCE, SUBJECT = f"{CLUSTER.host_path}:aud", f"{CLUSTER.host_path}:sub"
VALUES = {
    "billing": {"enabled": True, "storage": {"provider": "aws", "secretRef": {"name": ""}, "aws": {"bucket": "usage"}}},
    "controlPlanes": {"vector": {"serviceAccount": {"customAnnotations": {ANNOTATION: ROLE}}}},
}


def bench() -> Iterator[Row]:
    """Both; the control planes are in memory, and what is measured is what we do with them."""
    yield asyncio.run(_verify())
    yield asyncio.run(_follow())


def _namespace(number: int) -> str:
    return f"mxp-{number:08x}-0000-4000-8000-000000000000-system"


def _plane(host: MemoryKube, number: int) -> None:
    """A control plane with its service account."""
    namespace = _namespace(number)
    told = {"type": "BillingStored", "status": "True", "reason": "Stored", "pod": "vector-1"}
    told["message"] = f"as arn:aws:sts::{ACCOUNT}:assumed-role/keyless-billing/p"
    status = {"hostNamespace": namespace, "conditions": [told]}
    host.put(NAMESPACES, {"metadata": {"name": namespace}})
    host.put(CONTROLPLANES, {"metadata": {"name": f"ctp{number}", "namespace": "default"}, "status": status})
    place = {"name": "vector", "namespace": namespace}
    host.put(SERVICEACCOUNTS, {"metadata": {**place, "annotations": {ANNOTATION: ROLE}}})


def _pod(host: MemoryKube, number: int) -> None:
    """The collector of a control plane, with its identity."""
    place = {"name": "vector", "namespace": _namespace(number)}
    host.put(DEPLOYMENTS, {"metadata": place, "spec": {}})
    env = [{"name": "AWS_ROLE_ARN", "value": ROLE}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/t"}]
    source = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}}
    volume = {"name": "aws-iam-token", "projected": {"sources": [source]}}
    spec = {"serviceAccountName": "vector", "containers": [{"name": "vector", "env": env}], "volumes": [volume]}
    pod = {"metadata": {**place, "name": "vector-1", "labels": {"app.kubernetes.io/name": "vector"}}, "spec": spec}
    host.put(PODS, {**pod, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})


class Slow:
    """AWS with one role for all, which answers after a usual while, and as many at once as a session asks."""

    region = CLUSTER.region

    def __init__(self, subjects: list[str]) -> None:
        self.calls = 0
        self._gate = asyncio.Semaphore(AT_ONCE)
        condition = {"StringEquals": {AUDIENCE: "sts.amazonaws.com", SUBJECT: subjects}}
        principal = {"Federated": CLUSTER.provider_arn}
        admits = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": principal}
        trust = {"Version": "2012-10-17", "Statement": [{**admits, "Condition": condition}]}
        may = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::usage/*"}
        self._answers: dict[str, dict[str, Any] | str] = {
            "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/admin", "UserId": "A"},
            "DescribeCluster": {"cluster": {"identity": {"oidc": {"issuer": CLUSTER.issuer}}}},
            "ListOpenIDConnectProviders": {"OpenIDConnectProviderList": [{"Arn": CLUSTER.provider_arn}]},
            "GetOpenIDConnectProvider": {"Url": CLUSTER.host_path, "ClientIDList": ["sts.amazonaws.com"]},
            "ListPodIdentityAssociations": {"associations": []},
            "GetRole": {"Role": {"RoleName": "keyless-billing", "Arn": ROLE, "AssumeRolePolicyDocument": trust}},
            "ListRolePolicies": {"PolicyNames": ["p"]},
            "GetRolePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [may]}},
            "ListAttachedRolePolicies": {"AttachedPolicies": []},
            "HeadBucket": {"BucketRegion": CLUSTER.region},
            "GetBucketPolicy": "NoSuchBucketPolicy",
            "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
        }

    def in_region(self, _region: str) -> Slow:
        """The same."""
        return self

    async def call(self, _service: str, operation: str, /, **_params: Any) -> dict[str, Any]:
        """Answer."""
        self.calls += 1
        async with self._gate:
            await asyncio.sleep(AWS_SECONDS)
        answer = self._answers.get(operation, "ResourceNotFoundException")
        if isinstance(answer, str):
            raise AwsPermanent(Said(operation, answer, "no"))
        return answer


async def _verify() -> Row:
    host, numbers = MemoryKube(), range(LOOKED_AT)
    host.put(NAMESPACES, {"metadata": {"name": "default"}})
    values = {"values.json": json.dumps(VALUES)}
    host.put(CONFIGMAPS, {"metadata": {"name": "spaces-values", "namespace": "default"}, "data": values})
    for number in numbers:
        _plane(host, number)
        _pod(host, number)
    host.texts["/.well-known/openid-configuration"] = ""
    aws = Slow([f"system:serviceaccount:{_namespace(number)}:vector" for number in numbers])
    begin = time.perf_counter()
    chains = await gather(Sources(host, cast("Session", aws), "prod"), BILLING, Chosen(), Needs(billing_access))
    verdicts = [verdict(verify(each)) for each in chains]
    seconds = time.perf_counter() - begin
    if verdicts != [State.HELD] * LOOKED_AT:
        raise RuntimeError(f"expected {LOOKED_AT} chains that hold; found {set(verdicts)}")
    shown = f"{seconds:.2f} s, {aws.calls} calls of AWS, each {AWS_SECONDS * 1e3:.0f} ms"
    return Row("trust", f"verify of {LOOKED_AT} control planes", shown, "", "≤ 5 s", seconds <= 5)


class Sts(Held):
    """AWS of the grants, whose STS gives a role to whom its trust names."""

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Answer at once."""
        if operation == "AssumeRoleWithWebIdentity":
            role = self.role(params["RoleArn"].rpartition("/")[2])
            if params["WebIdentityToken"] not in json.dumps(role["AssumeRolePolicyDocument"]):
                raise AwsPermanent(Said(operation, "AccessDenied", "no"))
            return {}
        return await super().call(service, operation, **params)


class Tokens:
    """Issues tokens that are their own subject; all else is the host's."""

    def __init__(self, host: MemoryKube) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    async def token(self, service_account: str, namespace: str, **_: Any) -> Any:
        """The subject as its own token."""

        class Issued:
            token = f"system:serviceaccount:{namespace}:{service_account}"

        return Issued()


async def _follow() -> Row:
    host, aws = MemoryKube(), Sts()
    host.put(NAMESPACES, {"metadata": {"name": "default"}})
    spec = {"component": "billing", "manage": True, "clusterName": "prod"}
    host.put(WORKLOADIDENTITIES, {"metadata": {"name": "billing"}, "spec": spec})
    for number in range(FOLLOWED):
        _plane(host, number)

    async def read(_: str) -> Any:
        return CLUSTER

    values = Values(billing=Billing(enabled=True, provider="aws", bucket="usage", secret=""))
    prover = Proof(cast("Any", Tokens(host)), aws)
    follower = Follower(host, aws, prover, Clusters(read), lambda: values, now=_now, pause=asyncio.sleep)
    structlog.configure(processors=[_nothing])  # a line for each of hundreds of steps
    while await _effective(host, follower) < FOLLOWED:
        pass
    _plane(host, FOLLOWED)
    calls, begin = aws.calls, time.perf_counter()
    while await _effective(host, follower) <= FOLLOWED:
        pass
    seconds = time.perf_counter() - begin
    shown = f"{seconds:.2f} s, {aws.calls - calls} calls of AWS"
    return Row("trust", f"a new control plane beside {FOLLOWED}: Effective", shown, "", "≤ 3 s", seconds <= 3)


def _now() -> datetime:
    return datetime.now(UTC)


def _nothing(*_: object) -> Any:
    raise structlog.DropEvent


async def _effective(host: MemoryKube, follower: Follower) -> int:
    """One run, and how many have their identity then; the operator's loop over control planes writes annotations."""
    await follower.reconcile("billing")
    rows = (await host.get(WORKLOADIDENTITIES, "billing"))["status"]["controlPlanes"]
    for row in rows:
        account = await host.get(SERVICEACCOUNTS, "vector", row["hostNamespace"])
        if row.get("role") and account["metadata"]["annotations"][ANNOTATION] != row["role"]:
            patch = {"metadata": {"annotations": {ANNOTATION: row["role"]}}}
            await host.patch(SERVICEACCOUNTS, "vector", patch, row["hostNamespace"])
    return sum(row["reason"] == "Effective" for row in rows)
