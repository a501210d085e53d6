"""Change sets: what they show, and that executing one does it."""

from __future__ import annotations

from typing import Any

import pytest

from unit.local.cloud.cloudformation.templates import POD_ROLE, POLICY, ROLE_OUTPUT, a_role, allowing, irsa, text
from unit.local.cloud.support import World, allow, document, refusal

CAPABLE = {"StackName": "roles", "Capabilities": ["CAPABILITY_IAM"]}


@pytest.fixture
def cfn(world: World) -> Any:
    return world.aws("cloudformation")


def propose(cfn: Any, template: str, name: str = "next", **params: Any) -> Any:
    cfn.create_change_set(ChangeSetName=name, TemplateBody=template, **CAPABLE, **params)
    return cfn.describe_change_set(StackName="roles", ChangeSetName=name)


def status(cfn: Any) -> str:
    found: str = cfn.describe_stacks(StackName="roles")["Stacks"][0]["StackStatus"]
    return found


def test_a_stack_can_begin_as_a_change_set(world: World, cfn: Any) -> None:
    """What ``aws cloudformation deploy`` does for a stack that is not there."""
    proposed = propose(cfn, irsa(), ChangeSetType="CREATE")
    assert (proposed["Status"], proposed["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    actions = [(c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"]) for c in proposed["Changes"]]
    assert actions == [("Add", "Role1"), ("Add", "Policy1")]
    assert status(cfn) == "REVIEW_IN_PROGRESS"
    cfn.execute_change_set(StackName="roles", ChangeSetName="next")
    assert status(cfn) == "CREATE_COMPLETE"
    found = cfn.describe_stacks(StackName="roles")["Stacks"][0]
    assert found["ChangeSetId"] == proposed["ChangeSetId"]
    assert cfn.list_change_sets(StackName="roles")["Summaries"] == []


def test_an_update_is_shown_property_by_property_and_then_done(world: World, cfn: Any) -> None:
    cfn.create_stack(TemplateBody=text({"Role1": POD_ROLE, "Policy1": POLICY}, ROLE_OUTPUT), **CAPABLE)
    changed = {**POLICY, "Properties": {**POLICY["Properties"], "PolicyDocument": allowing("s3:GetObject")}}
    wanted = text({"Role1": a_role(Path="/pods/"), "Policy1": changed, "Role2": POD_ROLE}, ROLE_OUTPUT)
    shown = {c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"] for c in propose(cfn, wanted)["Changes"]}
    assert (shown["Role1"]["Action"], shown["Role1"]["Replacement"]) == ("Modify", "True")
    assert shown["Role1"]["Details"][0]["Target"] == {
        "Attribute": "Properties",
        "Name": "Path",
        "RequiresRecreation": "Always",
    }
    assert (shown["Policy1"]["Action"], shown["Policy1"]["Replacement"]) == ("Modify", "False")
    assert shown["Role2"]["Action"] == "Add"
    assert status(cfn) == "CREATE_COMPLETE", "nothing has been done yet"
    cfn.execute_change_set(StackName="roles", ChangeSetName="next")
    assert status(cfn) == "UPDATE_COMPLETE"
    assert world.aws("iam").list_roles(PathPrefix="/pods/")["Roles"]


def test_a_change_set_without_changes_fails_and_cannot_be_executed(cfn: Any) -> None:
    cfn.create_stack(TemplateBody=irsa(), **CAPABLE)
    proposed = propose(cfn, irsa())
    assert (proposed["Status"], proposed["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert proposed["StatusReason"] == (
        "The submitted information didn't contain changes. Submit different information to create a change set."
    )
    answer = refusal(cfn.execute_change_set, StackName="roles", ChangeSetName="next")
    assert answer[0] == "InvalidChangeSetStatus"
    cfn.delete_change_set(StackName="roles", ChangeSetName="next")
    gone = refusal(cfn.describe_change_set, StackName="roles", ChangeSetName="next")
    assert gone == ("ChangeSetNotFound", "ChangeSet [next] does not exist", 404)


def test_a_change_set_is_found_by_its_arn_and_has_a_name_of_its_own(cfn: Any) -> None:
    cfn.create_stack(TemplateBody=irsa(), **CAPABLE)
    arn = propose(cfn, text({"Role1": POD_ROLE}))["ChangeSetId"]
    assert cfn.describe_change_set(ChangeSetName=arn)["ChangeSetName"] == "next"
    again = refusal(cfn.create_change_set, ChangeSetName="next", TemplateBody=irsa(), **CAPABLE)
    assert again[:2] == ("AlreadyExistsException", "ChangeSet [next] already exists")
    missing = refusal(cfn.create_change_set, ChangeSetName="a", TemplateBody=irsa(), **{**CAPABLE, "StackName": "no"})
    assert missing[1] == "Stack [no] does not exist"
    template = cfn.get_template(StackName="roles", ChangeSetName="next")["TemplateBody"]
    assert set(template["Resources"]) == {"Role1"}


def test_who_proposes_need_not_be_who_executes(world: World, cfn: Any) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    may = ["cloudformation:CreateChangeSet", "cloudformation:Describe*"]
    iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=document(allow(may)))
    theirs = world.aws("cloudformation", iam.create_access_key(UserName="dev")["AccessKey"])
    propose(theirs, irsa(), ChangeSetType="CREATE")
    refused = refusal(theirs.execute_change_set, StackName="roles", ChangeSetName="next")
    assert refused[0] == "AccessDenied"
    assert "cloudformation:ExecuteChangeSet on resource: arn:aws:cloudformation:" in refused[1]
    cfn.execute_change_set(StackName="roles", ChangeSetName="next")
    assert status(cfn) == "CREATE_COMPLETE"


def test_a_stack_in_review_can_be_deleted_and_does_not_disturb_a_restart(world: World, cfn: Any) -> None:
    propose(cfn, irsa(), ChangeSetType="CREATE")
    world.restart()
    world.loop.run(world.cloud.cloudformation.engine.resume())
    again = world.aws("cloudformation")
    assert status(again) == "REVIEW_IN_PROGRESS"
    again.delete_stack(StackName="roles")
    assert again.describe_stacks()["Stacks"] == []
