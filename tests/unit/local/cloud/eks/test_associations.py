"""Pod identity associations: facts/identity.md#associations; tests name the rules they hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
import pytest

from keyless.local.cloud.eks.associations import KIND, Association
from unit.local.cloud.support import ACCOUNT, World, allow, document, irsa_trust, pods_trust, refusal

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


def test_an_association_reaches_the_webhook_s_list_and_leaves_it(world: World, eks: Any) -> None:
    """P4: id, ARN, what creation and deletion answer; neither namespace nor account need exist."""
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
    """P6, P8."""
    made = associate(eks)
    assert refused(eks) == ("ResourceInUseException", f"Association already exists: {made['associationId']}", 409)


def test_a_request_token_makes_creation_idempotent(eks: Any) -> None:
    """P6: the same token with other parameters answers the original."""
    first = associate(eks, clientRequestToken=TOKEN)
    again = associate(eks, clientRequestToken=TOKEN, serviceAccount="another")
    assert again == first


@pytest.mark.parametrize("namespace", ["Mxp", "mxp_1", "-a", "a\n"])
def test_a_namespace_must_be_one(eks: Any, namespace: str) -> None:
    """P6."""
    text = (
        "The parameter namespace contains invalid characters. It should conform to the regular expression"
        ' "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"'
    )
    assert refused(eks, namespace=namespace) == ("InvalidParameterException", text, 400)


def test_the_role_must_exist(eks: Any) -> None:
    """P7."""
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
    """P7, E6: every trust but one with both actions."""
    world.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    text = "Trust policy of the role provided is invalid"
    assert refused(eks) == ("InvalidParameterException", text, 400)


def test_a_condition_in_the_trust_policy_is_left_to_the_pod_s_own_request(world: World, eks: Any) -> None:
    trust = pods_trust(Condition={"StringEquals": {"aws:RequestTag/kubernetes-namespace": "somewhere"}})
    world.aws("iam").update_assume_role_policy(RoleName="billing", PolicyDocument=trust)
    assert associate(eks)


def test_a_target_role_gets_an_external_id_and_can_be_cleared(eks: Any) -> None:
    """P2, P4."""
    made = associate(eks, targetRoleArn="arn:aws:iam::999999999999:role/target")
    assert made["externalId"] == f"us-west-2/{ACCOUNT}/keyless/mxp-1-system/vector"
    changed = eks.update_pod_identity_association(
        clusterName="keyless", associationId=made["associationId"], targetRoleArn=""
    )["association"]
    assert "targetRoleArn" not in changed
    assert "externalId" not in changed


def test_a_policy_needs_session_tags_to_be_off(eks: Any) -> None:
    """P2."""
    assert refused(eks, policy=document(allow("s3:*")))[0] == "InvalidParameterException"
    assert associate(eks, policy=document(allow("s3:*")), disableSessionTags=True)["policy"]


def test_associations_are_listed_by_namespace_and_page_by_page(eks: Any) -> None:
    """P1, P3."""
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
    """P6."""
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


def test_tags_are_set_listed_and_removed(eks: Any) -> None:
    arn = associate(eks, tags={"team": "blue"})["associationArn"]
    eks.tag_resource(resourceArn=arn, tags={"cost": "1"})
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "blue", "cost": "1"}
    eks.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"cost": "1"}
    assert refusal(eks.tag_resource, resourceArn=arn + "x", tags={"a": "b"})[0] == "NotFoundException"


@pytest.mark.parametrize(("length", "fits"), [(32, False), (33, True), (126, True), (127, False)])
def test_a_request_token_has_33_to_126_characters(eks: Any, length: int, fits: bool) -> None:
    """P6."""
    text = "The client request token parameter must be between 33 and 126 characters."
    if fits:
        assert associate(eks, clientRequestToken="t" * length)
    else:
        assert refused(eks, clientRequestToken="t" * length) == ("InvalidParameterException", text, 400)


def test_a_token_of_a_deleted_association_makes_a_new_one(eks: Any) -> None:
    first = associate(eks, clientRequestToken=TOKEN)
    eks.delete_pod_identity_association(clusterName="keyless", associationId=first["associationId"])
    assert associate(eks, clientRequestToken=TOKEN)["associationId"] != first["associationId"]


def test_an_association_has_the_fields_that_aws_s_has(eks: Any) -> None:
    """P3, P4: nothing is there that was not asked for."""
    made = associate(eks)
    assert set(made) == {
        "associationArn",
        "associationId",
        "clusterName",
        "createdAt",
        "disableSessionTags",
        "modifiedAt",
        "namespace",
        "roleArn",
        "serviceAccount",
        "tags",
    }
    (listed_one,) = eks.list_pod_identity_associations(clusterName="keyless")["associations"]
    assert set(listed_one) == {"associationArn", "associationId", "clusterName", "namespace", "serviceAccount"}


def test_what_terraform_reads_after_a_write_is_what_it_wrote(world: World, eks: Any) -> None:
    """P2: create, describe, update, describe, tags, delete, describe."""
    made = associate(eks, tags={"team": "blue"}, disableSessionTags=True, policy=document(allow("s3:GetObject")))
    where = {"clusterName": "keyless", "associationId": made["associationId"]}
    assert eks.describe_pod_identity_association(**where)["association"] == made
    world.clock.pass_seconds(5)
    world.aws("iam").create_role(RoleName="other", AssumeRolePolicyDocument=pods_trust())
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    changed = eks.update_pod_identity_association(**where, roleArn=other, policy="", disableSessionTags=False)
    found = eks.describe_pod_identity_association(**where)["association"]
    assert found == changed["association"]
    assert (found["roleArn"], found["disableSessionTags"], "policy" in found) == (other, False, False)
    assert (found["tags"], found["createdAt"]) == ({"team": "blue"}, made["createdAt"])
    assert found["modifiedAt"] > made["modifiedAt"]
    eks.delete_pod_identity_association(**where)
    assert refusal(eks.describe_pod_identity_association, **where)[0] == "ResourceNotFoundException"
    assert refusal(eks.delete_pod_identity_association, **where)[0] == "ResourceNotFoundException"


def test_a_policy_stays_only_while_session_tags_are_off(eks: Any) -> None:
    """P2, also for an update."""
    made = associate(eks, policy=document(allow("s3:*")), disableSessionTags=True)
    where = {"clusterName": "keyless", "associationId": made["associationId"]}
    answer = refusal(eks.update_pod_identity_association, **where, disableSessionTags=False)
    assert answer[0] == "InvalidParameterException"
    assert "policy" in eks.describe_pod_identity_association(**where)["association"]


def test_an_update_is_held_to_the_same_rules_for_its_role(world: World, eks: Any) -> None:
    """P7."""
    made = associate(eks)
    world.aws("iam").create_role(RoleName="web", AssumeRolePolicyDocument=irsa_trust())
    where = {"clusterName": "keyless", "associationId": made["associationId"]}
    web = f"arn:aws:iam::{ACCOUNT}:role/web"
    text = "Trust policy of the role provided is invalid"
    update = eks.update_pod_identity_association
    assert refusal(update, **where, roleArn=web) == ("InvalidParameterException", text, 400)
    gone = "Role provided in the request does not exist"
    assert refusal(update, **where, roleArn=web + "x") == ("InvalidParameterException", gone, 400)


@pytest.mark.parametrize(
    ("role", "code"),
    [
        # IAM says so before EKS does: nobody may pass a role of another account.
        ("arn:aws:iam::999999999999:role/billing", "AccessDeniedException"),
        ("arn:aws:iam::111122223333:user/billing", "InvalidParameterException"),
        ("billing", "InvalidParameterException"),
    ],
)
def test_the_role_is_one_of_the_cluster_s_account(eks: Any, role: str, code: str) -> None:
    """P8."""
    assert refused(eks, roleArn=role)[0] == code


def test_a_cluster_has_5000_associations_at_most(world: World, eks: Any) -> None:
    """P8, P5."""
    database = world.cloud.database
    one = Association("", "", "many", "", ROLE, 0.0, 0.0)
    with database.transaction():
        for number in range(4999):
            name = f"a-{number:017d}"
            database.put(KIND, name, {**asdict(one), "id": name, "arn": name, "service_account": f"sa-{number}"})
    world.restart()
    assert associate(eks)["associationId"]
    code, message, status = refused(eks, serviceAccount="one-more")
    assert (code, status) == ("ResourceLimitExceededException", 400)
    assert "5000" in message
    assert refused(eks, namespace="many", serviceAccount="sa-17")[0] == "ResourceInUseException"


def test_a_page_s_token_of_somebody_else_is_refused(eks: Any) -> None:
    code, message, _ = refusal(eks.list_pod_identity_associations, clusterName="keyless", nextToken="????")
    assert (code, message) == ("InvalidParameterException", "The nextToken parameter is invalid")


def test_associations_are_found_by_their_service_account(eks: Any) -> None:
    """P1."""
    for name in ("one", "two"):
        associate(eks, serviceAccount=name)
    found = eks.list_pod_identity_associations(clusterName="keyless", namespace="mxp-1-system", serviceAccount="two")[
        "associations"
    ]
    assert [one["serviceAccount"] for one in found] == ["two"]


def test_iam_can_ask_for_tags_on_new_associations(world: World, eks: Any) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    tagged = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    text = document(
        allow("eks:CreatePodIdentityAssociation", Condition=tagged), allow(["iam:PassRole", "iam:GetRole"], ROLE)
    )
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=text)
    theirs = world.aws("eks", iam.create_access_key(UserName="dev")["AccessKey"])
    assert refused(theirs)[0] == "AccessDeniedException"
    assert associate(theirs, tags={"team": "blue"})["tags"] == {"team": "blue"}
