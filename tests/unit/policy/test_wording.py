"""What people read: our explanation, and AWS's own sentence."""

from __future__ import annotations

import pytest

from keyless.policy import Named, Policies, Principal, Request, Unreadable, access_denied, evaluate, explain
from unit.policy.asking import (
    ACCOUNT,
    ANYONE,
    BUCKET,
    HOST,
    OBJECT,
    POD_IDENTITY,
    PROVIDER,
    ROLE,
    SESSION,
    TOKEN,
    ask,
    named,
    statement,
)

SUBJECT = "system:serviceaccount:mxp-2-system:vector"


def test_a_refused_token_is_explained_by_the_condition_that_failed() -> None:
    trust = named(
        {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{HOST}:sub": ["a", "b"]}, "Null": {f"{HOST}:amr": "false"}},
        },
        kind="trust",
    )
    request = Request("sts:AssumeRoleWithWebIdentity", ROLE, TOKEN, {f"{HOST}:sub": SUBJECT})
    assert explain(evaluate(request, Policies(resource=trust))) == [
        f"ImplicitDeny: {PROVIDER}: sts:AssumeRoleWithWebIdentity on {ROLE}",
        "  no role trust policy allows it",
        f'  statement 0 of the trust policy: StringEquals {HOST}:sub: expected "a" or "b", found "{SUBJECT}"; '
        f'Null {HOST}:amr: expected "false", found nothing (the key is absent)',
    ]


def test_a_deny_is_explained_with_its_conditions() -> None:
    deny = statement("Deny", Sid="NoOthers", Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}})
    decision = ask([statement(), deny], context={"aws:TagKeys": ("team", "x")})
    assert explain(decision) == [
        f"ExplicitDeny: {SESSION.arn}: s3:PutObject on {OBJECT}",
        "  statement 1 (NoOthers) of the identity policy (identity-based policy) denies it",
        '    ForAnyValue:StringEquals aws:TagKeys: expected "team", found ["team", "x"]',
    ]


def test_the_closest_miss_comes_first() -> None:
    lines = explain(ask([statement(action="ec2:*", resource="arn:aws:ec2:::x"), statement(action="s3:Get*")]))
    assert lines[2:] == [
        "  statement 1 of the identity policy: its Action does not match (it lists s3:get*)",
        "  statement 0 of the identity policy: its Action does not match (it lists ec2:*); "
        "its Resource does not match (it lists arn:aws:ec2:::x)",
    ]


def test_an_allow_names_its_statement() -> None:
    assert explain(ask([statement()]))[1] == "  statement 0 of the identity policy (identity-based policy) allows it"
    root = Principal("Root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    assert explain(ask(Policies(), principal=root))[1] == "  allowed without a policy"


def test_an_unknown_names_what_was_not_read() -> None:
    lines = explain(ask(Policies(identity=(Unreadable("policy X", "lacks iam:GetPolicy"),))))
    assert lines[0].startswith("Unknown: ")
    assert lines[1:] == [
        "  nothing that could be read denies it, but not everything could be read",
        "  not read: policy X: lacks iam:GetPolicy",
    ]


START = f"User: {SESSION.arn} is not authorized to perform: s3:PutObject on resource: {OBJECT}"


@pytest.mark.parametrize(
    ("policies", "text"),
    [
        (Policies(), f"{START} because no identity-based policy allows the s3:PutObject action"),
        (
            Policies(identity=(named(statement()),), boundary=named(statement(action="ec2:*"), kind="boundary")),
            f"{START} because no permissions boundary allows the s3:PutObject action",
        ),
        (
            Policies(identity=(named(statement()),), session=(named(statement(action="ec2:*"), kind="session"),)),
            f"{START} because no session policy allows the s3:PutObject action",
        ),
        (
            Policies(identity=(named(statement()),), scps=((named(statement(action="ec2:*"), kind="scp"),),)),
            f"{START} because no service control policy allows the s3:PutObject action",
        ),
        (
            Policies(
                identity=(named(statement()),),
                endpoint=named(statement(action="ec2:*", Principal="*"), kind="endpoint"),
            ),
            f"{START} because no VPC endpoint policy allows the s3:PutObject action",
        ),
        (Policies(identity=(named(statement("Deny")),)), f"{START} with an explicit deny in an identity-based policy"),
        (
            Policies(resource=named(statement("Deny", Principal="*"), kind="resource")),
            f"{START} with an explicit deny in a resource-based policy",
        ),
        (
            Policies(boundary=named(statement("Deny"), kind="boundary")),
            f"{START} with an explicit deny in a permissions boundary",
        ),
    ],
)
def test_aws_says_which_kind_of_policy(policies: Policies, text: str) -> None:
    assert access_denied(ask(policies)) == text


def test_a_service_words_its_resource() -> None:
    text = access_denied(ask(Policies()), resource=f'"{OBJECT}"')
    assert f'on resource: "{OBJECT}" because' in text


@pytest.mark.parametrize(
    ("action", "said"),
    [("s3:ListAllMyBuckets", ""), ("secretsmanager:ListSecrets", ""), ("kms:ListKeys", " on resource: *")],
)
def test_two_services_say_nothing_of_a_resource_where_there_is_none(action: str, said: str) -> None:
    text = access_denied(evaluate(Request(action, "*", SESSION), Policies()))
    assert text.endswith(f"perform: {action}{said} because no identity-based policy allows the {action} action")


def test_a_trust_policy_is_not_named_unless_it_denies() -> None:
    trust = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    denied = evaluate(Request("sts:AssumeRole", ROLE, SESSION), Policies(resource=named(trust, kind="trust")))
    assert access_denied(denied).endswith(
        f"sts:AssumeRole on resource: {ROLE} with an explicit deny in the role trust policy"
    )
    other = {**trust, "Effect": "Allow", "Action": "sts:TagSession"}
    silent = evaluate(Request("sts:AssumeRole", ROLE, SESSION), Policies(resource=named(other, kind="trust")))
    assert access_denied(silent).endswith(f"sts:AssumeRole on resource: {ROLE}")


def test_callers_without_a_name() -> None:
    assert access_denied(ask(Policies(), principal=ANYONE)) == "Access Denied"
    assert access_denied(ask(Policies(), principal=POD_IDENTITY)).startswith("User: pods.eks.amazonaws.com is not")


def test_the_words_hold_no_policy_content() -> None:
    secret = statement(resource=f"{BUCKET}/hidden", Condition={"StringEquals": {"aws:PrincipalTag/x": "hidden"}})
    assert "hidden" not in access_denied(ask([secret]))


def test_a_managed_policy_that_denies_is_named() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/limit"
    policy = Named(arn, named(statement("Deny")).document)
    text = access_denied(ask(Policies(identity=(policy,))))
    assert text == f"{START} with an explicit deny in an identity-based policy: {arn}"
