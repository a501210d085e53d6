"""EKS: the cluster's description, addons, associations, and what Kubernetes sees of them."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from unit.local.cloud.support import ACCOUNT, ISSUER, SERVER, World, allow, document, irsa_trust, pods_trust, refusal

ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
TOKEN = "0123456789abcdef0123456789abcdef-1"


@pytest.fixture
def eks(world: World) -> Any:
    world.aws("iam").create_role(RoleName="billing", AssumeRolePolicyDocument=pods_trust())
    return world.aws("eks")


def associate(eks: Any, **params: Any) -> Any:
    wanted = {"clusterName": "keyless", "namespace": "mxp-1-system", "serviceAccount": "vector", "roleArn": ROLE}
    return eks.create_pod_identity_association(**{**wanted, **params})["association"]


def refused(eks: Any, **params: Any) -> tuple[str, str, int]:
    return refusal(lambda: associate(eks, **params))


def listed(world: World) -> list[dict[str, str]]:
    text = world.kube.objects["configmaps", "kube-system", "eks-pod-identity-associations"]["data"]["config.json"]
    found: list[dict[str, str]] = orjson.loads(text)["identities"]
    return found


def test_the_cluster_has_what_kubeconfigs_and_eksctl_need(world: World) -> None:
    cluster = world.aws("eks").describe_cluster(name="keyless")["cluster"]
    assert cluster["arn"] == f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/keyless"
    assert (cluster["status"], cluster["version"]) == ("ACTIVE", "1.32")
    assert cluster["endpoint"] == SERVER
    assert cluster["identity"]["oidc"]["issuer"] == ISSUER
    assert base64.b64decode(cluster["certificateAuthority"]["data"]) == b""


def test_another_name_or_region_has_no_cluster(world: World) -> None:
    code, message, status = refusal(world.aws("eks").describe_cluster, name="other")
    assert (code, message, status) == ("ResourceNotFoundException", "No cluster found for name: other.", 404)
    elsewhere = world.aws("eks", region="eu-west-1")
    assert refusal(elsewhere.describe_cluster, name="keyless")[0] == "ResourceNotFoundException"
    assert elsewhere.list_clusters()["clusters"] == []


def test_an_association_reaches_the_webhook_s_list_and_leaves_it(world: World, eks: Any) -> None:
    made = associate(eks)
    assert made["associationId"].startswith("a-")
    assert len(made["associationId"]) == 19
    assert made["associationArn"].endswith(f":podidentityassociation/keyless/{made['associationId']}")
    assert (made["tags"], made["disableSessionTags"]) == ({}, False)
    assert listed(world) == [{"namespace": "mxp-1-system", "serviceAccount": "vector"}]
    gone = eks.delete_pod_identity_association(clusterName="keyless", associationId=made["associationId"])
    assert gone["association"]["associationId"] == made["associationId"]
    assert listed(world) == []


def test_an_association_is_kept_while_kubernetes_cannot_be_reached(world: World, eks: Any) -> None:
    world.kube.broken = True
    made = associate(eks)
    world.kube.broken = False
    world.restart()
    world.loop.run(world.cloud.reconcile())
    assert listed(world) == [{"namespace": "mxp-1-system", "serviceAccount": "vector"}]
    found = world.aws("eks").describe_pod_identity_association(
        clusterName="keyless", associationId=made["associationId"]
    )
    assert found["association"]["roleArn"] == ROLE


def test_a_service_account_has_one_association(eks: Any) -> None:
    made = associate(eks)
    assert refused(eks) == ("ResourceInUseException", f"Association already exists: {made['associationId']}", 409)


def test_a_request_token_makes_creation_idempotent(eks: Any) -> None:
    first = associate(eks, clientRequestToken=TOKEN)
    again = associate(eks, clientRequestToken=TOKEN, serviceAccount="another")
    assert again == first


def test_a_short_request_token_is_refused(eks: Any) -> None:
    text = "The client request token parameter must be between 33 and 126 characters."
    assert refused(eks, clientRequestToken="short") == ("InvalidParameterException", text, 400)


@pytest.mark.parametrize("namespace", ["Mxp", "mxp_1", "-a", "a\n"])
def test_a_namespace_must_be_one(eks: Any, namespace: str) -> None:
    text = (
        "The parameter namespace contains invalid characters. It should conform to the regular expression"
        ' "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"'
    )
    assert refused(eks, namespace=namespace) == ("InvalidParameterException", text, 400)


def test_the_role_must_exist(eks: Any) -> None:
    text = "Role provided in the request does not exist"
    assert refused(eks, roleArn=ROLE + "x") == ("InvalidParameterException", text, 400)


@pytest.mark.parametrize(
    "trust",
    [
        irsa_trust(),
        pods_trust(("sts:AssumeRole",)),
        pods_trust(("sts:TagSession",)),
        document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:*"}),
    ],
)
def test_the_role_must_trust_pod_identity_with_tags(world: World, eks: Any, trust: str) -> None:
    world.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    text = "Trust policy of the role provided is invalid"
    assert refused(eks) == ("InvalidParameterException", text, 400)


def test_a_condition_in_the_trust_policy_is_left_to_the_pod_s_own_request(world: World, eks: Any) -> None:
    trust = pods_trust(Condition={"StringEquals": {"aws:RequestTag/kubernetes-namespace": "somewhere"}})
    world.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    assert associate(eks)


def test_a_target_role_gets_an_external_id_and_can_be_cleared(eks: Any) -> None:
    made = associate(eks, targetRoleArn="arn:aws:iam::999999999999:role/target")
    assert made["externalId"] == f"us-west-2/{ACCOUNT}/keyless/mxp-1-system/vector"
    changed = eks.update_pod_identity_association(
        clusterName="keyless", associationId=made["associationId"], targetRoleArn=""
    )["association"]
    assert "targetRoleArn" not in changed
    assert "externalId" not in changed


def test_a_policy_needs_session_tags_to_be_off(eks: Any) -> None:
    assert refused(eks, policy=document(allow("s3:*")))[0] == "InvalidParameterException"
    assert associate(eks, policy=document(allow("s3:*")), disableSessionTags=True)["policy"]


def test_associations_are_listed_by_namespace_and_page_by_page(eks: Any) -> None:
    for number in range(3):
        associate(eks, serviceAccount=f"sa-{number}")
    associate(eks, namespace="other")
    pages = eks.get_paginator("list_pod_identity_associations").paginate(
        clusterName="keyless", namespace="mxp-1-system", maxResults=2
    )
    found = [one for page in pages for one in page["associations"]]
    assert sorted(one["serviceAccount"] for one in found) == ["sa-0", "sa-1", "sa-2"]
    assert "roleArn" not in found[0]


def test_an_unknown_association_is_named(eks: Any) -> None:
    answer = refusal(eks.describe_pod_identity_association, clusterName="keyless", associationId="a-none")
    text = "No service account role association found for ID: a-none"
    assert answer == ("ResourceNotFoundException", text, 404)


def test_who_creates_an_association_must_be_allowed_to_pass_the_role(world: World, eks: Any) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    iam.put_user_policy(UserName="dev", PolicyName="eks", PolicyDocument=document(allow("eks:*")))
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    code, message, status = refused(world.aws("eks", key))
    assert (code, status) == ("AccessDeniedException", 403)
    assert f"not authorized to perform: iam:PassRole on resource: {ROLE}" in message


def test_the_agent_runs_from_the_start_and_goes_with_its_addon(world: World, eks: Any) -> None:
    world.loop.run(world.cloud.reconcile())
    place = ("daemonsets", "kube-system", "eks-pod-identity-agent")
    container = world.kube.objects[place]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][:2] == ["run", "agent"]
    assert container["args"][container["args"].index("--port") + 1] == "80"
    assert eks.list_addons(clusterName="keyless")["addons"] == ["eks-pod-identity-agent"]
    gone = eks.delete_addon(clusterName="keyless", addonName="eks-pod-identity-agent")["addon"]
    assert gone["status"] == "DELETING"
    assert place not in world.kube.objects
    world.restart()
    world.loop.run(world.cloud.reconcile())
    assert place not in world.kube.objects
    world.aws("eks").create_addon(clusterName="keyless", addonName="eks-pod-identity-agent")
    assert place in world.kube.objects


def test_an_addon_that_is_preserved_leaves_its_pods(world: World, eks: Any) -> None:
    world.loop.run(world.cloud.reconcile())
    eks.delete_addon(clusterName="keyless", addonName="eks-pod-identity-agent", preserve=True)
    assert ("daemonsets", "kube-system", "eks-pod-identity-agent") in world.kube.objects


def test_an_addon_exists_once_and_must_be_known(eks: Any) -> None:
    create = eks.create_addon
    assert refusal(create, clusterName="keyless", addonName="eks-pod-identity-agent")[0] == "ResourceInUseException"
    assert refusal(create, clusterName="keyless", addonName="nope")[0] == "InvalidParameterException"


def test_tags_are_set_listed_and_removed(eks: Any) -> None:
    arn = associate(eks, tags={"team": "blue"})["associationArn"]
    eks.tag_resource(resourceArn=arn, tags={"cost": "1"})
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "blue", "cost": "1"}
    eks.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"cost": "1"}
    assert refusal(eks.tag_resource, resourceArn=arn + "x", tags={"a": "b"})[0] == "NotFoundException"


def test_an_operation_that_is_not_here_is_unknown(eks: Any) -> None:
    assert refusal(eks.list_nodegroups, clusterName="keyless")[0] == "UnknownOperationException"
