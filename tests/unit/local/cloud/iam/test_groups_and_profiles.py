"""Groups, instance profiles, and what keeps what from being deleted."""

from __future__ import annotations

from typing import Any

import pytest

from unit.local.cloud.support import ACCOUNT, World, a_role, allow, document, pods_trust, refusal

LIMIT = f"arn:aws:iam::{ACCOUNT}:policy/limit"


@pytest.fixture
def iam(world: World) -> Any:
    return world.aws("iam")


def test_a_group_lends_its_policies_to_its_members(world: World, iam: Any) -> None:
    iam.create_user(UserName="ana")
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    made = iam.create_group(GroupName="readers", Path="/people/")["Group"]
    assert (made["Arn"], made["GroupId"][:4]) == (f"arn:aws:iam::{ACCOUNT}:group/people/readers", "AGPA")
    iam.put_group_policy(GroupName="readers", PolicyName="p", PolicyDocument=document(allow("iam:ListRoles")))
    iam.attach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    own = world.aws("iam", key)
    assert refusal(own.list_roles)[0] == "AccessDenied"
    iam.add_user_to_group(GroupName="readers", UserName="ana")
    assert own.list_roles()["Roles"]
    assert world.aws("s3", key).list_buckets()["Buckets"] == []
    assert [user["UserName"] for user in iam.get_group(GroupName="readers")["Users"]] == ["ana"]
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="ana")["Groups"]] == ["readers"]
    assert iam.list_group_policies(GroupName="readers")["PolicyNames"] == ["p"]
    iam.remove_user_from_group(GroupName="readers", UserName="ana")
    assert refusal(own.list_roles)[0] == "AccessDenied"


def test_a_boundary_of_a_member_limits_what_a_group_lends(world: World, iam: Any) -> None:
    iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))
    iam.create_user(UserName="ana", PermissionsBoundary=LIMIT)
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    iam.create_group(GroupName="readers")
    iam.put_group_policy(GroupName="readers", PolicyName="p", PolicyDocument=document(allow("iam:ListRoles")))
    iam.add_user_to_group(GroupName="readers", UserName="ana")
    assert "because no permissions boundary allows" in refusal(world.aws("iam", key).list_roles)[1]
    assert iam.get_policy(PolicyArn=LIMIT)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    assert refusal(iam.delete_policy, PolicyArn=LIMIT)[0] == "DeleteConflict"


def test_a_group_goes_last_and_is_renamed_with_its_members(iam: Any) -> None:
    iam.create_user(UserName="ana")
    iam.create_group(GroupName="readers")
    iam.add_user_to_group(GroupName="readers", UserName="ana")
    iam.update_group(GroupName="readers", NewGroupName="Readers", NewPath="/x/")
    assert iam.get_group(GroupName="Readers")["Group"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/x/Readers"
    text = "Cannot delete entity, must remove users from group first."
    assert refusal(iam.delete_group, GroupName="Readers") == ("DeleteConflict", text, 409)
    text = "Cannot delete entity, must remove user from all groups first."
    assert refusal(iam.delete_user, UserName="ana") == ("DeleteConflict", text, 409)
    iam.remove_user_from_group(GroupName="Readers", UserName="ana")
    iam.delete_group(GroupName="Readers")
    text = "The group with name Readers cannot be found."
    assert refusal(iam.get_group, GroupName="Readers") == ("NoSuchEntity", text, 404)
    iam.delete_user(UserName="ana")


def test_names_of_groups_are_unique_without_regard_to_case(iam: Any) -> None:
    iam.create_group(GroupName="readers")
    text = "Group with name READERS already exists."
    assert refusal(iam.create_group, GroupName="READERS") == ("EntityAlreadyExists", text, 409)


def test_a_profile_holds_one_role(iam: Any) -> None:
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=pods_trust())
    made = iam.create_instance_profile(InstanceProfileName="node", Path="/m/")["InstanceProfile"]
    assert (made["Roles"], made["InstanceProfileId"][:4]) == ([], "AIPA")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    answer = refusal(iam.add_role_to_instance_profile, InstanceProfileName="node", RoleName="node")
    assert answer == ("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409)
    (listed,) = iam.list_instance_profiles_for_role(RoleName="node")["InstanceProfiles"]
    assert [role["RoleName"] for role in listed["Roles"]] == ["node"]
    text = "Cannot delete entity, must remove roles from instance profile first."
    assert refusal(iam.delete_role, RoleName="node") == ("DeleteConflict", text, 409)
    assert refusal(iam.delete_instance_profile, InstanceProfileName="node") == ("DeleteConflict", text, 409)
    iam.remove_role_from_instance_profile(InstanceProfileName="node", RoleName="node")
    iam.delete_instance_profile(InstanceProfileName="node")
    iam.delete_role(RoleName="node")
    answer = refusal(iam.get_instance_profile, InstanceProfileName="node")
    assert answer == ("NoSuchEntity", "Instance Profile node cannot be found.", 404)


def test_putting_a_role_into_a_profile_is_passing_it(world: World, iam: Any) -> None:
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=pods_trust())
    iam.create_instance_profile(InstanceProfileName="node")
    add = {"InstanceProfileName": "node", "RoleName": "node"}
    own = world.aws("iam", a_role(world, allow("iam:AddRoleToInstanceProfile")))
    assert "iam:PassRole on resource: " in refusal(own.add_role_to_instance_profile, **add)[1]
    passing = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    iam.put_role_policy(RoleName="reader", PolicyName="q", PolicyDocument=document(passing))
    own.add_role_to_instance_profile(**add)


def test_who_uses_a_policy_is_listed_by_kind_and_in_pages(iam: Any) -> None:
    iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))
    for number in range(3):
        iam.create_role(RoleName=f"r{number}", AssumeRolePolicyDocument=pods_trust())
        iam.attach_role_policy(RoleName=f"r{number}", PolicyArn=LIMIT)
    iam.create_group(GroupName="g")
    iam.attach_group_policy(GroupName="g", PolicyArn=LIMIT)
    iam.create_user(UserName="u", PermissionsBoundary=LIMIT)
    pages = list(iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=LIMIT, MaxItems=2))
    assert [one["GroupName"] for page in pages for one in page["PolicyGroups"]] == ["g"]
    assert [one["RoleName"] for page in pages for one in page["PolicyRoles"]] == ["r0", "r1", "r2"]
    assert [one["UserName"] for page in pages for one in page["PolicyUsers"]] == []
    found = iam.list_entities_for_policy(PolicyArn=LIMIT, PolicyUsageFilter="PermissionsBoundary")
    assert [one["UserName"] for one in found["PolicyUsers"]] == ["u"]
    listed = iam.list_policies(PolicyUsageFilter="PermissionsBoundary")["Policies"]
    assert [(one["PolicyName"], one["AttachmentCount"]) for one in listed] == [("limit", 4)]
