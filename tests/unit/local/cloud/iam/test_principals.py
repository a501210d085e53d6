"""Users and roles in stored policies are kept by unique id (facts/identity.md#principals)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from unit.local.cloud.support import ACCOUNT, World, allow, document, pods_trust, refusal

ANA = f"arn:aws:iam::{ACCOUNT}:user/ana"
CALLER = f"arn:aws:iam::{ACCOUNT}:role/caller"


def trusting(*principals: str) -> str:
    named = principals[0] if len(principals) == 1 else list(principals)
    return document({"Effect": "Allow", "Principal": {"AWS": named}, "Action": "sts:AssumeRole"})


def trusted(iam: Any, name: str = "target") -> Any:
    return iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]


@pytest.fixture
def iam(world: World) -> Any:
    return world.aws("iam")


def a_user(world: World, iam: Any) -> Any:
    """Credentials of a new user ana, who may assume any role."""
    iam.create_user(UserName="ana")
    iam.put_user_policy(UserName="ana", PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole")))
    return iam.create_access_key(UserName="ana")["AccessKey"]


def without_ana(iam: Any, key: Any) -> None:
    iam.delete_access_key(UserName="ana", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="ana", PolicyName="p")
    iam.delete_user(UserName="ana")


def test_a_user_who_is_made_again_is_somebody_else(world: World, iam: Any) -> None:
    key = a_user(world, iam)
    role = iam.create_role(RoleName="target", AssumeRolePolicyDocument=trusting(ANA))["Role"]
    user_id = iam.get_user(UserName="ana")["User"]["UserId"]
    assert trusted(iam) == ANA
    wanted = {"RoleArn": role["Arn"], "RoleSessionName": "s1"}
    assert world.aws("sts", key).assume_role(**wanted)["Credentials"]
    without_ana(iam, key)
    assert trusted(iam) == user_id
    again = a_user(world, iam)
    assert trusted(iam) == user_id
    assert refusal(world.aws("sts", again).assume_role, **wanted)[0] == "AccessDenied"
    iam.update_assume_role_policy(RoleName="target", PolicyDocument=trusting(ANA))
    assert world.aws("sts", again).assume_role(**wanted)["Credentials"]


def test_a_role_that_is_made_again_is_another_one(world: World, iam: Any) -> None:
    def a_caller() -> Any:
        iam.create_role(RoleName="caller", AssumeRolePolicyDocument=trusting(ACCOUNT))
        iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=document(allow("sts:AssumeRole")))
        return world.aws("sts").assume_role(RoleArn=CALLER, RoleSessionName="s1")["Credentials"]

    first = a_caller()
    arn = iam.create_role(RoleName="target", AssumeRolePolicyDocument=trusting(CALLER))["Role"]["Arn"]
    assert world.aws("sts", first).assume_role(RoleArn=arn, RoleSessionName="s2")
    iam.delete_role_policy(RoleName="caller", PolicyName="p")
    iam.delete_role(RoleName="caller")
    assert trusted(iam).startswith("AROA")
    answer = refusal(world.aws("sts", a_caller()).assume_role, RoleArn=arn, RoleSessionName="s2")
    assert answer[0] == "AccessDenied"


def test_a_renamed_user_is_the_same_one(world: World, iam: Any) -> None:
    key = a_user(world, iam)
    arn = iam.create_role(RoleName="target", AssumeRolePolicyDocument=trusting(ANA))["Role"]["Arn"]
    iam.update_user(UserName="ana", NewUserName="anna", NewPath="/people/")
    assert trusted(iam) == f"arn:aws:iam::{ACCOUNT}:user/people/anna"
    assert world.aws("sts", key).assume_role(RoleArn=arn, RoleSessionName="s1")["Credentials"]
    assert refusal(iam.get_user, UserName="ana")[0] == "NoSuchEntity"


@pytest.mark.parametrize(
    "principal",
    [ANA, CALLER, "AROAAAAAAAAAAAAAAAAAA", f"arn:aws:iam::{ACCOUNT}:user/people/ben"],
)
def test_a_principal_that_is_not_there_is_refused(iam: Any, principal: str) -> None:
    iam.create_user(UserName="ben")
    expected = ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{principal}"', 400)
    create = {"RoleName": "target", "AssumeRolePolicyDocument": trusting(principal)}
    assert refusal(iam.create_role, **create) == expected
    iam.create_role(RoleName="target", AssumeRolePolicyDocument=pods_trust())
    assert refusal(iam.update_assume_role_policy, RoleName="target", PolicyDocument=trusting(principal)) == expected


def test_an_id_of_somebody_who_is_there_is_taken(iam: Any) -> None:
    user_id = iam.create_user(UserName="ana")["User"]["UserId"]
    iam.create_role(RoleName="target", AssumeRolePolicyDocument=trusting(user_id))
    assert trusted(iam) == ANA


def test_an_account_s_number_is_read_back_as_its_arn(iam: Any) -> None:
    other = "arn:aws:iam::444455556666:role/there"
    iam.create_role(RoleName="target", AssumeRolePolicyDocument=trusting("444455556666", other))
    assert trusted(iam) == ["arn:aws:iam::444455556666:root", other]


def test_a_policy_that_names_nobody_keeps_its_very_text(world: World, iam: Any) -> None:
    text = pods_trust().replace(",", " ,\n  ")
    iam.create_role(RoleName="target", AssumeRolePolicyDocument=text)
    stored = world.cloud.directory.role("target")
    assert stored is not None
    assert stored.trust == text


def a_bucket_policy(effect: str = "Allow", **principal: Any) -> str:
    return document({"Effect": effect, **principal, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::usage"})


def test_a_bucket_policy_keeps_ids_and_shows_names(world: World, iam: Any) -> None:
    key, s3 = a_user(world, iam), world.aws("s3")
    s3.create_bucket(Bucket="usage", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    text = a_bucket_policy(Principal={"AWS": ANA})
    s3.put_bucket_policy(Bucket="usage", Policy=text)
    assert orjson.loads(s3.get_bucket_policy(Bucket="usage")["Policy"]) == orjson.loads(text)
    assert world.aws("s3", key).list_objects_v2(Bucket="usage")["KeyCount"] == 0
    user_id = iam.get_user(UserName="ana")["User"]["UserId"]
    without_ana(iam, key)
    assert f'"AWS":"{user_id}"' in s3.get_bucket_policy(Bucket="usage")["Policy"]
    assert refusal(world.aws("s3", a_user(world, iam)).list_objects_v2, Bucket="usage")[0] == "AccessDenied"
    text = a_bucket_policy(Principal={"AWS": ANA.replace("ana", "ben")})
    answer = refusal(s3.put_bucket_policy, Bucket="usage", Policy=text)
    assert answer == ("MalformedPolicy", "Invalid principal in policy", 400)


def test_not_principal_spares_who_is_kept_by_id(world: World, iam: Any) -> None:
    key, s3 = a_user(world, iam), world.aws("s3")
    iam.attach_user_policy(UserName="ana", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    s3.create_bucket(Bucket="usage", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    spared = {"AWS": [ANA, f"arn:aws:iam::{ACCOUNT}:root"]}
    s3.put_bucket_policy(Bucket="usage", Policy=a_bucket_policy("Deny", NotPrincipal=spared))
    assert world.aws("s3", key).list_objects_v2(Bucket="usage")["KeyCount"] == 0
    assert refusal(s3.list_objects_v2, Bucket="usage")[0] == "AccessDenied"


def test_a_key_policy_keeps_ids_and_shows_names(world: World, iam: Any) -> None:
    own, kms = a_user(world, iam), world.aws("kms")
    whole = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    root = {**whole, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    text = document(root, {**whole, "Principal": {"AWS": ANA}})
    key_id = kms.create_key(Policy=text)["KeyMetadata"]["KeyId"]
    assert orjson.loads(kms.get_key_policy(KeyId=key_id)["Policy"]) == orjson.loads(text)
    assert world.aws("kms", own).describe_key(KeyId=key_id)
    without_ana(iam, own)
    assert "AIDA" in kms.get_key_policy(KeyId=key_id)["Policy"]
    assert refusal(world.aws("kms", a_user(world, iam)).describe_key, KeyId=key_id)[0] == "AccessDeniedException"
    nobody = document(root, {**whole, "Principal": {"AWS": ANA.replace("ana", "ben")}})
    said = "Policy contains a statement with one or more invalid principals."
    answer = refusal(kms.put_key_policy, KeyId=key_id, PolicyName="default", Policy=nobody)
    assert answer == ("MalformedPolicyDocumentException", said, 400)


def test_a_secret_s_policy_keeps_ids_and_shows_names(world: World, iam: Any) -> None:
    key, secrets = a_user(world, iam), world.aws("secretsmanager")
    secrets.create_secret(Name="token", SecretString="x")
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    text = document({**statement, "Principal": {"AWS": ANA}})
    secrets.put_resource_policy(SecretId="token", ResourcePolicy=text)
    assert orjson.loads(secrets.get_resource_policy(SecretId="token")["ResourcePolicy"]) == orjson.loads(text)
    assert world.aws("secretsmanager", key).get_secret_value(SecretId="token")["SecretString"] == "x"
    without_ana(iam, key)
    assert "AIDA" in secrets.get_resource_policy(SecretId="token")["ResourcePolicy"]
    again = world.aws("secretsmanager", a_user(world, iam))
    assert refusal(again.get_secret_value, SecretId="token")[0] == "AccessDeniedException"
    nobody = document({**statement, "Principal": {"AWS": ANA.replace("ana", "ben")}})
    said = "This resource policy contains an unsupported principal."
    answer = refusal(secrets.put_resource_policy, SecretId="token", ResourcePolicy=nobody)
    assert answer == ("MalformedPolicyDocumentException", said, 400)
