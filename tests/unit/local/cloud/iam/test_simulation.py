"""The policy simulator through botocore: the engine's decisions in IAM's shapes."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cloud.iam.positions import statement_positions
from unit.local.cloud.support import ACCOUNT, World, a_role, allow, document, pods_trust, refusal

ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
KEY = "arn:aws:s3:::usage/a"
PUT = allow("s3:PutObject", "arn:aws:s3:::usage/*")
# AWS's own published example, with its published positions.
AFTER = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
    '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)


def deny(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


@pytest.fixture
def iam(world: World) -> Any:
    client = world.aws("iam")
    client.create_role(RoleName="billing", AssumeRolePolicyDocument=pods_trust())
    client.put_role_policy(RoleName="billing", PolicyName="put", PolicyDocument=document(PUT))
    client.attach_role_policy(RoleName="billing", PolicyArn=READ_ONLY)
    return client


def simulate(iam: Any, *actions: str, **more: Any) -> list[Any]:
    found: list[Any] = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=list(actions), **more)[
        "EvaluationResults"
    ]
    return found


def custom(iam: Any, *statements: dict[str, Any], action: str = "s3:PutObject", **more: Any) -> Any:
    found = iam.simulate_custom_policy(PolicyInputList=[document(*statements)], ActionNames=[action], **more)
    (result,) = found["EvaluationResults"]
    return result


def test_a_role_is_simulated_with_its_own_policies(iam: Any) -> None:
    put, get, delete = simulate(iam, "s3:PutObject", "s3:GetObject", "s3:DeleteObject", ResourceArns=[KEY])
    assert [one["EvalDecision"] for one in (put, get, delete)] == ["allowed", "allowed", "implicitDeny"]
    (statement,) = put["MatchedStatements"]
    assert (statement["SourcePolicyId"], statement["SourcePolicyType"]) == ("role_billing_put", "IAM Policy")
    assert [one["SourcePolicyId"] for one in get["MatchedStatements"]] == ["AmazonS3ReadOnlyAccess"]
    assert put["ResourceSpecificResults"][0]["EvalResourceDecision"] == "allowed"
    assert delete["MatchedStatements"] == []


def test_the_published_example_has_its_published_answer(iam: Any) -> None:
    entry = {
        "ContextKeyName": "aws:CurrentTime",
        "ContextKeyValues": ["2019-04-25T11:00:00Z"],
        "ContextKeyType": "date",
    }
    asked = {"PolicyInputList": [AFTER], "ActionNames": ["dynamodb:CreateBackup"]}
    (result,) = iam.simulate_custom_policy(**asked, ContextEntries=[entry])["EvaluationResults"]
    (statement,) = result["MatchedStatements"]
    assert (result["EvalActionName"], result["EvalResourceName"]) == ("dynamodb:CreateBackup", "*")
    assert (result["EvalDecision"], statement["SourcePolicyId"]) == ("allowed", "PolicyInputList.1")
    assert statement["StartPosition"] == {"Line": 1, "Column": 38}
    assert statement["EndPosition"] == {"Line": 1, "Column": 167}
    (unsure,) = iam.simulate_custom_policy(**asked)["EvaluationResults"]
    assert (unsure["EvalDecision"], unsure["MissingContextValues"]) == ("implicitDeny", ["aws:CurrentTime"])


def test_statements_of_a_list_stand_at_their_braces() -> None:
    text = '{"Version": "2012-10-17",\n "Statement": [\n    {"Sid": "a}", "x": [1, {}]},\n    {}\n]\n}'
    first, second = statement_positions(text)
    assert first == ({"Line": 3, "Column": 5}, {"Line": 3, "Column": 32})
    assert second == ({"Line": 4, "Column": 5}, {"Line": 4, "Column": 7})
    assert statement_positions('{"Statement":[]}') == []


def test_a_deny_is_the_only_statement_shown(iam: Any) -> None:
    result = custom(iam, PUT, deny("s3:*"), ResourceArns=[KEY])
    assert (result["EvalDecision"], len(result["MatchedStatements"])) == ("explicitDeny", 1)


def test_the_strictest_resource_decides_the_whole(iam: Any) -> None:
    (result,) = simulate(iam, "s3:PutObject", ResourceArns=[KEY, "arn:aws:s3:::other/a"])
    each = [one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]]
    assert (result["EvalDecision"], each) == ("implicitDeny", ["allowed", "implicitDeny"])


@pytest.mark.parametrize(("action", "expected"), [("s3:PutObject", "allowed"), ("s3:GetObject", "implicitDeny")])
def test_a_boundary_says_whether_it_allows(iam: Any, action: str, expected: str) -> None:
    limit = {"PermissionsBoundaryPolicyInputList": [document(allow("s3:Put*"))]}
    result = custom(iam, allow("s3:*"), action=action, **limit)
    within = result["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]
    assert (result["EvalDecision"], within) == (expected, expected == "allowed")


def test_service_control_policies_are_told_by_level(iam: Any) -> None:
    levels = [{"ServiceControlPolicyInputList": [document(allow("*"))]}] * 2
    result = custom(iam, PUT, ResourceArns=[KEY], OrderedOrganizationPolicyInputList=levels)
    assert (result["EvalDecision"], result["OrganizationsDecisionDetail"]) == (
        "allowed",
        {"AllowedByOrganizations": True},
    )
    levels = [*levels, {"ServiceControlPolicyInputList": [document(allow("ec2:*"))]}]
    result = custom(iam, PUT, ResourceArns=[KEY], OrderedOrganizationPolicyInputList=levels)
    assert (result["EvalDecision"], result["OrganizationsDecisionDetail"]) == (
        "implicitDeny",
        {"AllowedByOrganizations": False},
    )


@pytest.mark.parametrize(("granted", "expected"), [(True, "allowed"), (False, "implicitDeny")])
def test_across_accounts_both_sides_must_allow(iam: Any, granted: bool, expected: str) -> None:
    action = "s3:PutObject" if granted else "s3:GetObject"
    caller = f"arn:aws:iam::{ACCOUNT}:user/Bob"
    policy = document({"Effect": "Allow", "Principal": {"AWS": caller}, "Action": action, "Resource": KEY})
    asked = {"ResourceArns": [KEY], "CallerArn": caller, "ResourcePolicy": policy}
    result = custom(iam, PUT, ResourceOwner="arn:aws:iam::444455556666:root", **asked)
    assert result["EvalDecision"] == expected
    assert result["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": expected}


def test_a_list_of_tag_keys_is_multi_valued(iam: Any) -> None:
    allowed = allow("s3:PutObject", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}})
    entry = {"ContextKeyName": "aws:TagKeys", "ContextKeyType": "stringList"}
    assert custom(iam, allowed, ContextEntries=[{**entry, "ContextKeyValues": ["a"]}])["EvalDecision"] == "allowed"
    assert custom(iam, allowed, ContextEntries=[{**entry, "ContextKeyValues": ["c"]}])["EvalDecision"] != "allowed"


def test_a_policy_can_be_left_out_and_another_put_in(iam: Any) -> None:
    inline = {"InlinePolicyIdentifier": {"PolicyName": "put", "AttachmentName": "billing", "AttachmentType": "role"}}
    managed = {"PolicyArn": "arn:aws:iam::aws:policy/AmazonS3*"}
    (put,) = simulate(iam, "s3:PutObject", ResourceArns=[KEY], PolicyExclusionList=[inline])
    (get,) = simulate(iam, "s3:GetObject", ResourceArns=[KEY], PolicyExclusionList=[managed])
    assert (put["EvalDecision"], get["EvalDecision"]) == ("implicitDeny", "implicitDeny")
    (more,) = simulate(iam, "sqs:SendMessage", PolicyInputList=[document(allow("sqs:*"))])
    assert more["EvalDecision"] == "allowed"


def test_results_come_in_pages(iam: Any) -> None:
    asked = {"PolicySourceArn": ROLE, "ActionNames": ["s3:GetObject", "s3:PutObject"], "MaxItems": 1}
    first = iam.simulate_principal_policy(**asked)
    second = iam.simulate_principal_policy(**asked, Marker=first["Marker"])
    assert [page["EvaluationResults"][0]["EvalActionName"] for page in (first, second)] == asked["ActionNames"]
    assert (first["IsTruncated"], second["IsTruncated"]) == (True, False)


def test_context_keys_are_listed(iam: Any) -> None:
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[AFTER])["ContextKeyNames"] == ["aws:CurrentTime"]
    found = iam.get_context_keys_for_principal_policy(PolicySourceArn=ROLE, PolicyInputList=[AFTER])
    assert "aws:CurrentTime" in found["ContextKeyNames"]


def test_policy_variables_are_context_keys(iam: Any) -> None:
    own = "arn:aws:s3:::home/${aws:PrincipalTag/team}/${aws:username}${*}/${saml:sub, 'none'}"
    statement = allow("s3:PutObject", own, Condition={"StringLike": {"s3:prefix": "${aws:SourceIp}"}})
    names = iam.get_context_keys_for_custom_policy(PolicyInputList=[document(statement)])["ContextKeyNames"]
    assert names == ["aws:PrincipalTag/team", "aws:SourceIp", "aws:username", "s3:prefix"]
    caller = f"arn:aws:iam::{ACCOUNT}:user/Bob"
    missing = custom(iam, statement, ResourceArns=[KEY], CallerArn=caller)["ResourceSpecificResults"][0]
    assert missing["MissingContextValues"] == ["aws:PrincipalTag/team", "aws:SourceIp", "s3:prefix"]
    old = document(statement).replace("2012-10-17", "2008-10-17")
    names = iam.get_context_keys_for_custom_policy(PolicyInputList=[old])["ContextKeyNames"]
    assert names == ["s3:prefix"]


def test_missing_keys_stand_with_the_resource_that_lacks_them(iam: Any) -> None:
    dated = allow("s3:PutObject", KEY, Condition={"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}})
    result = custom(iam, dated, ResourceArns=[KEY, "arn:aws:s3:::usage/b"])
    each = [one["MissingContextValues"] for one in result["ResourceSpecificResults"]]
    assert (result["MissingContextValues"], each) == ([], [["aws:CurrentTime"], []])
    told = {"ContextKeyName": "AWS:currenttime", "ContextKeyValues": ["2021-01-01"], "ContextKeyType": "date"}
    result = custom(iam, dated, ResourceArns=[KEY], ContextEntries=[told])
    assert result["EvalDecision"] == "allowed"


def test_an_action_without_resources_is_asked_on_all(iam: Any) -> None:
    named = {"action": "s3:ListAllMyBuckets", "ResourceArns": ["arn:aws:s3:::usage"]}
    assert custom(iam, allow("s3:*", "arn:aws:s3:::usage"), **named)["EvalDecision"] == "implicitDeny"
    assert custom(iam, allow("s3:*"), **named)["EvalDecision"] == "allowed"


def test_another_account_in_an_arn_is_no_question_between_accounts_by_itself(iam: Any) -> None:
    table = "arn:aws:dynamodb:us-west-2:444455556666:table/t"
    asked = {"action": "dynamodb:GetItem", "ResourceArns": [table], "CallerArn": f"arn:aws:iam::{ACCOUNT}:user/Bob"}
    result = custom(iam, allow("dynamodb:*"), **asked)
    assert (result["EvalDecision"], result["EvalDecisionDetails"]) == ("allowed", {})
    told = custom(iam, allow("dynamodb:*"), **asked, ResourceOwner="arn:aws:iam::444455556666:root")
    assert told["EvalDecision"] == "implicitDeny"
    statement = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "dynamodb:*", "Resource": table}
    shared = custom(iam, allow("dynamodb:*"), **asked, ResourcePolicy=document(statement))
    assert shared["EvalDecision"] == "allowed"
    assert shared["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "allowed"}


def test_a_deny_of_the_boundary_is_shown(iam: Any) -> None:
    limit = {"PermissionsBoundaryPolicyInputList": [document(allow("*"), deny("s3:PutObject"))]}
    result = custom(iam, PUT, ResourceArns=[KEY], **limit)
    (statement,) = result["MatchedStatements"]
    assert (result["EvalDecision"], statement["SourcePolicyId"]) == (
        "explicitDeny",
        "PermissionsBoundaryPolicyInputList.1",
    )
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_organisations_are_judged_by_themselves(iam: Any) -> None:
    narrow = [{"ServiceControlPolicyInputList": [document(allow("ec2:*"))]}]
    result = custom(iam, deny("s3:*"), ResourceArns=[KEY], OrderedOrganizationPolicyInputList=narrow)
    assert (result["EvalDecision"], result["OrganizationsDecisionDetail"]) == (
        "explicitDeny",
        {"AllowedByOrganizations": False},
    )


def test_a_user_is_simulated_with_its_groups_and_a_group_by_itself(iam: Any) -> None:
    iam.create_user(UserName="ana")
    iam.create_group(GroupName="writers")
    iam.put_group_policy(GroupName="writers", PolicyName="put", PolicyDocument=document(PUT))
    iam.add_user_to_group(GroupName="writers", UserName="ana")
    for source in ("user/ana", "group/writers"):
        asked = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:{source}", "ActionNames": ["s3:PutObject"]}
        (result,) = iam.simulate_principal_policy(**asked, ResourceArns=[KEY])["EvaluationResults"]
        assert [one["SourcePolicyId"] for one in result["MatchedStatements"]] == ["group_writers_put"]
    inline = {"PolicyName": "put", "AttachmentName": "writers", "AttachmentType": "group"}
    (result,) = iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/ana",
        ActionNames=["s3:PutObject"],
        ResourceArns=[KEY],
        PolicyExclusionList=[{"InlinePolicyIdentifier": inline}],
    )["EvaluationResults"]
    assert result["EvalDecision"] == "implicitDeny"


def test_many_documents_and_actions_are_one_question_each(iam: Any) -> None:
    documents = [document(allow(f"s3:Get{number}", f"arn:aws:s3:::b{number}/*")) for number in range(60)]
    actions = [f"s3:Get{number}" for number in range(60)]
    found: list[Any] = []
    marker: dict[str, str] = {}
    while True:
        page = iam.simulate_custom_policy(
            PolicyInputList=documents, ActionNames=actions, ResourceArns=["arn:aws:s3:::b7/k"], MaxItems=25, **marker
        )
        found += page["EvaluationResults"]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert [one["EvalActionName"] for one in found] == actions
    allowed = [one for one in found if one["EvalDecision"] == "allowed"]
    assert [one["MatchedStatements"][0]["SourcePolicyId"] for one in allowed] == ["PolicyInputList.8"]


def test_trust_is_taken_for_granted(iam: Any) -> None:
    asked = {"action": "sts:AssumeRole", "ResourceArns": [ROLE]}
    assert custom(iam, allow("sts:AssumeRole", ROLE), **asked)["EvalDecision"] == "allowed"
    assert custom(iam, allow("sts:AssumeRole", f"{ROLE}s"), **asked)["EvalDecision"] == "implicitDeny"
    assert custom(iam, allow("sts:*"), deny("sts:AssumeRole"), **asked)["EvalDecision"] == "explicitDeny"


@pytest.mark.parametrize(
    ("kind", "values", "held"),
    [
        ("string", [""], "implicitDeny"),
        ("string", ["a,b&c=d %é/+"], "allowed"),
        ("stringList", [], "implicitDeny"),
        ("stringList", ["x", "a,b&c=d %é/+"], "allowed"),
    ],
)
def test_values_of_context_keys_come_as_they_are(iam: Any, kind: str, values: list[str], held: str) -> None:
    operator = "ForAnyValue:StringEquals" if kind == "stringList" else "StringEquals"
    statement = allow("s3:PutObject", Condition={operator: {"aws:RequestTag/x": "a,b&c=d %é/+"}})
    entry = {"ContextKeyName": "aws:RequestTag/x", "ContextKeyValues": values, "ContextKeyType": kind}
    result = custom(iam, statement, ContextEntries=[entry])
    assert (result["EvalDecision"], result["MissingContextValues"]) == (held, [])


def test_a_megabyte_of_policies_is_simulated(iam: Any) -> None:
    long = [document(allow(f"s3:Get{number}", f"arn:aws:s3:::{'b' * 6000}{number}/*")) for number in range(200)]
    result = iam.simulate_custom_policy(PolicyInputList=long, ActionNames=["s3:Get7"])["EvaluationResults"][0]
    assert result["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/none", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:user/none", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:group/none", "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:policy/none", "InvalidInput"),
    ],
)
def test_only_users_and_roles_that_exist_are_simulated(iam: Any, source: str, code: str) -> None:
    assert refusal(iam.simulate_principal_policy, PolicySourceArn=source, ActionNames=["s3:GetObject"])[0] == code


@pytest.mark.parametrize(
    "wrong",
    [
        {"PolicyInputList": ["{"]},
        {"ActionNames": ["s3:*"]},
        {"ActionNames": ["PutObject"]},
        {"ResourceArns": ["usage/a"]},
        {"ResourcePolicy": document(PUT)},
        {"CallerArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"},
        {"PermissionsBoundaryPolicyInputList": [document(PUT), document(PUT)]},
        {
            "ContextEntries": [
                {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["a", "b"], "ContextKeyType": "string"}
            ]
        },
    ],
)
def test_what_cannot_be_simulated_is_invalid_input(iam: Any, wrong: dict[str, Any]) -> None:
    asked = {"PolicyInputList": [document(PUT)], "ActionNames": ["s3:PutObject"], **wrong}
    code, _, status = refusal(iam.simulate_custom_policy, **asked)
    assert (code, status) == ("InvalidInput", 400)


def test_simulating_needs_a_permission_on_the_principal(world: World, iam: Any) -> None:
    credentials = a_role(world, allow("iam:SimulatePrincipalPolicy", f"arn:aws:iam::{ACCOUNT}:role/reader"))
    other = world.aws("iam", credentials)
    answer = refusal(other.simulate_principal_policy, PolicySourceArn=ROLE, ActionNames=["s3:GetObject"])
    assert answer[0] == "AccessDenied"
    own = f"arn:aws:iam::{ACCOUNT}:role/reader"
    assert other.simulate_principal_policy(PolicySourceArn=own, ActionNames=["s3:GetObject"])["EvaluationResults"]
