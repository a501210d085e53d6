"""Service-linked roles, everything at once, and what a user does not have."""

from __future__ import annotations

from typing import Any

import pytest

from unit.local.cloud.support import ACCOUNT, World, allow, document, pods_trust, refusal

LINKED = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup"


@pytest.fixture
def iam(world: World) -> Any:
    return world.aws("iam")


def test_a_service_linked_role_belongs_to_its_service(iam: Any) -> None:
    made = iam.create_service_linked_role(AWSServiceName="eks-nodegroup.amazonaws.com")["Role"]
    name = made["RoleName"]
    assert made["Arn"] == LINKED
    principal = made["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert principal == {"Service": ["eks-nodegroup.amazonaws.com"]}
    code, message, status = refusal(
        iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=document(allow("s3:*"))
    )
    assert (code, status) == ("UnmodifiableEntity", 400)
    assert "protected role 'AWSServiceRoleForAmazonEKSNodegroup'" in message
    assert refusal(iam.delete_role, RoleName=name)[0] == "UnmodifiableEntity"
    again = refusal(iam.create_service_linked_role, AWSServiceName="eks-nodegroup.amazonaws.com")
    assert again[0] == "InvalidInput"
    assert "has been taken in this account, please try a different suffix" in again[1]
    task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert refusal(iam.get_role, RoleName=name)[0] == "NoSuchEntity"


@pytest.mark.parametrize("service", ["nonsense", "EKS.amazonaws.com", "eks.example.com"])
def test_only_services_have_linked_roles(iam: Any, service: str) -> None:
    assert refusal(iam.create_service_linked_role, AWSServiceName=service)[0] == "InvalidInput"


def test_everything_is_told_at_once_and_in_pages(iam: Any) -> None:
    iam.create_user(UserName="ana")
    iam.create_group(GroupName="readers")
    iam.add_user_to_group(GroupName="readers", UserName="ana")
    iam.create_role(RoleName="billing", AssumeRolePolicyDocument=pods_trust())
    iam.put_role_policy(RoleName="billing", PolicyName="p", PolicyDocument=document(allow("s3:*")))
    iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))
    whole = iam.get_account_authorization_details()
    assert [one["UserName"] for one in whole["UserDetailList"]] == ["ana", "keyless-admin"]
    assert whole["UserDetailList"][0]["GroupList"] == ["readers"]
    assert [one["GroupName"] for one in whole["GroupDetailList"]] == ["readers"]
    billing = whole["RoleDetailList"][0]
    assert [(one["PolicyName"], one["PolicyDocument"]["Version"]) for one in billing["RolePolicyList"]] == [
        ("p", "2012-10-17")
    ]
    names = [one["PolicyName"] for one in whole["Policies"]]
    assert names == ["limit", "AdministratorAccess"]
    pages = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2})
    found = [one for page in pages for key in ("UserDetailList", "RoleDetailList", "Policies") for one in page[key]]
    assert [one["Arn"] for one in found] == [
        one["Arn"] for key in ("UserDetailList", "RoleDetailList", "Policies") for one in whole[key]
    ]
    only = iam.get_account_authorization_details(Filter=["Role"])
    assert (only["UserDetailList"], len(only["RoleDetailList"])) == ([], 2)


def test_a_user_has_no_devices_passwords_or_certificates(iam: Any) -> None:
    iam.create_user(UserName="ana")
    assert iam.list_mfa_devices(UserName="ana")["MFADevices"] == []
    assert iam.list_ssh_public_keys(UserName="ana")["SSHPublicKeys"] == []
    assert iam.list_signing_certificates(UserName="ana")["Certificates"] == []
    assert iam.list_service_specific_credentials(UserName="ana")["ServiceSpecificCredentials"] == []
    text = "Login Profile for User ana cannot be found."
    assert refusal(iam.get_login_profile, UserName="ana") == ("NoSuchEntity", text, 404)
    key = iam.create_access_key(UserName="ana")["AccessKey"]["AccessKeyId"]
    assert iam.get_access_key_last_used(AccessKeyId=key)["UserName"] == "ana"
    assert refusal(iam.list_mfa_devices, UserName="none")[0] == "NoSuchEntity"


def test_a_key_tells_when_and_where_it_was_used_last(world: World, iam: Any) -> None:
    iam.create_user(UserName="ana")
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    asked = {"AccessKeyId": key["AccessKeyId"]}
    never = {"ServiceName": "N/A", "Region": "N/A"}
    assert iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"] == never
    # That somebody else spoke of it is no use of it.
    assert iam.get_access_key_last_used(**asked)["AccessKeyLastUsed"] == never

    assert refusal(world.aws("s3", key).list_buckets)[0] == "AccessDenied"
    told = iam.get_access_key_last_used(**asked)
    assert told["UserName"] == "ana"
    used = told["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("s3", world.aws("s3").meta.region_name)
    assert abs(used["LastUsedDate"].timestamp() - world.clock()) < 2
