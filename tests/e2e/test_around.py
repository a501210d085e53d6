"""What stands around a pod, broken one thing after another on one chain; each printed command is run as it stands."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from e2e import acting, fixing, seeing
from e2e.local_space import LocalSpace
from e2e.planes import Plane
from keyless.kube import Kube, selectors
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS, NAMESPACES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

Fault = Callable[[LocalSpace, Kube, Plane], Awaitable[None]]
WEBHOOK, GROUP = "pod-identity-webhook", "kubernetes.io/metadata.name"
ROOT = "arn:aws:iam::{}:root"
LABELLED: dict[str, Any] = {"matchLabels": {"acme.example/identity": "irsa"}}


async def selecting(host: Kube, selector: Mapping[str, Any] | None) -> None:
    """Whom the webhook is asked about."""
    op = {"op": "add" if selector else "remove", "path": "/webhooks/0/namespaceSelector"}
    patch: Any = [{**op, "value": selector} if selector else op]
    await host.patch(MUTATINGWEBHOOKCONFIGURATIONS, WEBHOOK, patch, kind="json")


async def a_webhook_for_labelled_namespaces(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await selecting(host, LABELLED)


async def a_webhook_that_leaves_one_namespace_out(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await selecting(host, {"matchExpressions": [{"key": GROUP, "operator": "NotIn", "values": [plane.namespace]}]})


async def a_bucket_that_names_a_role_of_before(space: LocalSpace, host: Kube, plane: Plane) -> None:
    allowed = acting.bucket_policy(plane.bucket, "s3:PutObject", "s3:GetObject", "s3:ListBucket")["Statement"][0]
    document = {**allowed, "Principal": {"AWS": acting.role_arn(space, plane.role)}}
    put_bucket_policy(space, plane, document)
    make_again(space, plane, acting.irsa_trust(space, plane.subject))


async def a_key_that_names_a_role_of_before(space: LocalSpace, host: Kube, plane: Plane) -> None:
    kms, account = space.aws("kms"), space.name("AWS_ACCOUNT_ID")
    admin = {
        "Principal": {"AWS": ROOT.format(account)},
        "Action": ["kms:Put*", "kms:Get*", "kms:Describe*", "kms:List*"],
    }
    uses = {"Principal": {"AWS": acting.role_arn(space, plane.role)}, "Action": ["kms:GenerateDataKey", "kms:Decrypt"]}
    policy = {
        "Version": acting.VERSION,
        "Statement": [{"Effect": "Allow", "Resource": "*", **one} for one in (admin, uses)],
    }
    key = kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]
    space.aws("s3").put_bucket_encryption(Bucket=plane.bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    make_again(space, plane, acting.irsa_trust(space, plane.subject))
    # The bucket's policy names the one before, too: what is mended there is not asked here.
    acting.permit(space, plane.role, acting.bucket_policy(plane.bucket))


def put_bucket_policy(space: LocalSpace, plane: Plane, *statements: Mapping[str, Any]) -> None:
    """``aws s3api put-bucket-policy``."""
    policy = json.dumps({"Version": acting.VERSION, "Statement": list(statements)})
    space.aws("s3").put_bucket_policy(Bucket=plane.bucket, Policy=policy)


def make_again(space: LocalSpace, plane: Plane, trust: Any) -> None:
    """The role is deleted and made again; what it may do is not."""
    iam = space.aws("iam")
    for each in iam.list_role_policies(RoleName=plane.role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=plane.role, PolicyName=each)
    iam.delete_role(RoleName=plane.role)
    iam.create_role(RoleName=plane.role, AssumeRolePolicyDocument=json.dumps(trust))


FAULTS: list[tuple[Fault, str, str]] = [
    (a_webhook_for_labelled_namespaces, "webhook", "WebhookLeavesOut"),
    (a_webhook_that_leaves_one_namespace_out, "webhook", "WebhookLeavesOut"),
    (a_bucket_that_names_a_role_of_before, "permission", "PrincipalStale"),
    (a_key_that_names_a_role_of_before, "key", "PrincipalStale"),
]


async def test_each_printed_command_mends_its_link(space: LocalSpace, host: Kube, first_plane: Plane) -> None:
    plane = first_plane
    acting.make_provider(space)
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    await seeing.rolled_out(host, "vector", plane.namespace)
    try:
        for fault, link, reason in FAULTS:
            await fault(space, host, plane)
            told = fixing.first_broken(space, "billing", plane.name)
            assert (told.link, told.reason) == (link, reason), (fault, told)
            fixing.run(space, told.fix)
            if fault is a_webhook_for_labelled_namespaces:
                # The next fault selects otherwise: that this one is mended shows in the namespace alone.
                labels = (await host.get(NAMESPACES, plane.namespace))["metadata"]["labels"]
                assert selectors.matches(LABELLED, labels), labels
    finally:
        await selecting(host, {"matchLabels": {}})
        await selecting(host, None)
    # A collector that was refused tries again within a minute: all links are whole before its own one is.
    chain = space.verify("billing", plane.name)["links"]
    assert not [one for one in chain if one["state"] == "Broken" and one["name"] != "probe"], chain


async def a_proxy_before_the_agent(space: LocalSpace, host: Kube, plane: Plane) -> None:
    proxy = "HTTP_PROXY=http://127.0.0.1:9"
    fixing.run(space, f"kubectl set env deployment/vector -n {plane.namespace} {proxy}")
    await seeing.rolled_out(host, "vector", plane.namespace)
    await seeing.condition(host, plane.name, "BillingStored", "False")


async def a_target_that_names_a_role_of_before(space: LocalSpace, host: Kube, plane: Plane) -> None:
    make_again(space, plane, acting.pods_trust())
    acting.permit(space, plane.role, acting.bucket_policy("none"))


async def test_each_printed_command_mends_its_link_of_pod_identity(
    space: LocalSpace, host: Kube, first_plane: Plane
) -> None:
    plane, target = first_plane, f"{first_plane.role}-target"
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy("none"))
    whom = {"Effect": "Allow", "Principal": {"AWS": acting.role_arn(space, plane.role)}}
    trust = {"Version": acting.VERSION, "Statement": [{**whom, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
    acting.make_role(space, target, trust, acting.bucket_policy(plane.bucket))
    space.aws("eks").create_pod_identity_association(
        clusterName=space.name("CLUSTER_NAME"), namespace=plane.namespace, serviceAccount="vector",
        roleArn=acting.role_arn(space, plane.role), targetRoleArn=acting.role_arn(space, target),
    )  # fmt: skip
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await seeing.rolled_out(host, "vector", plane.namespace)
    for fault, link, reason in (
        (a_target_that_names_a_role_of_before, "trust", "PrincipalStale"),
        (a_proxy_before_the_agent, "injection", "AgentBehindProxy"),
    ):
        await fault(space, host, plane)
        told = fixing.first_broken(space, "billing", plane.name)
        assert (told.link, told.reason) == (link, reason), (fault, told)
        fixing.run(space, told.fix)
    await fixing.holds(space, "billing", plane.name)
