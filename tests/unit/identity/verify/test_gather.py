"""Facts from live systems: an API server in memory, and AWS by its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from keyless.api import Access, Permanent, Reason
from keyless.aws import AwsPermanent, Session
from keyless.aws.errors import Said
from keyless.identity.verify import (
    Chosen,
    Cluster,
    ControlPlane,
    Facts,
    Needs,
    Sources,
    Space,
    State,
    gather,
    held,
    verify,
)
from keyless.identity.verify.aws_facts import AwsFacts
from keyless.identity.verify.kube_facts import pod_of
from keyless.identity.verify.model import ANNOTATION, Role, Unread
from keyless.kube import NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, DEPLOYMENTS, NAMESPACES, PODS, SECRETS, SERVICEACCOUNTS
from keyless.policy import Unreadable
from unit.identity.verify.chains import ACCOUNT, BILLING, HOST, IRSA_ENV, ISSUER, NAMESPACE, PROVIDER, ROLE, web
from unit.identity.verify.test_values import secret

VALUES = {
    "billing": {"enabled": True, "storage": {"provider": "aws", "secretRef": {"name": ""}, "aws": {"bucket": "usage"}}},
    "controlPlanes": {"vector": {"serviceAccount": {"customAnnotations": {ANNOTATION: ROLE}}}},
}
ALLOW = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::usage/*"}
POLICY = {"Version": "2012-10-17", "Statement": [ALLOW]}


def failed(operation: str, code: str) -> AwsPermanent:
    return AwsPermanent(Said(operation, code, "no"))


@dataclass
class FakeAws:
    """Answers by operation: a value, or a failure's code."""

    answers: dict[str, Any] = field(default_factory=dict)
    region: str = "us-west-2"
    calls: list[str] = field(default_factory=list)
    otherwise: str = "AccessDenied"

    def in_region(self, region: str) -> FakeAws:
        """The same answers everywhere."""
        return self

    async def call(self, service_name: str, operation: str, /, **params: Any) -> dict[str, Any]:
        self.calls.append(operation)
        answer = self.answers.get(operation, self.otherwise)
        if callable(answer):
            answer = answer(params)
        if isinstance(answer, str):
            raise failed(operation, answer)
        return cast("dict[str, Any]", answer)


def healthy(**changes: Any) -> FakeAws:
    role = {
        "RoleName": "billing",
        "Arn": ROLE,
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [web()]},
    }
    answers: dict[str, Any] = {
        "GetCallerIdentity": {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/admin", "UserId": "AIDA"},
        "ListOpenIDConnectProviders": {"OpenIDConnectProviderList": [{"Arn": PROVIDER.arn}]},
        "GetOpenIDConnectProvider": {"Url": PROVIDER.url, "ClientIDList": ["sts.amazonaws.com"]},
        "ListPodIdentityAssociations": {"associations": []},
        "DescribeAddon": "ResourceNotFoundException",
        "GetRole": {"Role": role},
        "ListRolePolicies": {"PolicyNames": ["billing"]},
        "GetRolePolicy": {"PolicyDocument": POLICY},
        "ListAttachedRolePolicies": {"AttachedPolicies": []},
        "HeadBucket": {"BucketRegion": "us-west-2"},
        "GetBucketPolicy": "NoSuchBucketPolicy",
        "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    }
    return FakeAws({**answers, **changes})


@pytest.fixture
def kube() -> MemoryKube:
    memory = MemoryKube()
    memory.put(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    memory.put(
        CONFIGMAPS,
        {"metadata": {"name": "spaces-values", "namespace": "default"}, "data": {"values.json": json.dumps(VALUES)}},
    )
    for number, config in ((1, {}), (2, VALUES)):
        release = secret(number, config)
        release["metadata"] |= {
            "namespace": "default",
            "labels": {"owner": "helm", "name": "spaces", "status": "deployed"},
        }
        memory.put(SECRETS, release)
    condition = {
        "type": "BillingStored",
        "status": "True",
        "reason": "Stored",
        "message": f"as arn:aws:sts::{ACCOUNT}:assumed-role/billing/p",
        "pod": "vector-1",
    }
    memory.put(
        CONTROLPLANES,
        {
            "metadata": {"name": "ctp1", "namespace": "default"},
            "status": {"hostNamespace": NAMESPACE, "conditions": [condition]},
        },
    )
    memory.put(CONTROLPLANES, {"metadata": {"name": "unplaced", "namespace": "default"}})
    memory.put(
        SERVICEACCOUNTS, {"metadata": {"name": "vector", "namespace": NAMESPACE, "annotations": {ANNOTATION: ROLE}}}
    )
    memory.put(DEPLOYMENTS, {"metadata": {"name": "vector", "namespace": NAMESPACE}, "spec": {}})
    memory.put(PODS, pod("vector-1"))
    memory.put(PODS, pod("vector-0", deletionTimestamp="2026-01-01T00:00:00Z"))
    memory.put(
        PODS,
        {"metadata": {"name": "other", "namespace": NAMESPACE}, "spec": {"serviceAccountName": "x", "containers": []}},
    )
    memory.texts["/.well-known/openid-configuration"] = ""
    return memory


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    env = [{"name": key, "value": value} for key, value in IRSA_ENV.items()]
    token = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": {
            "serviceAccountName": "vector",
            "containers": [{"name": "vector", "env": [*env, {"name": "KEYLESS_ACCOUNT", "value": "a"}]}],
            "volumes": [
                {"name": "aws-iam-token", "projected": {"sources": [token]}},
                {"name": "spool", "emptyDir": {}},
            ],
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"state": {"running": {}}}],
        },
    }


async def access_of(space: Space, plane: ControlPlane, cluster: Cluster) -> Access:
    bucket = space.values["billing.storage.aws.bucket"]
    return Access("vector", "vector", ("s3:PutObject",), (f"arn:{cluster.partition}:s3:::{bucket}/*",), "s3:PutObject")


async def read(kube: MemoryKube, aws: FakeAws, name: str = "", cluster: str = "keyless") -> list[Facts]:
    aws.answers.setdefault("DescribeCluster", {"cluster": {"identity": {"oidc": {"issuer": ISSUER}}}})
    sources = Sources(kube, cast("Session", aws), cluster)
    return await gather(sources, BILLING, Chosen(name), Needs(access_of))


async def one(kube: MemoryKube, aws: FakeAws) -> Facts:
    (facts,) = await read(kube, aws)
    return facts


async def test_a_healthy_chain_is_read_whole_and_holds(kube: MemoryKube) -> None:
    facts = await one(kube, healthy())
    links = verify(facts)
    assert {link.name: link.state for link in links if link.state is not State.HELD} == {}
    assert held(links)
    assert [p.name for p in facts.pods] == ["vector-1"]
    assert facts.pods[0].env == IRSA_ENV
    assert isinstance(facts.cluster, Cluster)
    assert (facts.cluster.host_path, facts.cluster.issuer) == (HOST, ISSUER)


async def test_nothing_is_written_anywhere(kube: MemoryKube) -> None:
    aws = healthy()
    kube.calls.clear()
    await one(kube, aws)
    assert {call.split()[0] for call in kube.calls} == {"GET"}
    assert all(call.startswith(("Get", "List", "Describe", "Head")) for call in aws.calls)


@pytest.mark.parametrize(
    ("chosen", "count", "word"),
    [
        (Chosen(), 1, ""),
        (Chosen("ctp1"), 1, ""),
        (Chosen(group="default"), 1, ""),
        (Chosen("ctp1", "default"), 1, ""),
        (Chosen(group="nope"), 0, "ControlPlane in group nope"),
        (Chosen("ctp1", "nope"), 0, "ControlPlane ctp1 in group nope"),
        (Chosen("ghost"), 0, "ControlPlane ghost in group default"),
    ],
)
async def test_a_group_that_is_not_there_is_no_other_group(
    kube: MemoryKube, chosen: Chosen, count: int, word: str
) -> None:
    sources = Sources(cast("Any", kube), cast("Any", healthy()), "keyless")
    found = await gather(sources, BILLING, chosen, Needs(no_access))
    assert len([facts for facts in found if facts.control_plane]) == count
    if not count:
        (link,) = verify(found[0])
        assert (link.reason, "default/ctp1" in link.found) == (Reason.CONTROL_PLANE_MISSING, True)
        assert link.expected.startswith(word)


def sources_of(kube: MemoryKube) -> Sources:
    return Sources(cast("Any", kube), cast("Any", healthy()), "keyless")


async def no_access(*_: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("ResourceNotFoundException", "no EKS cluster keyless (there is prod)"),
        ({"cluster": {"identity": {"oidc": {"issuer": "https://other"}}}}, "has the issuer https://other"),
        ("AccessDeniedException", ""),
    ],
)
async def test_a_cluster_name_that_is_wrong_is_told(kube: MemoryKube, answer: Any, fault: str) -> None:
    aws = healthy(DescribeCluster=answer, ListClusters={"clusters": ["prod"]})
    told = await AwsFacts(cast("Session", aws)).cluster_fault("keyless", ISSUER)
    assert (fault in told, bool(told)) == (True, bool(fault))
    facts = replace(await one(kube, healthy()), cluster_fault=told)
    assert [link.name for link in verify(facts) if link.state is State.BROKEN][:1] == (["cluster"] if fault else [])


async def test_without_a_cluster_name_no_cluster_is_asked_for() -> None:
    assert await AwsFacts(cast("Session", healthy())).cluster_fault("", ISSUER) == ""


async def test_a_control_plane_that_is_not_there(kube: MemoryKube) -> None:
    (facts,) = await read(kube, healthy(), "ghost")
    assert facts.control_plane is None
    assert [link.name for link in verify(facts)] == ["control plane"]


@pytest.mark.parametrize("chosen", [Chosen(), Chosen(group="plain"), Chosen("lost", "plain")])
async def test_a_control_plane_in_a_namespace_that_is_no_group_is_told_with_the_label_it_lacks(
    kube: MemoryKube, chosen: Chosen
) -> None:
    await kube.create(NAMESPACES, {"metadata": {"name": "plain"}})
    ready = {"type": "Ready", "status": "False", "reason": "GroupNotLabelled", "message": "namespace plain is no group"}
    lost = {"metadata": {"name": "lost", "namespace": "plain"}, "status": {"conditions": [ready]}}
    await kube.create(CONTROLPLANES, lost)
    facts = await gather(sources_of(kube), BILLING, chosen, Needs(no_access))
    (link,) = verify(next(one for one in facts if one.control_plane is None))
    assert (link.state, link.reason) == (State.BROKEN, Reason.CONTROL_PLANE_NOT_PLACED)
    assert link.fix == "kubectl label namespace plain spaces.upbound.io/group=true"


async def test_an_api_without_control_planes_is_told_as_the_wrong_kubeconfig(
    kube: MemoryKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def missing(*_: object, **__: object) -> None:
        raise NotFound({"message": "the server could not find the requested resource"})

    monkeypatch.setattr(kube, "list", missing)
    with pytest.raises(Permanent, match="an API without ControlPlanes"):
        await gather(sources_of(kube), BILLING, Chosen(), Needs(no_access))


async def test_each_denied_read_names_the_action_it_lacked(kube: MemoryKube) -> None:
    nobody = healthy()
    nobody.answers = {
        "GetCallerIdentity": nobody.answers["GetCallerIdentity"],
        "DescribeCluster": "AccessDeniedException",
    }
    facts = await one(kube, nobody)
    lacks = "not readable: the caller lacks "
    assert facts.cluster == Unread(f"{lacks}eks:DescribeCluster")
    assert facts.providers == Unread(f"{lacks}iam:ListOpenIDConnectProviders")
    assert facts.associations == Unread(f"{lacks}eks:ListPodIdentityAssociations")
    assert facts.agent == Unread(f"{lacks}eks:DescribeAddon")
    assert facts.role == Unread(f"{lacks}iam:GetRole")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"ListRolePolicies": "AccessDenied"},
            Unreadable("inline policies", "not readable: the caller lacks iam:ListRolePolicies"),
        ),
        (
            {"GetRolePolicy": "AccessDenied"},
            Unreadable("inline policy billing", "not readable: the caller lacks iam:GetRolePolicy"),
        ),
        (
            {"GetRolePolicy": {"PolicyDocument": "{"}},
            Unreadable("inline policy billing", "cannot be read: Syntax errors in policy."),
        ),
        (
            {"ListAttachedRolePolicies": "AccessDenied"},
            Unreadable("attached policies", "not readable: the caller lacks iam:ListAttachedRolePolicies"),
        ),
        (
            {"ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyArn": "arn:p"}]}},
            Unreadable("arn:p", "not readable: the caller lacks iam:GetPolicy"),
        ),
    ],
)
async def test_a_document_that_cannot_be_read_is_a_part_of_the_role(
    kube: MemoryKube, changes: dict[str, Any], expected: Unreadable
) -> None:
    facts = await one(kube, healthy(**changes))
    assert isinstance(facts.role, Role)
    assert expected in facts.role.identity


async def test_managed_policies_and_the_boundary_are_read_at_their_default_version(kube: MemoryKube) -> None:
    aws = healthy(
        ListAttachedRolePolicies={"AttachedPolicies": [{"PolicyArn": "arn:p"}]},
        GetPolicy={"Policy": {"DefaultVersionId": "v2"}},
        GetPolicyVersion=lambda params: (
            {"PolicyVersion": {"Document": POLICY}} if params["VersionId"] == "v2" else "NoSuchEntity"
        ),
    )
    aws.answers["GetRole"]["Role"]["PermissionsBoundary"] = {"PermissionsBoundaryArn": "arn:b"}
    facts = await one(kube, aws)
    assert isinstance(facts.role, Role)
    assert [source.name for source in facts.role.identity] == ["inline policy billing", "arn:p"]
    assert facts.role.boundary is not None
    assert facts.role.boundary.name == "arn:b"


async def test_lists_are_read_to_their_last_page(kube: MemoryKube) -> None:
    def policies(params: dict[str, Any]) -> dict[str, Any]:
        if "Marker" in params:
            return {"PolicyNames": ["two"]}
        return {"PolicyNames": ["one"], "IsTruncated": True, "Marker": "m"}

    def associations(params: dict[str, Any]) -> dict[str, Any]:
        number = 2 if "nextToken" in params else 1
        found = {"associationId": f"a-{number}", "serviceAccount": "vector"}
        other = {"associationId": "a-x", "serviceAccount": "other"}
        return {"associations": [found, other], **({"nextToken": "t"} if number == 1 else {})}

    def described(params: dict[str, Any]) -> dict[str, Any]:
        namespace = NAMESPACE if params["associationId"] == "a-2" else "default"
        return {
            "association": {
                "namespace": namespace,
                "serviceAccount": "vector",
                "roleArn": ROLE,
                "disableSessionTags": True,
            }
        }

    facts = await one(
        kube,
        healthy(
            ListRolePolicies=policies,
            ListPodIdentityAssociations=associations,
            DescribePodIdentityAssociation=described,
            DescribeAddon={"addon": {"status": "ACTIVE"}},
        ),
    )
    assert isinstance(facts.role, Role)
    assert [source.name for source in facts.role.identity] == ["inline policy one", "inline policy two"]
    assert facts.association is not None
    assert (facts.association.association_id, facts.association.tags, facts.agent) == ("a-2", False, "ACTIVE")


async def test_both_roles_of_an_association_with_a_target_are_read(kube: MemoryKube) -> None:
    target = f"{ROLE}-target"
    described = {"namespace": NAMESPACE, "serviceAccount": "vector", "roleArn": ROLE, "targetRoleArn": target}
    known = healthy().answers["GetRole"]["Role"]

    def role(params: dict[str, Any]) -> dict[str, Any]:
        return {
            "Role": {**known, "RoleName": params["RoleName"], "Arn": ROLE.rpartition("/")[0] + f"/{params['RoleName']}"}
        }

    facts = await one(
        kube,
        healthy(
            GetRole=role,
            ListPodIdentityAssociations={"associations": [{"associationId": "a-1", "serviceAccount": "vector"}]},
            DescribePodIdentityAssociation={"association": {**described, "externalId": "us-west-2/x"}},
        ),
    )
    assert isinstance(facts.role, Role)
    assert isinstance(facts.through, Role)
    assert (facts.role.arn, facts.through.arn) == (target, ROLE)
    assert facts.association is not None
    assert facts.association.external_id == "us-west-2/x"


@pytest.mark.parametrize(
    ("arn", "role_arn", "missing"),
    [
        (ROLE, "arn:aws:iam::111122223333:role/path/billing", True),
        ("arn:aws:iam::444455556666:role/billing", ROLE, False),
        ("no arn", ROLE, True),
    ],
)
async def test_the_role_must_be_the_one_that_is_named(kube: MemoryKube, arn: str, role_arn: str, missing: bool) -> None:
    annotated = {"metadata": {"name": "vector", "namespace": NAMESPACE, "annotations": {ANNOTATION: arn}}}
    kube.put(SERVICEACCOUNTS, annotated)
    aws = healthy()
    aws.answers["GetRole"]["Role"]["Arn"] = role_arn
    facts = await one(kube, aws)
    assert facts.role is None if missing else isinstance(facts.role, Unread)


async def test_a_role_that_is_gone_or_untrusting_beyond_reading(kube: MemoryKube) -> None:
    assert (await one(kube, healthy(GetRole="NoSuchEntity"))).role is None
    aws = healthy()
    aws.answers["GetRole"]["Role"]["AssumeRolePolicyDocument"] = {"Statement": []}
    role = (await one(kube, aws)).role
    assert isinstance(role, Unread)
    assert "Statement is empty" in role.why


async def test_off_eks_there_are_no_associations_and_the_api_server_names_the_issuer(kube: MemoryKube) -> None:
    aws = healthy(DescribeCluster="ResourceNotFoundException")
    (facts,) = await read(kube, aws, cluster="")
    assert (facts.associations, facts.agent) == ((), None)
    assert facts.cluster == Unread("not readable: DescribeCluster answered ResourceNotFoundException: no")
    (unknown,) = await read(kube, healthy(ListPodIdentityAssociations="ResourceNotFoundException"))
    assert unknown.associations == ()


async def test_a_waiting_pod_shows_why_and_a_secret_value_is_never_kept(kube: MemoryKube) -> None:
    waiting = pod("vector-2")
    waiting["spec"]["containers"][0]["env"].append({"name": "AWS_SECRET_ACCESS_KEY", "value": "hush"})
    waiting["status"] = {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}
    waiting["metadata"]["labels"] = {"eks.amazonaws.com/skip-pod-identity-webhook": ""}
    kube.put(PODS, waiting)
    found = next(p for p in (await one(kube, healthy())).pods if p.name == "vector-2")
    assert (found.ready, found.waiting, found.skipped) == (False, "ErrImagePull", True)
    assert found.env["AWS_SECRET_ACCESS_KEY"] == ""


async def test_a_component_without_any_object_and_no_role_to_read(kube: MemoryKube) -> None:
    await kube.delete(SERVICEACCOUNTS, "vector", NAMESPACE)
    await kube.delete(DEPLOYMENTS, "vector", NAMESPACE)
    aws = healthy()
    facts = await one(kube, aws)
    assert facts.workload is not None
    assert (facts.workload.annotations, facts.workload.deployed, facts.role) == (None, False, None)
    assert "GetRole" not in aws.calls


async def test_a_history_or_an_issuer_that_may_not_be_read_stops_nothing(kube: MemoryKube) -> None:
    def refuse(request: Any) -> None:
        if "/secrets" in request.path or "openid-configuration" in request.path:
            raise Permanent("secrets is forbidden")

    kube.before = refuse
    facts = await one(kube, healthy())
    assert facts.space.history == Unread("not readable: secrets is forbidden")
    assert isinstance(facts.cluster, Cluster)
    assert held(verify(facts))


def test_only_projected_service_account_tokens_have_an_audience() -> None:
    odd = pod("odd")
    odd["spec"]["volumes"] = [{"name": "aws-iam-token", "projected": {"sources": [{"downwardAPI": {}}]}}]
    assert pod_of(odd).token_audience == ""
