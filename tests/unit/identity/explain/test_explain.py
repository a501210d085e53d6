"""The answer to one question, from facts to words: an API server in memory, and AWS by its answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from keyless.api import Reason
from keyless.aws import Session
from keyless.identity.explain import Answer, Evidence, Question, Verdict, explain, gather, render_json, render_text
from keyless.identity.verify import Sources, State
from keyless.identity.verify.model import ANNOTATION, Missing
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import SERVICEACCOUNTS
from keyless.policy import ContextValue, Outcome
from unit.identity.verify.chains import ACCOUNT, ISSUER, NAMESPACE, ROLE, web
from unit.identity.verify.test_gather import ALLOW, POLICY, healthy

NOW = 1_790_000_000.0
KEY = "arn:aws:s3:::usage/a"
PLAIN = {"GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError"}
POD_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}


def policies(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}


async def ask(changes: dict[str, Any] | None = None, **question: Any) -> Answer:
    return explain(await evidence(changes, **question))


async def evidence(
    changes: dict[str, Any] | None = None,
    *,
    action: str = "s3:PutObject",
    resource: str = KEY,
    annotation: str | None = ROLE,
    context: dict[str, ContextValue] | None = None,
) -> Evidence:
    kube = MemoryKube()
    kube.texts["/.well-known/openid-configuration"] = ""
    if annotation is not None:
        annotations = {ANNOTATION: annotation} if annotation else {}
        metadata = {"name": "vector", "namespace": NAMESPACE, "annotations": annotations}
        kube.put(SERVICEACCOUNTS, {"metadata": metadata})
    described = {"cluster": {"identity": {"oidc": {"issuer": ISSUER}}}}
    aws = healthy(**{"DescribeCluster": described, "GetBucketPolicy": "NoSuchBucketPolicy", **PLAIN, **(changes or {})})
    question = Question(NAMESPACE, "vector", action, resource, context or {})
    sources = Sources(kube, cast("Session", aws), "keyless")
    gathered = await gather(sources, question, NOW)
    assert all(call.startswith(("Get", "List", "Describe", "Head")) for call in aws.calls)
    return gathered


async def test_what_trust_and_policy_allow_is_allowed_by_a_named_statement() -> None:
    answer = await ask()
    assert answer.verdict is Verdict.ALLOWED
    assert [link.state for link in answer.links] == [State.HELD] * 4
    assert "statement 0 of inline policy billing (identity-based policy) allows it" in render_text(answer)


async def test_an_action_that_no_policy_allows_is_denied_with_the_near_miss() -> None:
    answer = await ask(action="s3:GetObject")
    assert answer.verdict is Verdict.DENIED
    assert "statement 0 of inline policy billing: its Action does not match" in render_text(answer)


async def test_a_condition_shows_operator_expected_and_actual_value() -> None:
    statement = {**ALLOW, "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}}
    answer = await ask({"GetRolePolicy": policies(statement)})
    assert answer.verdict is Verdict.DENIED
    assert 'StringEquals aws:RequestedRegion: expected "eu-central-1", found "us-west-2"' in render_text(answer)
    (trace,) = cast("list[dict[str, Any]]", render_json(answer)["trace"])
    assert trace["conditions"] == [
        {
            "operator": "StringEquals",
            "key": "aws:RequestedRegion",
            "expected": ["eu-central-1"],
            "actual": "us-west-2",
            "holds": False,
        }
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ListAttachedRolePolicies": "AccessDenied"}, "attached policies: not readable: the caller lacks"),
        ({"GetBucketPolicy": "AccessDenied"}, f"policy of {KEY}: not readable: the caller lacks s3:GetBucketPolicy"),
    ],
)
async def test_what_could_not_be_read_is_named_and_leaves_it_unknown(changes: dict[str, Any], named: str) -> None:
    answer = await ask(changes)
    assert answer.verdict is Verdict.UNKNOWN
    assert any(unread.startswith(named) for unread in answer.unread)
    assert named in render_text(answer)


async def test_policies_of_a_service_that_nothing_reads_leave_it_unknown() -> None:
    queue = "arn:aws:sqs:us-west-2:111122223333:jobs"
    allow = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    answer = await ask({"GetRolePolicy": policies(allow)}, action="sqs:SendMessage", resource=queue)
    assert (answer.verdict, answer.unread) == (
        Verdict.UNKNOWN,
        (f"policy of {queue}: policies of sqs resources are not read",),
    )


async def test_a_deny_that_was_read_is_certain_whatever_was_not() -> None:
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    answer = await ask({"ListAttachedRolePolicies": "AccessDenied", "GetRolePolicy": policies(ALLOW, deny)})
    assert answer.verdict is Verdict.DENIED
    assert answer.decision is not None
    assert answer.decision.outcome is Outcome.EXPLICIT_DENY


async def test_the_policy_of_the_bucket_counts() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::usage/*"}
    bucket = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [deny]})}
    answer = await ask({"GetBucketPolicy": bucket})
    assert answer.verdict is Verdict.DENIED
    assert f"policy of {KEY} (resource-based policy) denies it" in render_text(answer)


async def test_a_broken_trust_denies_although_the_policies_would_allow() -> None:
    role = {
        "RoleName": "billing",
        "Arn": ROLE,
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [web("system:serviceaccount:other:vector")]},
    }
    answer = await ask({"GetRole": {"Role": role}})
    assert answer.verdict is Verdict.DENIED
    assert answer.decision is not None
    assert answer.decision.allowed
    assert [link.name for link in answer.links if link.state is State.BROKEN] == ["trust"]


async def test_a_role_that_cannot_be_read_leaves_it_unknown() -> None:
    answer = await ask({"GetRole": "AccessDenied"})
    assert (answer.verdict, answer.decision) == (Verdict.UNKNOWN, None)
    assert "the caller lacks iam:GetRole" in render_text(answer)


@pytest.mark.parametrize(
    ("annotation", "reason"), [("", Reason.ROLE_NOT_NAMED), (None, Reason.SERVICE_ACCOUNT_MISSING)]
)
async def test_without_a_role_everything_is_denied(annotation: str | None, reason: Reason) -> None:
    answer = await ask(annotation=annotation)
    assert (answer.verdict, answer.links[0].reason) == (Verdict.DENIED, reason)


async def test_associations_that_cannot_be_read_might_win_over_the_annotation() -> None:
    answer = await ask({"ListPodIdentityAssociations": "AccessDeniedException"})
    assert answer.verdict is Verdict.UNKNOWN


async def test_an_association_brings_its_session_tags_and_the_role_its_own() -> None:
    listed = {"associationId": "a-1", "namespace": NAMESPACE, "serviceAccount": "vector", "roleArn": ROLE}
    tags = {"aws:PrincipalTag/kubernetes-namespace": NAMESPACE, "aws:PrincipalTag/team": "blue"}
    role = {
        "RoleName": "billing",
        "Arn": ROLE,
        "AssumeRolePolicyDocument": POD_TRUST,
        "Tags": [{"Key": "team", "Value": "blue"}],
    }
    answer = await ask(
        {
            "ListPodIdentityAssociations": {"associations": [listed]},
            "DescribePodIdentityAssociation": {"association": listed},
            "DescribeAddon": {"addon": {"status": "ACTIVE"}},
            "GetRole": {"Role": role},
            "GetRolePolicy": policies({**ALLOW, "Condition": {"StringEquals": tags}}),
        }
    )
    assert (answer.verdict, answer.way) == (Verdict.ALLOWED, "pod-identity")


@pytest.mark.parametrize(
    ("told", "verdict"), [({}, Verdict.UNKNOWN), ("10.1.2.3", Verdict.ALLOWED), ("192.0.2.1", Verdict.DENIED)]
)
@pytest.mark.parametrize("deny", [False, True])
async def test_an_answer_that_hangs_on_the_call_asks_for_the_key(told: Any, verdict: Verdict, deny: bool) -> None:
    here = {"aws:SourceIp": "10.0.0.0/8"}
    if deny:
        statements = [ALLOW, {**ALLOW, "Effect": "Deny", "Condition": {"NotIpAddress": here}}]
    else:
        statements = [{**ALLOW, "Condition": {"IpAddress": here}}]
    context: dict[str, ContextValue] = {"aws:SourceIp": told} if told else {}
    answer = await ask({"GetRolePolicy": policies(*statements)}, context=context)
    assert answer.verdict is verdict
    assert answer.untold == (() if told else ("aws:SourceIp",))
    assert ("--context 'aws:SourceIp=VALUE'" in render_text(answer)) is (not told)


async def test_a_certain_answer_does_not_hang_on_keys_of_statements_that_change_nothing() -> None:
    here = {"aws:SourceIp": "10.0.0.0/8"}
    elsewhere = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::other/*"}
    allow_there = {**ALLOW, "Condition": {"IpAddress": here}}
    answer = await ask({"GetRolePolicy": policies(ALLOW, allow_there, {**elsewhere, "Condition": {"IpAddress": here}})})
    assert (answer.verdict, answer.untold) == (Verdict.ALLOWED, ())


async def test_the_trust_policy_of_another_role_is_the_policy_of_that_resource() -> None:
    other = ROLE.replace("billing", "other")
    trust = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"}
    documents = {"billing": POLICY, "other": {"Version": "2012-10-17", "Statement": [trust]}}
    own = healthy().answers["GetRole"]["Role"]

    def role(params: dict[str, Any]) -> dict[str, Any]:
        if params["RoleName"] == "billing":
            return {"Role": own}
        return {"Role": {"RoleName": "other", "Arn": other, "AssumeRolePolicyDocument": documents["other"]}}

    answer = await ask({"GetRole": role}, action="sts:AssumeRole", resource=other)
    assert answer.verdict is Verdict.ALLOWED
    assert "trust policy of other" in render_text(answer)


@pytest.mark.parametrize(
    ("action", "resource", "code", "verdict"),
    [
        ("s3:PutObject", KEY, "404", Verdict.DENIED),
        ("s3:CreateBucket", "arn:aws:s3:::usage", "404", Verdict.ALLOWED),
        ("s3:PutObject", KEY, "AccessDenied", Verdict.ALLOWED),
    ],
)
async def test_a_bucket_that_is_not_there_is_told_before_its_permission(
    action: str, resource: str, code: str, verdict: Verdict
) -> None:
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    listed = {"Buckets": [{"Name": "usages"}]}
    answer = await ask(
        {"HeadBucket": code, "ListBuckets": listed, "GetRolePolicy": policies(allow)}, action=action, resource=resource
    )
    assert answer.verdict is verdict
    text = render_text(answer)
    assert ("there is no usage (there is usages)" in text) is (verdict is Verdict.DENIED)


@pytest.mark.parametrize(
    ("action", "resource", "verdict"),
    [
        ("iam:DeleteRole", "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/x", Verdict.UNKNOWN),
        ("iam:GetRole", "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/x", Verdict.ALLOWED),
        ("iam:CreatePolicyVersion", "arn:aws:iam::aws:policy/ReadOnlyAccess", Verdict.UNKNOWN),
        ("iam:GetPolicy", "arn:aws:iam::aws:policy/ReadOnlyAccess", Verdict.ALLOWED),
        ("iam:DeletePolicy", "arn:aws:iam::111122223333:policy/own", Verdict.ALLOWED),
    ],
)
async def test_a_rule_that_no_policy_shows_leaves_an_allowance_unknown(
    action: str, resource: str, verdict: Verdict
) -> None:
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    chain = await evidence({"GetRolePolicy": policies(allow)}, action=action, resource=resource)
    answer = explain(replace(chain, resource_policy=None))
    assert answer.verdict is verdict
    assert ("not seen  whether" in render_text(answer)) is (verdict is Verdict.UNKNOWN)


async def test_an_action_that_aws_does_not_list_is_never_allowed() -> None:
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    chain = await evidence({"GetRolePolicy": policies(allow)}, action="s3:PutObjcet")
    doubted = replace(chain, question=replace(chain.question, doubt="AWS lists no such action"))
    assert (explain(chain).verdict, explain(doubted).verdict) == (Verdict.ALLOWED, Verdict.UNKNOWN)
    assert "AWS lists no such action" in render_text(explain(doubted))


async def test_what_does_not_exist_gets_no_command() -> None:
    chain = await evidence({"GetRolePolicy": policies({**ALLOW, "Action": "s3:GetObject"})})
    gone = replace(chain, missing=Missing("bucket nosuch", ("usage",)))
    doubted = replace(chain, question=replace(chain.question, doubt="AWS lists no such action"))
    fixes = [[link.fix for link in explain(one).links if link.name == "permission"] for one in (chain, gone, doubted)]
    assert [bool(fix) for (fix,) in fixes] == [True, False, False]


async def test_a_permission_that_lacks_is_added_to_what_the_role_has_and_proven() -> None:
    answer = await ask({"GetRolePolicy": policies({**ALLOW, "Action": "s3:GetObject"})})
    (link,) = (one for one in answer.links if one.state is State.BROKEN)
    assert link.reason is Reason.PERMISSION_MISSING
    assert link.fix.startswith("aws iam put-role-policy --role-name billing --policy-name keyless-vector ")
    assert "it lists s3:getobject" in render_text(answer)


async def test_a_deny_gets_no_command() -> None:
    deny = {**ALLOW, "Effect": "Deny", "Sid": "Guard"}
    answer = await ask({"GetRolePolicy": policies(ALLOW, deny)})
    (link,) = (one for one in answer.links if one.state is State.BROKEN)
    assert (link.reason, link.fix) == (Reason.PERMISSION_DENIED_EXPLICITLY, "")
    assert "(Guard)" in link.advice


TRUSTING = {"Arn": ROLE, "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [web()]}}
ROLES = {"ListRoles": {"Roles": [TRUSTING]}}


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (f"{ROLE} ", Reason.ROLE_ARN_MALFORMED),
        (f'"{ROLE}"', Reason.ROLE_ARN_MALFORMED),
        (f"{ROLE},", Reason.ROLE_MISSING),  # a comma may be part of a name
        ("billing", Reason.ROLE_ARN_MALFORMED),
        ("role/billing", Reason.ROLE_ARN_MALFORMED),
        (ROLE.replace("role/", "role/team/"), Reason.ROLE_MISSING),  # the name is there, under another path
    ],
)
async def test_what_is_nearly_the_arn_of_a_role_that_is_there_becomes_it(annotation: str, reason: Reason) -> None:
    """By the service account itself: nothing of ours stands behind it, so no Helm value and no Deployment."""
    answer = await ask(ROLES, annotation=annotation)
    (link,) = (one for one in answer.links if one.state is State.BROKEN)
    assert link.reason is reason
    assert link.fix == (
        f"kubectl annotate serviceaccount vector -n {NAMESPACE} --overwrite eks.amazonaws.com/role-arn={ROLE}"
    )
    assert not [one for one in answer.links if one.name == "AWS access"]


async def test_an_association_for_a_name_that_nearly_is_this_one_is_told() -> None:
    described = {"namespace": NAMESPACE, "serviceAccount": "vectors", "roleArn": ROLE}
    answer = await ask(
        {
            "ListPodIdentityAssociations": {"associations": [{"associationId": "a-1", "serviceAccount": "vectors"}]},
            "DescribePodIdentityAssociation": {"association": described},
        },
        annotation="",
    )
    (link,) = (one for one in answer.links if one.state is State.BROKEN)
    assert link.reason is Reason.ASSOCIATION_ELSEWHERE
    assert link.fix.startswith("aws eks create-pod-identity-association ")
    assert "rollout" not in link.fix


OF_ANOTHER = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/another"},
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "*",
}


@pytest.mark.parametrize(
    ("own", "verdict", "told"),
    [
        ({}, Verdict.DENIED, "put-resource-policy"),
        (
            {"ResourcePolicy": json.dumps({"Version": "2012-10-17", "Statement": [OF_ANOTHER]})},
            Verdict.DENIED,
            "get-resource-policy",
        ),
        ("AccessDeniedException", Verdict.UNKNOWN, ""),
    ],
)
async def test_a_secret_of_another_account_is_its_owners_to_open(own: Any, verdict: Verdict, told: str) -> None:
    secret = "arn:aws:secretsmanager:us-west-2:444455556666:secret:db-AbCdEf"
    read = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    described = {"ARN": secret, "Name": "db"}
    changes = {"GetResourcePolicy": own, "GetRolePolicy": policies(read), "DescribeSecret": described}
    answer = await ask(changes, action="secretsmanager:GetSecretValue", resource=secret)
    assert answer.verdict is verdict
    advice = " ".join(one.advice for one in answer.links if one.state is State.BROKEN)
    assert (told in advice) if told else not advice
    assert not any(one.fix for one in answer.links)
