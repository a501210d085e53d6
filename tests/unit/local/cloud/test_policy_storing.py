"""Every door through which a policy comes in checks the values of its conditions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from unit.local.cloud.support import ACCOUNT, World, irsa_trust, refusal

BAD = {"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}}
FINE = {"IpAddress": {"aws:SourceIp": "10.0.0.77/24"}, "Bool": {"aws:SecureTransport": "yes"}}


def policy(condition: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": condition, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def for_everyone(condition: Any, action: str, resource: str = "*") -> str:
    return policy(condition, Principal={"AWS": ACCOUNT}, Action=action, Resource=resource)


DOORS: dict[str, Callable[[World, Any], tuple[Any, dict[str, Any]]]] = {
    "managed policy": lambda w, c: (
        w.aws("iam").create_policy,
        {"PolicyName": "new", "PolicyDocument": policy(c)},
    ),
    "version of a managed policy": lambda w, c: (
        w.aws("iam").create_policy_version,
        {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/there", "PolicyDocument": policy(c)},
    ),
    "inline policy of a role": lambda w, c: (
        w.aws("iam").put_role_policy,
        {"RoleName": "there", "PolicyName": "p", "PolicyDocument": policy(c)},
    ),
    "trust policy": lambda w, c: (
        w.aws("iam").update_assume_role_policy,
        {"RoleName": "there", "PolicyDocument": trust(c)},
    ),
    "trust policy of a new role": lambda w, c: (
        w.aws("iam").create_role,
        {"RoleName": "new", "AssumeRolePolicyDocument": trust(c)},
    ),
    "session policy": lambda w, c: (
        w.aws("sts").assume_role,
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/there", "RoleSessionName": "me", "Policy": policy(c)},
    ),
    "bucket policy": lambda w, c: (
        w.aws("s3").put_bucket_policy,
        {"Bucket": "there", "Policy": for_everyone(c, "s3:GetObject", "arn:aws:s3:::there/*")},
    ),
    "secret's policy": lambda w, c: (
        w.aws("secretsmanager").put_resource_policy,
        {"SecretId": "there", "ResourcePolicy": for_everyone(c, "secretsmanager:GetSecretValue")},
    ),
    "key's policy": lambda w, c: (
        w.aws("kms").create_key,
        {"Policy": for_everyone(c, "kms:*"), "BypassPolicyLockoutSafetyCheck": True},
    ),
}
CODES = {
    "bucket policy": "MalformedPolicy",
    "secret's policy": "MalformedPolicyDocumentException",
    "key's policy": "MalformedPolicyDocumentException",
}


@pytest.fixture
def furnished(world: World) -> World:
    iam = world.aws("iam")
    iam.create_policy(PolicyName="there", PolicyDocument=policy({}))
    iam.create_role(RoleName="there", AssumeRolePolicyDocument=trust({}))
    world.aws("s3").create_bucket(Bucket="there", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    world.aws("secretsmanager").create_secret(Name="there", SecretString="x")
    return world


@pytest.mark.parametrize("door", DOORS)
def test_a_value_of_the_wrong_type_comes_through_no_door(furnished: World, door: str) -> None:
    call, params = DOORS[door](furnished, BAD)
    code, _, status = refusal(call, **params)
    assert (code, status) == (CODES.get(door, "MalformedPolicyDocument"), 400)
    call, params = DOORS[door](furnished, FINE)
    assert call(**params)["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)


@pytest.mark.parametrize("version", [None, "2008-10-17"])
def test_a_managed_policy_is_of_the_newer_version_and_an_inline_one_of_either(
    furnished: World, version: str | None
) -> None:
    iam, old = furnished.aws("iam"), json.loads(policy({}))
    del old["Version"]
    text = json.dumps(old | ({"Version": version} if version else {}))
    said = ("MalformedPolicyDocument", "Policy document must be version 2012-10-17 or greater.", 400)
    assert refusal(iam.create_policy, PolicyName="old", PolicyDocument=text) == said
    arn = f"arn:aws:iam::{ACCOUNT}:policy/there"
    assert refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=text) == said
    iam.put_role_policy(RoleName="there", PolicyName="old", PolicyDocument=text)
    assert iam.get_role_policy(RoleName="there", PolicyName="old")["PolicyDocument"] == json.loads(text)


def test_the_trust_of_the_guides_is_kept(world: World) -> None:
    world.aws("iam").create_role(RoleName="irsa", AssumeRolePolicyDocument=irsa_trust())
