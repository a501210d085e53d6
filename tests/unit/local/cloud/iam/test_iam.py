"""IAM: what it stores, what it refuses and in which words (facts/identity.md#quotas)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from keyless.local.cloud.iam.providers import unmatched
from unit.local.cloud.support import ACCOUNT, World, allow, document, irsa_trust, pods_trust, refusal

MANAGED = f"arn:aws:iam::{ACCOUNT}:policy/billing"


@pytest.fixture
def iam(world: World) -> Any:
    return world.aws("iam")


def make_role(iam: Any, name: str = "billing", trust: str | None = None, **more: Any) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or pods_trust(), **more)["Role"]


def test_a_role_is_read_back_as_it_was_written(iam: Any) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    made = make_role(iam, Path="/spaces/", Description="d", MaxSessionDuration=7200, Tags=tags)
    found = iam.get_role(RoleName="billing")["Role"]
    assert found == made
    assert found["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/spaces/billing"
    assert found["AssumeRolePolicyDocument"] == orjson.loads(pods_trust())
    assert (found["MaxSessionDuration"], found["Description"], found["Tags"]) == (7200, "d", tags)
    assert iam.list_role_tags(RoleName="billing")["Tags"] == tags
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/spaces/")["Roles"]] == ["billing"]


def test_a_role_is_changed_piece_by_piece(iam: Any) -> None:
    make_role(iam)
    iam.update_role(RoleName="billing", Description="new", MaxSessionDuration=3600)
    iam.update_assume_role_policy(RoleName="billing", PolicyDocument=irsa_trust())
    iam.tag_role(RoleName="billing", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName="billing", TagKeys=["a"])
    found = iam.get_role(RoleName="billing")["Role"]
    assert found["AssumeRolePolicyDocument"] == orjson.loads(irsa_trust())
    assert (found["Description"], found["Tags"]) == ("new", [{"Key": "b", "Value": "2"}])


@pytest.mark.parametrize("name", ["billing", "BILLING"])
def test_names_of_roles_are_unique_without_regard_to_case(iam: Any, name: str) -> None:
    make_role(iam)
    answer = refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=pods_trust())
    assert answer == ("EntityAlreadyExists", f"Role with name {name} already exists.", 409)


def test_a_role_that_is_not_there_is_named(iam: Any) -> None:
    answer = refusal(iam.get_role, RoleName="none")
    assert answer == ("NoSuchEntity", "The role with name none cannot be found.", 404)


def test_a_role_goes_last(iam: Any) -> None:
    make_role(iam)
    iam.put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=document(allow("s3:*")))
    iam.attach_role_policy(RoleName="billing", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    text = "Cannot delete entity, must detach all policies first."
    assert refusal(iam.delete_role, RoleName="billing") == ("DeleteConflict", text, 409)
    iam.detach_role_policy(RoleName="billing", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    text = "Cannot delete entity, must delete policies first."
    assert refusal(iam.delete_role, RoleName="billing") == ("DeleteConflict", text, 409)
    iam.delete_role_policy(RoleName="billing", PolicyName="p")
    iam.delete_role(RoleName="billing")
    assert refusal(iam.get_role, RoleName="billing")[0] == "NoSuchEntity"


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_bad_name_violates_a_constraint(iam: Any, name: str) -> None:
    code, message, status = refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=pods_trust())
    assert (code, status) == ("ValidationError", 400)
    many = "2 validation errors" if name == "" else "1 validation error"
    assert message.startswith(f"{many} detected: Value")
    assert "at 'roleName' failed to satisfy constraint: Member must" in message


@pytest.mark.parametrize("name", ["a b", "röle", "a/b", "a\nb"])
def test_a_name_of_the_wrong_characters_is_told_the_right_ones(iam: Any, name: str) -> None:
    text = "It must contain only alphanumeric characters and/or the following: +=,.@_-"
    answer = refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=pods_trust())
    assert answer == ("ValidationError", f"The specified value for roleName is invalid. {text}", 400)


@pytest.mark.parametrize("path", ["a", "/a", "a/", "/a b/", "//ä/"])
def test_a_path_begins_and_ends_with_a_slash(iam: Any, path: str) -> None:
    text = "It must begin and end with / and contain only alphanumeric characters and/or / characters."
    answer = refusal(iam.create_role, RoleName="a", Path=path, AssumeRolePolicyDocument=pods_trust())
    assert answer == ("ValidationError", f"The specified value for path is invalid. {text}", 400)


@pytest.mark.parametrize("key", ["aws:team", "AWS:team"])
def test_tag_keys_of_aws_are_aws_s(iam: Any, key: str) -> None:
    tags = [{"Key": key, "Value": "x"}]
    assert refusal(iam.create_role, RoleName="a", AssumeRolePolicyDocument=pods_trust(), Tags=tags)[0] == "InvalidInput"


def test_tags_are_found_without_regard_to_case(iam: Any) -> None:
    make_role(iam, Tags=[{"Key": "Team", "Value": "blue"}])
    iam.tag_role(RoleName="billing", Tags=[{"Key": "team", "Value": "red"}])
    assert iam.list_role_tags(RoleName="billing")["Tags"] == [{"Key": "team", "Value": "red"}]
    iam.untag_role(RoleName="billing", TagKeys=["TEAM"])
    assert iam.list_role_tags(RoleName="billing")["Tags"] == []


def test_every_violation_is_told_at_once(iam: Any) -> None:
    assert refusal(iam.create_role)[1].startswith("2 validation errors detected: Value null at 'roleName'")


def test_a_trust_policy_has_2048_characters_without_its_spaces(iam: Any) -> None:
    subjects = [f"system:serviceaccount:mxp-{number:036d}-system:vector" for number in range(40)]
    condition = {"StringEquals": {"127.0.0.1/clusters/keyless:sub": subjects}}
    code, message, status = refusal(
        iam.create_role, RoleName="billing", AssumeRolePolicyDocument=irsa_trust(**condition)
    )
    assert (code, message, status) == ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", 409)
    spaced = pods_trust().replace(",", ", " + " " * 3000, 1)
    assert make_role(iam, trust=spaced)


def test_a_trust_policy_must_be_one(iam: Any) -> None:
    create = iam.create_role
    assert refusal(create, RoleName="r", AssumeRolePolicyDocument="{")[0] == "MalformedPolicyDocument"
    identity = document(allow("s3:*"))
    assert refusal(create, RoleName="r", AssumeRolePolicyDocument=identity)[0] == "MalformedPolicyDocument"


def test_an_aws_principal_of_a_trust_policy_must_exist(iam: Any) -> None:
    principal = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    trust = document({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"})
    answer = refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust)
    text = f'Invalid principal in policy: "AWS":"{principal}"'
    assert answer == ("MalformedPolicyDocument", text, 400)


def test_inline_policies_share_a_quota(iam: Any) -> None:
    make_role(iam)
    large = document(allow([f"s3:Get{'x' * 100}{number}" for number in range(80)]))
    iam.put_role_policy(RoleName="billing", PolicyName="a", PolicyDocument=large)
    code, message, status = refusal(iam.put_role_policy, RoleName="billing", PolicyName="b", PolicyDocument=large)
    assert (code, status) == ("LimitExceeded", 409)
    assert message == "Maximum policy size of 10240 bytes exceeded for role billing"
    iam.put_role_policy(RoleName="billing", PolicyName="a", PolicyDocument=large)
    assert iam.list_role_policies(RoleName="billing")["PolicyNames"] == ["a"]
    assert iam.get_role_policy(RoleName="billing", PolicyName="a")["PolicyDocument"] == orjson.loads(large)
    text = "The role policy with name b cannot be found."
    assert refusal(iam.get_role_policy, RoleName="billing", PolicyName="b") == ("NoSuchEntity", text, 404)


def test_a_managed_policy_has_five_versions_and_one_counts(iam: Any) -> None:
    iam.create_policy(PolicyName="billing", PolicyDocument=document(allow("s3:GetObject")))
    for number in range(4):
        iam.create_policy_version(
            PolicyArn=MANAGED, PolicyDocument=document(allow(f"s3:Get{number}")), SetAsDefault=True
        )
    assert iam.get_policy(PolicyArn=MANAGED)["Policy"]["DefaultVersionId"] == "v5"
    code = refusal(iam.create_policy_version, PolicyArn=MANAGED, PolicyDocument=document(allow("s3:*")))[0]
    assert code == "LimitExceeded"
    assert refusal(iam.delete_policy_version, PolicyArn=MANAGED, VersionId="v5")[0] == "DeleteConflict"
    assert refusal(iam.delete_policy, PolicyArn=MANAGED)[0] == "DeleteConflict"
    iam.set_default_policy_version(PolicyArn=MANAGED, VersionId="v1")
    version = iam.get_policy_version(PolicyArn=MANAGED, VersionId="v1")["PolicyVersion"]
    assert (version["IsDefaultVersion"], version["Document"]) == (True, orjson.loads(document(allow("s3:GetObject"))))
    for number in range(2, 6):
        iam.delete_policy_version(PolicyArn=MANAGED, VersionId=f"v{number}")
    iam.delete_policy(PolicyArn=MANAGED)
    assert refusal(iam.get_policy, PolicyArn=MANAGED) == ("NoSuchEntity", f"Policy {MANAGED} was not found.", 404)


def test_attached_policies_are_counted_and_keep_their_policy(iam: Any) -> None:
    make_role(iam)
    iam.create_policy(PolicyName="billing", PolicyDocument=document(allow("s3:*")))
    iam.attach_role_policy(RoleName="billing", PolicyArn=MANAGED)
    iam.attach_role_policy(RoleName="billing", PolicyArn=MANAGED)
    assert iam.list_attached_role_policies(RoleName="billing")["AttachedPolicies"] == [
        {"PolicyName": "billing", "PolicyArn": MANAGED}
    ]
    assert iam.get_policy(PolicyArn=MANAGED)["Policy"]["AttachmentCount"] == 1
    assert iam.list_entities_for_policy(PolicyArn=MANAGED)["PolicyRoles"][0]["RoleName"] == "billing"
    text = "Cannot delete a policy attached to entities."
    assert refusal(iam.delete_policy, PolicyArn=MANAGED) == ("DeleteConflict", text, 409)
    nothing = MANAGED + "-none"
    text = f"Policy {nothing} does not exist or is not attachable."
    assert refusal(iam.attach_role_policy, RoleName="billing", PolicyArn=nothing) == ("NoSuchEntity", text, 404)


def test_aws_s_own_policies_are_there_and_cannot_be_changed(iam: Any) -> None:
    arn = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["PolicyName"] == "AmazonEKSWorkerNodePolicy"
    assert refusal(iam.delete_policy, PolicyArn=arn)[0] == "AccessDenied"


def test_lists_come_in_pages(iam: Any) -> None:
    for number in range(5):
        make_role(iam, f"r{number}")
    found = iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2})
    names = [role["RoleName"] for one in found for role in one["Roles"]]
    assert names == ["keyless-node", "r0", "r1", "r2", "r3", "r4"]


def test_a_user_has_at_most_two_keys_and_they_sign(world: World, iam: Any) -> None:
    iam.create_user(UserName="dev", Tags=[{"Key": "a", "Value": "b"}])
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    iam.create_access_key(UserName="dev")
    text = "Cannot exceed quota for AccessKeysPerUser: 2"
    assert refusal(iam.create_access_key, UserName="dev") == ("LimitExceeded", text, 409)
    assert world.aws("sts", key).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/dev"
    iam.update_access_key(UserName="dev", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refusal(world.aws("sts", key).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(iam.delete_user, UserName="dev")[0] == "DeleteConflict"


def test_a_provider_needs_an_https_url_and_sound_thumbprints(iam: Any) -> None:
    create = iam.create_open_id_connect_provider
    placeholders = ("https://${YOUR_OIDC_PROVIDER}", "https://$OIDC/id", "https://<OIDC_PROVIDER>", "https://")
    others = ("http://issuer.example", "https://issuer.example?x=1", "nonsense", "https://u@issuer.example")
    for url in (*placeholders, *others, "https://-x", "https://a b"):
        assert refusal(create, Url=url)[0] == "InvalidInput"
    good = "https://issuer.example/id/1"
    assert refusal(create, Url=good, ThumbprintList=["z" * 40])[0] == "InvalidInput"
    assert refusal(create, Url=good, ThumbprintList=["a" * 40] * 6)[0] == "InvalidInput"


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://127.0.0.1:1/clusters/keyless", True),
        ("https://issuer.example/id/1", True),
        ("https://127.0.0.1/clusters/keyless", False),
        ("https://127.0.0.1:1", False),
        ("https://127.0.0.1:2/clusters/keyless", False),
        ("https://127.0.0.1:1/clusters/keyless/", False),
    ],
)
def test_a_url_that_no_token_of_the_cluster_fits_is_told_of_though_aws_takes_it(url: str, fits: bool) -> None:
    issuer = "https://127.0.0.1:1/clusters/keyless"
    told = unmatched(url, issuer)
    assert bool(told) is not fits
    assert fits or (issuer in told and url in told)
    assert unmatched(url, "") == ""


def test_a_provider_s_clients_thumbprints_and_tags_change(iam: Any) -> None:
    arn = iam.create_open_id_connect_provider(Url="https://issuer.example/id/1")["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/id/1"
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="b")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["A" * 40])
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert (found["Url"], found["ClientIDList"], found["ThumbprintList"]) == (
        "issuer.example/id/1",
        ["b"],
        ["a" * 40],
    )
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    text = f"OpenIDConnect Provider not found for arn {arn}"
    answer = refusal(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    assert answer == ("NoSuchEntity", text, 404)


def test_a_fresh_account_has_the_administrator_and_the_node_alone(iam: Any) -> None:
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["keyless-admin"]
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["keyless-node"]
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert iam.get_account_summary()["SummaryMap"]["Providers"] == 0


def test_a_call_that_fails_half_way_leaves_nothing(world: World, iam: Any) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    assert refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=pods_trust(), Tags=tags)[0] == "InvalidInput"
    assert refusal(iam.get_role, RoleName="r")[0] == "NoSuchEntity"


def test_an_administrator_without_a_key_has_one_again_after_a_restart(world: World, iam: Any) -> None:
    old = world.cloud.admin_credentials().access_key_id
    iam.delete_access_key(UserName="keyless-admin", AccessKeyId=old)
    world.restart()
    assert world.cloud.admin_credentials().access_key_id != old
    assert world.aws("sts").get_caller_identity()["Arn"].endswith(":user/keyless-admin")


def test_a_session_must_name_the_user_it_asks_for(world: World, iam: Any) -> None:
    trust = document(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    )
    arn = make_role(iam, trust=trust)["Arn"]
    iam.put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=document(allow("*")))
    keys = world.aws("sts").assume_role(RoleArn=arn, RoleSessionName="s1")["Credentials"]
    text = "Must specify userName when calling with non-User credentials"
    assert refusal(world.aws("iam", keys).get_user) == ("ValidationError", text, 400)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("user", {"UserName": "ann"}),
        ("role", {"RoleName": "billing"}),
        ("policy", {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p"}),
        ("instance_profile", {"InstanceProfileName": "node"}),
        (
            "open_id_connect_provider",
            {"OpenIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example"},
        ),
    ],
)
def test_tagging_without_tags_is_invalid_input(world: World, kind: str, named: dict[str, str]) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="ann")
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=pods_trust())
    iam.create_policy(PolicyName="p", PolicyDocument=document(allow("s3:*")))
    iam.create_instance_profile(InstanceProfileName="node")
    iam.create_open_id_connect_provider(Url="https://issuer.example", ThumbprintList=["0" * 40])
    code, _, status = refusal(getattr(iam, f"tag_{kind}"), **named, Tags=[])
    assert (code, status) == ("InvalidInput", 400)
    getattr(iam, f"tag_{kind}")(**named, Tags=[{"Key": "team", "Value": "blue"}])
