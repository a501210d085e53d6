"""Stacks from their creation to their end, through the API."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from unit.local.cloud.cloudformation.templates import (
    POD_ROLE,
    POLICY,
    READ_ONLY,
    ROLE_OUTPUT,
    a_role,
    allowing,
    irsa,
    text,
)
from unit.local.cloud.support import ACCOUNT, World, allow, document, refusal

CAPABLE = ["CAPABILITY_IAM"]


@pytest.fixture
def cfn(world: World) -> Any:
    return world.aws("cloudformation")


def create(cfn: Any, template: str, name: str = "roles", **params: Any) -> str:
    made: str = cfn.create_stack(StackName=name, TemplateBody=template, Capabilities=CAPABLE, **params)["StackId"]
    return made


def stack(cfn: Any, name: str = "roles") -> Any:
    return cfn.describe_stacks(StackName=name)["Stacks"][0]


def told(cfn: Any, name: str = "roles") -> list[tuple[str, str]]:
    """(logical id, status) of every event, oldest first."""
    found = cfn.describe_stack_events(StackName=name)["StackEvents"]
    return [(one["LogicalResourceId"], one["ResourceStatus"]) for one in reversed(found)]


def reason(cfn: Any, status: str, name: str = "roles") -> str:
    """The reason in the last event with that status."""
    found = cfn.describe_stack_events(StackName=name)["StackEvents"]
    return next(one.get("ResourceStatusReason", "") for one in found if one["ResourceStatus"] == status)


def resources(cfn: Any, name: str = "roles") -> dict[str, Any]:
    found = cfn.describe_stack_resources(StackName=name)["StackResources"]
    return {one["LogicalResourceId"]: one for one in found}


def role_names(world: World) -> set[str]:
    """Every role but the node's."""
    return {one["RoleName"] for one in world.aws("iam").list_roles()["Roles"]} - {"keyless-node"}


def a_user(world: World, *statements: dict[str, Any]) -> Any:
    """A CloudFormation client of a user with these permissions."""
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=document(*statements))
    return world.aws("cloudformation", iam.create_access_key(UserName="dev")["AccessKey"])


def test_the_stack_of_an_iam_service_account_is_complete_at_the_first_look(world: World, cfn: Any) -> None:
    stack_id = create(cfn, irsa(), Tags=[{"Key": "alpha.eksctl.io/cluster-name", "Value": "keyless"}])
    found = stack(cfn)
    assert (found["StackId"], found["StackStatus"]) == (stack_id, "CREATE_COMPLETE")
    assert found["Description"] == "IAM role for serviceaccount"
    assert found["Capabilities"] == CAPABLE
    name = resources(cfn)["Role1"]["PhysicalResourceId"]
    assert found["Outputs"] == [{"OutputKey": "Role1", "OutputValue": f"arn:aws:iam::{ACCOUNT}:role/{name}"}]
    iam = world.aws("iam")
    assert name.startswith("roles-Role1-")
    assert iam.get_role(RoleName=name)["Role"]["Tags"] == [{"Key": "alpha.eksctl.io/cluster-name", "Value": "keyless"}]
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"][0]["PolicyArn"] == READ_ONLY
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["roles-Policy1"]


def test_the_events_tell_the_story_in_cloudformation_s_order(cfn: Any) -> None:
    create(cfn, irsa())
    assert told(cfn) == [
        ("roles", "CREATE_IN_PROGRESS"),
        ("Role1", "CREATE_IN_PROGRESS"),
        ("Role1", "CREATE_IN_PROGRESS"),
        ("Role1", "CREATE_COMPLETE"),
        ("Policy1", "CREATE_IN_PROGRESS"),
        ("Policy1", "CREATE_IN_PROGRESS"),
        ("Policy1", "CREATE_COMPLETE"),
        ("roles", "CREATE_COMPLETE"),
    ]
    assert reason(cfn, "CREATE_IN_PROGRESS") == "Resource creation Initiated"


def test_a_name_is_taken_until_its_stack_is_gone(cfn: Any) -> None:
    stack_id = create(cfn, irsa())
    taken = refusal(cfn.create_stack, StackName="roles", TemplateBody=irsa(), Capabilities=CAPABLE)
    assert taken == ("AlreadyExistsException", "Stack [roles] already exists", 400)
    cfn.delete_stack(StackName="roles")
    code, message, status = refusal(cfn.describe_stacks, StackName="roles")
    assert (code, message, status) == ("ValidationError", "Stack with id roles does not exist", 400)
    assert stack(cfn, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert create(cfn, irsa()) != stack_id


def test_deleting_a_stack_takes_its_resources_with_it_in_reverse(world: World, cfn: Any) -> None:
    stack_id = create(cfn, irsa())
    name = resources(cfn)["Role1"]["PhysicalResourceId"]
    cfn.delete_stack(StackName="roles")
    assert refusal(world.aws("iam").get_role, RoleName=name)[0] == "NoSuchEntity"
    assert [one for one in told(cfn, stack_id) if one[1].startswith("DELETE")] == [
        ("roles", "DELETE_IN_PROGRESS"),
        ("Policy1", "DELETE_IN_PROGRESS"),
        ("Policy1", "DELETE_COMPLETE"),
        ("Role1", "DELETE_IN_PROGRESS"),
        ("Role1", "DELETE_COMPLETE"),
        ("roles", "DELETE_COMPLETE"),
    ]


def test_deleting_a_stack_that_is_not_there_is_no_error(cfn: Any) -> None:
    assert cfn.delete_stack(StackName="nothing")["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("given", "named", "needed"),
    [([], False, "CAPABILITY_IAM"), (["CAPABILITY_IAM"], True, "CAPABILITY_NAMED_IAM")],
)
def test_iam_resources_must_be_acknowledged(cfn: Any, given: list[str], named: bool, needed: str) -> None:
    template = text({"Role1": a_role(**({"RoleName": "mine"} if named else {}))})
    answer = refusal(cfn.create_stack, StackName="roles", TemplateBody=template, Capabilities=given)
    assert answer == ("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]", 400)


def test_a_named_role_bears_its_name(world: World, cfn: Any) -> None:
    template = text({"Role1": a_role(RoleName="mine", MaxSessionDuration=7200, Path="/pods/")}, ROLE_OUTPUT)
    cfn.create_stack(StackName="roles", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack(cfn)["Outputs"][0]["OutputValue"] == f"arn:aws:iam::{ACCOUNT}:role/pods/mine"
    assert world.aws("iam").get_role(RoleName="mine")["Role"]["MaxSessionDuration"] == 7200


def test_an_unknown_type_is_named_before_anything_is_made(world: World, cfn: Any) -> None:
    template = text({"Role1": POD_ROLE, "Queue": {"Type": "AWS::SQS::Queue"}})
    answer = refusal(cfn.create_stack, StackName="roles", TemplateBody=template, Capabilities=CAPABLE)
    expected = "Template format error: Unrecognized resource types: [AWS::SQS::Queue]"
    assert answer == ("ValidationError", expected, 400)
    assert role_names(world) == set()


def test_the_work_is_done_as_the_caller_and_a_refusal_rolls_it_back(world: World) -> None:
    may = ("cloudformation:*", "iam:CreateRole", "iam:GetRole", "iam:DeleteRole")
    theirs = a_user(world, allow(list(may)))
    create(theirs, irsa())
    found = stack(theirs)
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason(theirs, "ROLLBACK_IN_PROGRESS") == (
        "The following resource(s) failed to create: [Role1]. Rollback requested by user."
    )
    why = reason(theirs, "CREATE_FAILED")
    assert why.startswith(
        f'Resource handler returned message: "User: arn:aws:iam::{ACCOUNT}:user/dev is not authorized to perform:'
        " iam:AttachRolePolicy on resource: "
    )
    assert why.endswith("HandlerErrorCode: AccessDenied)")
    assert role_names(world) == set()


def test_the_audit_shows_the_calls_made_for_the_caller_also_those_of_work_undone(world: World) -> None:
    theirs = a_user(world, allow(["cloudformation:*", "iam:CreateRole"]))
    create(theirs, irsa())
    lines = [line for line in world.audit() if line["sourceIp"] == "cloudformation.amazonaws.com"]
    assert [(line["operation"], line["code"]) for line in lines] == [
        ("CreateRole", "Success"),
        ("AttachRolePolicy", "AccessDenied"),
    ]
    assert {line["caller"]["arn"] for line in lines} == {f"arn:aws:iam::{ACCOUNT}:user/dev"}


def test_a_policy_can_demand_that_cloudformation_makes_the_call(world: World) -> None:
    by_stack = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
    theirs = a_user(world, allow("cloudformation:*"), allow("iam:*", Condition=by_stack))
    create(theirs, irsa())
    assert stack(theirs)["StackStatus"] == "CREATE_COMPLETE"
    key = world.aws("iam").create_access_key(UserName="dev")["AccessKey"]
    direct = refusal(world.aws("iam", key).list_roles)
    assert direct[0] == "AccessDenied"


def test_a_service_role_does_the_work_of_callers_who_may_pass_it(world: World) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = world.aws("iam")
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=document(allow("iam:*")))
    theirs = a_user(world, allow("cloudformation:*"))
    code, message, _ = refusal(
        theirs.create_stack, StackName="roles", TemplateBody=irsa(), Capabilities=CAPABLE, RoleARN=role
    )
    assert code == "AccessDenied"
    assert f"iam:PassRole on resource: {role}" in message
    passing = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    iam.put_user_policy(
        UserName="dev", PolicyName="q", PolicyDocument=document(allow("iam:PassRole", role, Condition=passing))
    )
    create(theirs, irsa(), RoleARN=role)
    assert (stack(theirs)["StackStatus"], stack(theirs)["RoleARN"]) == ("CREATE_COMPLETE", role)
    makers = {line["caller"]["arn"] for line in world.audit() if line["operation"] == "PutRolePolicy"}
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/AWSCloudFormation" in makers


def test_a_service_role_that_does_not_trust_cloudformation_is_refused(world: World, cfn: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = world.aws("iam").create_role(RoleName="other", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    with pytest.raises(ClientError, match=f"Role {role} is invalid or cannot be assumed"):
        create(cfn, irsa(), RoleARN=role)


def test_who_may_not_create_stacks_is_told_the_stack(world: World) -> None:
    theirs = a_user(world, allow("iam:*"))
    code, message, status = refusal(theirs.create_stack, StackName="roles", TemplateBody=irsa(), Capabilities=CAPABLE)
    assert (code, status) == ("AccessDenied", 403)
    assert f"arn:aws:cloudformation:us-west-2:{ACCOUNT}:stack/roles/*" in message


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({"DisableRollback": True}, "CREATE_FAILED"),
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED"),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE"),
        ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE"),
    ],
)
def test_the_author_says_what_a_failure_leaves(world: World, options: dict[str, Any], ends: str) -> None:
    theirs = a_user(world, allow(["cloudformation:*", "iam:CreateRole", "iam:DeleteRole"]))
    stack_id = create(
        theirs,
        text(
            {
                "First": POD_ROLE,
                "Policy1": {**POLICY, "Properties": {**POLICY["Properties"], "Roles": [{"Ref": "First"}]}},
            }
        ),
        **options,
    )
    assert stack(theirs, stack_id)["StackStatus"] == ends
    assert bool(role_names(world)) == (ends == "CREATE_FAILED")


def test_on_failure_and_disable_rollback_exclude_each_other(cfn: Any) -> None:
    with pytest.raises(ClientError, match="You may specify either OnFailure or DisableRollback, but not both"):
        create(cfn, irsa(), OnFailure="DELETE", DisableRollback=True)


def test_an_update_changes_what_differs_and_nothing_else(world: World, cfn: Any) -> None:
    create(cfn, irsa())
    name = resources(cfn)["Role1"]["PhysicalResourceId"]
    policy = {**POLICY, "Properties": {**POLICY["Properties"], "PolicyDocument": allowing("s3:GetObject")}}
    role = a_role(Description="for pods", Policies=[{"PolicyName": "own", "PolicyDocument": allowing("s3:ListBucket")}])
    cfn.update_stack(
        StackName="roles", TemplateBody=text({"Role1": role, "Policy1": policy}, ROLE_OUTPUT), Capabilities=CAPABLE
    )
    assert stack(cfn)["StackStatus"] == "UPDATE_COMPLETE"
    assert resources(cfn)["Role1"]["PhysicalResourceId"] == name
    iam = world.aws("iam")
    found = iam.get_role(RoleName=name)["Role"]
    assert found["Description"] == "for pods"
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["own", "roles-Policy1"]
    stored = iam.get_role_policy(RoleName=name, PolicyName="roles-Policy1")["PolicyDocument"]
    assert stored["Statement"][0]["Action"] == ["s3:GetObject"]


def test_an_update_that_changes_nothing_is_refused(cfn: Any) -> None:
    create(cfn, irsa())
    answer = refusal(cfn.update_stack, StackName="roles", TemplateBody=irsa(), Capabilities=CAPABLE)
    assert answer == ("ValidationError", "No updates are to be performed.", 400)
    missing = refusal(cfn.update_stack, StackName="none", TemplateBody=irsa(), Capabilities=CAPABLE)
    assert missing == ("ValidationError", "Stack [none] does not exist", 400)


def test_an_update_may_be_of_tags_or_outputs_alone(world: World, cfn: Any) -> None:
    create(cfn, irsa())
    cfn.update_stack(
        StackName="roles", TemplateBody=irsa(), Capabilities=CAPABLE, Tags=[{"Key": "team", "Value": "blue"}]
    )
    name = resources(cfn)["Role1"]["PhysicalResourceId"]
    assert world.aws("iam").list_role_tags(RoleName=name)["Tags"] == [{"Key": "team", "Value": "blue"}]
    more = irsa().replace('"Outputs":{', '"Outputs":{"Name":{"Value":{"Ref":"Role1"}},')
    cfn.update_stack(StackName="roles", TemplateBody=more, Capabilities=CAPABLE)
    assert {"OutputKey": "Name", "OutputValue": name} in stack(cfn)["Outputs"]
    assert world.aws("iam").list_role_tags(RoleName=name)["Tags"] == [{"Key": "team", "Value": "blue"}]


def test_a_change_that_cannot_be_made_in_place_makes_a_new_resource_first(world: World, cfn: Any) -> None:
    create(cfn, text({"Role1": POD_ROLE, "Policy1": POLICY}, ROLE_OUTPUT))
    before = resources(cfn)["Role1"]["PhysicalResourceId"]
    cfn.update_stack(
        StackName="roles",
        TemplateBody=text({"Role1": a_role(Path="/pods/"), "Policy1": POLICY}, ROLE_OUTPUT),
        Capabilities=CAPABLE,
    )
    after = resources(cfn)["Role1"]["PhysicalResourceId"]
    assert after != before
    assert stack(cfn)["Outputs"][0]["OutputValue"].endswith(f":role/pods/{after}")
    iam = world.aws("iam")
    assert refusal(iam.get_role, RoleName=before)[0] == "NoSuchEntity"
    assert iam.list_role_policies(RoleName=after)["PolicyNames"] == ["roles-Policy1"]
    assert told(cfn)[-4:] == [
        ("roles", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("Role1", "DELETE_IN_PROGRESS"),
        ("Role1", "DELETE_COMPLETE"),
        ("roles", "UPDATE_COMPLETE"),
    ]


def test_a_resource_with_a_name_of_the_author_s_is_not_replaced_under_it(cfn: Any) -> None:
    named = {"StackName": "roles", "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    cfn.create_stack(TemplateBody=text({"Role1": a_role(RoleName="mine")}), **named)
    cfn.update_stack(TemplateBody=text({"Role1": a_role(RoleName="mine", Path="/pods/")}), **named)
    assert stack(cfn)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert reason(cfn, "UPDATE_FAILED") == (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename mine and update"
        " the stack again."
    )


def test_a_failed_update_goes_back_to_what_was(world: World) -> None:
    theirs = a_user(
        world,
        allow(["cloudformation:*", "iam:*"]),
        {"Effect": "Deny", "Action": "iam:AttachRolePolicy", "Resource": "*"},
    )
    create(theirs, text({"Role1": POD_ROLE}, ROLE_OUTPUT))
    name = resources(theirs)["Role1"]["PhysicalResourceId"]
    changed = text(
        {
            "Role1": a_role(Path="/pods/"),
            "Role2": a_role(ManagedPolicyArns=[READ_ONLY]),
        },
        ROLE_OUTPUT,
    )
    theirs.update_stack(StackName="roles", TemplateBody=changed, Capabilities=CAPABLE)
    assert stack(theirs)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert reason(theirs, "UPDATE_ROLLBACK_IN_PROGRESS") == "The following resource(s) failed to create: [Role2]."
    assert role_names(world) == {name}
    assert stack(theirs)["Outputs"][0]["OutputValue"].endswith(f":role/{name}")
    theirs.update_stack(StackName="roles", TemplateBody=text({"Role1": a_role(Description="x")}), Capabilities=CAPABLE)
    assert stack(theirs)["StackStatus"] == "UPDATE_COMPLETE"


def test_a_resource_that_leaves_the_template_is_removed(world: World, cfn: Any) -> None:
    create(cfn, irsa())
    name = resources(cfn)["Role1"]["PhysicalResourceId"]
    only_role = text({"Role1": POD_ROLE}, ROLE_OUTPUT)
    cfn.update_stack(StackName="roles", TemplateBody=only_role, Capabilities=CAPABLE)
    assert set(resources(cfn)) == {"Role1"}
    assert world.aws("iam").list_role_policies(RoleName=name)["PolicyNames"] == []


def test_a_role_with_a_foreign_policy_keeps_its_stack_from_going(world: World, cfn: Any) -> None:
    stack_id = create(cfn, text({"Role1": POD_ROLE}))
    iam, name = world.aws("iam"), resources(cfn)["Role1"]["PhysicalResourceId"]
    iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    cfn.delete_stack(StackName="roles")
    assert stack(cfn)["StackStatus"] == "DELETE_FAILED"
    assert stack(cfn)["StackStatusReason"] == "The following resource(s) failed to delete: [Role1]."
    assert "must detach all policies first" in resources(cfn)["Role1"]["ResourceStatusReason"]
    iam.detach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    cfn.delete_stack(StackName="roles")
    assert stack(cfn, stack_id)["StackStatus"] == "DELETE_COMPLETE"


def test_what_could_not_be_deleted_may_be_left_behind(world: World, cfn: Any) -> None:
    stack_id = create(cfn, text({"Role1": POD_ROLE}))
    iam, name = world.aws("iam"), resources(cfn)["Role1"]["PhysicalResourceId"]
    assert (
        "only when the stack is in the DELETE_FAILED state"
        in refusal(cfn.delete_stack, StackName="roles", RetainResources=["Role1"])[1]
    )
    iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    cfn.delete_stack(StackName="roles")
    cfn.delete_stack(StackName="roles", RetainResources=["Role1"])
    assert stack(cfn, stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert iam.get_role(RoleName=name)


def test_a_retained_resource_outlives_its_stack(world: World, cfn: Any) -> None:
    stack_id = create(cfn, text({"Role1": {**POD_ROLE, "DeletionPolicy": "Retain"}}))
    name = resources(cfn)["Role1"]["PhysicalResourceId"]
    cfn.delete_stack(StackName="roles")
    assert world.aws("iam").get_role(RoleName=name)
    assert ("Role1", "DELETE_SKIPPED") in told(cfn, stack_id)


def test_a_protected_stack_is_not_deleted(cfn: Any) -> None:
    create(cfn, irsa(), EnableTerminationProtection=True)
    text_ = "Stack [roles] cannot be deleted while TerminationProtection is enabled"
    assert refusal(cfn.delete_stack, StackName="roles") == ("ValidationError", text_, 400)
    cfn.update_termination_protection(StackName="roles", EnableTerminationProtection=False)
    assert stack(cfn)["EnableTerminationProtection"] is False
    cfn.delete_stack(StackName="roles")
    assert cfn.describe_stacks()["Stacks"] == []


def test_stacks_are_listed_by_status(cfn: Any) -> None:
    create(cfn, irsa(), name="one")
    create(cfn, irsa(), name="two")
    cfn.delete_stack(StackName="one")
    listed = cfn.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]
    assert [one["StackName"] for one in listed] == ["two"]
    every = {(one["StackName"], one["StackStatus"]) for one in cfn.list_stacks()["StackSummaries"]}
    assert every == {("one", "DELETE_COMPLETE"), ("two", "CREATE_COMPLETE")}


def test_a_stack_s_parts_can_be_read_one_by_one(cfn: Any) -> None:
    create(cfn, irsa())
    one = cfn.describe_stack_resource(StackName="roles", LogicalResourceId="Role1")["StackResourceDetail"]
    assert (one["ResourceType"], one["ResourceStatus"]) == ("AWS::IAM::Role", "CREATE_COMPLETE")
    listed = cfn.list_stack_resources(StackName="roles")["StackResourceSummaries"]
    assert [one["LogicalResourceId"] for one in listed] == ["Role1", "Policy1"]
    by_id = cfn.describe_stack_resources(PhysicalResourceId=one["PhysicalResourceId"])["StackResources"]
    assert {found["StackName"] for found in by_id} == {"roles"}
    missing = refusal(cfn.describe_stack_resource, StackName="roles", LogicalResourceId="Role9")
    assert missing[1] == "Resource Role9 does not exist for stack roles"
    assert cfn.get_template(StackName="roles")["TemplateBody"]["Resources"].keys() == {"Role1", "Policy1"}


def test_a_template_can_be_asked_what_it_needs(cfn: Any) -> None:
    template = irsa(Parameters={"Name": {"Type": "String", "Default": "x", "NoEcho": True}})
    summary = cfn.get_template_summary(TemplateBody=template)
    assert summary["ResourceTypes"] == ["AWS::IAM::Role", "AWS::IAM::Policy"]
    assert (summary["Capabilities"], summary["Version"]) == (["CAPABILITY_IAM"], "2010-09-09")
    validated = cfn.validate_template(TemplateBody=template)["Parameters"]
    assert validated == [{"ParameterKey": "Name", "DefaultValue": "x", "NoEcho": True}]


def test_an_association_and_its_role_come_in_one_stack(world: World, cfn: Any) -> None:
    association = {
        "Type": "AWS::EKS::PodIdentityAssociation",
        "Properties": {
            "ClusterName": "keyless",
            "Namespace": "default",
            "ServiceAccount": "reader",
            "RoleArn": {"Fn::GetAtt": ["Role1", "Arn"]},
        },
    }
    create(cfn, text({"Link": association, "Role1": POD_ROLE}, {"Id": {"Value": {"Fn::GetAtt": "Link.AssociationId"}}}))
    eks = world.aws("eks")
    (found,) = eks.list_pod_identity_associations(clusterName="keyless")["associations"]
    assert stack(cfn)["Outputs"] == [{"OutputKey": "Id", "OutputValue": found["associationId"]}]
    assert resources(cfn)["Link"]["PhysicalResourceId"] == found["associationArn"]
    cfn.delete_stack(StackName="roles")
    assert eks.list_pod_identity_associations(clusterName="keyless")["associations"] == []


def test_a_managed_policy_changes_by_versions_and_a_bucket_is_made_in_the_region(world: World, cfn: Any) -> None:
    def template(action: str) -> str:
        policy = {"PolicyDocument": allowing(action), "Roles": [{"Ref": "Role1"}]}
        bucket = {"VersioningConfiguration": {"Status": "Enabled"}, "Tags": [{"Key": "a", "Value": "b"}]}
        return text(
            {
                "Policy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": policy},
                "Bucket": {"Type": "AWS::S3::Bucket", "Properties": bucket},
                "Role1": POD_ROLE,
            }
        )

    create(cfn, template("s3:GetObject"))
    iam, s3 = world.aws("iam"), world.aws("s3")
    arn, bucket = (resources(cfn)[name]["PhysicalResourceId"] for name in ("Policy", "Bucket"))
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    cfn.update_stack(StackName="roles", TemplateBody=template("s3:PutObject"), Capabilities=CAPABLE)
    (version,) = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert version["VersionId"] == "v2"
    cfn.delete_stack(StackName="roles")
    assert refusal(iam.get_policy, PolicyArn=arn)[0] == "NoSuchEntity"
    assert s3.list_buckets()["Buckets"] == []


def test_a_provider_is_kept_at_what_the_template_says(world: World, cfn: Any) -> None:
    def template(*clients: str) -> str:
        properties = {"Url": "https://token.example.com", "ClientIdList": list(clients)}
        return text({"Oidc": {"Type": "AWS::IAM::OIDCProvider", "Properties": properties}})

    create(cfn, template("one"))
    cfn.update_stack(StackName="roles", TemplateBody=template("two", "three"))
    arn = resources(cfn)["Oidc"]["PhysicalResourceId"]
    found = world.aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert found["ClientIDList"] == ["two", "three"]


def test_a_property_that_is_missing_or_unknown_fails_the_resource(cfn: Any) -> None:
    create(cfn, text({"Role1": {"Type": "AWS::IAM::Role", "Properties": {"Colour": "red"}}}))
    assert stack(cfn)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason(cfn, "CREATE_FAILED") == (
        "Properties validation failed for resource Role1 with message:\n"
        "#: required key [AssumeRolePolicyDocument] not found\n#: extraneous key [Colour] is not permitted"
    )
    answer = refusal(cfn.update_stack, StackName="roles", TemplateBody=irsa(), Capabilities=CAPABLE)
    assert answer[1].endswith("is in ROLLBACK_COMPLETE state and can not be updated.")


@pytest.mark.parametrize("name", ["1st", "a_b", "a" * 129, "ä"])
def test_a_stack_s_name_must_be_one(cfn: Any, name: str) -> None:
    code, message, _ = refusal(cfn.create_stack, StackName=name, TemplateBody=irsa(), Capabilities=CAPABLE)
    assert code == "ValidationError"
    assert message.startswith(f"1 validation error detected: Value '{name}' at 'stackName' failed")


def test_a_failed_update_that_was_kept_can_be_mended_by_the_next(world: World) -> None:
    theirs = a_user(
        world,
        allow(["cloudformation:*", "iam:*"]),
        {"Effect": "Deny", "Action": "iam:AttachRolePolicy", "Resource": "*"},
    )
    create(theirs, text({"Role1": POD_ROLE}))
    broken = text({"Role1": POD_ROLE, "Role2": a_role(ManagedPolicyArns=[READ_ONLY])})
    theirs.update_stack(StackName="roles", TemplateBody=broken, Capabilities=CAPABLE, DisableRollback=True)
    assert stack(theirs)["StackStatus"] == "UPDATE_FAILED"
    theirs.update_stack(
        StackName="roles", TemplateBody=text({"Role1": POD_ROLE, "Role2": POD_ROLE}), Capabilities=CAPABLE
    )
    assert stack(theirs)["StackStatus"] == "UPDATE_COMPLETE"
    assert {one["ResourceStatus"] for one in resources(theirs).values()} == {"CREATE_COMPLETE"}


def test_a_service_role_may_be_limited_to_stacks_of_the_account(world: World, cfn: Any) -> None:
    def trusting(account: str) -> str:
        condition = {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:cloudformation:*:{account}:stack/roles/*"},
        }
        service = {"Service": "cloudformation.amazonaws.com"}
        return document({"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole", "Condition": condition})

    iam = world.aws("iam")
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=trusting("999999999999"))["Role"]["Arn"]
    iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=document(allow("iam:*")))
    with pytest.raises(ClientError, match="cannot be assumed"):
        create(cfn, irsa(), RoleARN=role)
    iam.update_assume_role_policy(RoleName="deployer", PolicyDocument=trusting(ACCOUNT))
    create(cfn, irsa(), RoleARN=role)
    assert stack(cfn)["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    "properties",
    [
        {"ManagedPolicyArns": 5},
        {"Policies": ["x"]},
        {"Tags": {"team": "blue"}},
        {"Tags": [{"Key": "team"}]},
        {"MaxSessionDuration": "long"},
        {"RoleName": ["a"]},
        {"Description": {"a": "b"}},
    ],
)
def test_a_property_of_another_shape_fails_its_resource_and_nothing_stays(
    world: World, cfn: Any, properties: dict[str, Any]
) -> None:
    template = text({"Role1": a_role(**properties)})
    cfn.create_stack(StackName="roles", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack(cfn)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason(cfn, "CREATE_FAILED")
    assert role_names(world) == set()


def test_an_output_that_is_no_text_is_left_away(cfn: Any) -> None:
    outputs = {"Names": {"Value": {"Ref": "Names"}}, "Name": {"Value": {"Ref": "Role1"}}}
    parameters = {"Names": {"Type": "CommaDelimitedList", "Default": "a,b"}}
    create(cfn, text({"Role1": POD_ROLE}, outputs, Parameters=parameters))
    assert [one["OutputKey"] for one in stack(cfn)["Outputs"]] == ["Name"]
