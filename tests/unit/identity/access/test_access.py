"""Backwards from a resource: everybody who reaches it is told, by themselves or by what they may become."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.api import Arn
from keyless.identity.access import (
    Report,
    Unasked,
    Verdict,
    asked_about,
    in_use,
    is_complete,
    parsed,
    render_text,
    report,
)
from keyless.identity.access.holders import holders_of
from keyless.identity.access.model import Account, Evidence, StaticKey
from keyless.identity.verify.behind import KeyUse
from keyless.identity.verify.model import Association, Cluster
from keyless.policy import Named, Policies, Principal, Request, Unreadable, evaluate, parse
from unit.identity.verify.chains import ACCOUNT, HOST, ISSUER, NAMESPACE, ROLE, SUBJECT, web, written

BUCKET, OBJECT = "arn:aws:s3:::usage", "arn:aws:s3:::usage/manifest/a"
CLUSTER = Cluster("prod", ISSUER, ACCOUNT, "us-west-2")
VECTOR = Account(NAMESPACE, "vector", names=ROLE)
PODS = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}


def allow(action: Any = "s3:*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def role(name: str, *statements: dict[str, Any], trust: Any = (), **more: Any) -> dict[str, Any]:
    """As IAM describes it in an account's details."""
    inline = [{"PolicyName": "own", "PolicyDocument": written(*statements)}] if statements else []
    document = written(*(trust or [web()]))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    return {"RoleName": name, "Arn": arn, "AssumeRolePolicyDocument": document, "RolePolicyList": inline, **more}


def user(name: str, *statements: dict[str, Any], **more: Any) -> dict[str, Any]:
    inline = [{"PolicyName": "own", "PolicyDocument": written(*statements)}] if statements else []
    return {"UserName": name, "Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "UserPolicyList": inline, **more}


def evidence(
    *roles: dict[str, Any], users: Any = (), resource: str = BUCKET, more: Any = None, **facts: Any
) -> Evidence:
    details = {"RoleDetailList": list(roles), "UserDetailList": list(users), **(more or {})}
    asked = asked_about(parsed(resource), ())
    known = {"accounts": (VECTOR,), "owner": ACCOUNT, **facts}
    return Evidence(resource, ACCOUNT, asked, tuple(holders_of(details)), CLUSTER, **known)


def names(found: Report) -> list[str]:
    return [one.holder.name for one in found.reaches]


def subjects(found: Report) -> list[tuple[str, bool, bool]]:
    return [(way.subject, way.there, way.names_it) for one in found.reaches for way in one.ways]


def test_a_role_its_subject_and_nobody_else() -> None:
    found = report(evidence(role("billing", allow("s3:PutObject", f"{BUCKET}/*")), role("other", allow("sqs:*"))))
    (one,) = found.reaches
    assert (one.holder.arn, [each.action for each in one.may]) == (ROLE, ["s3:PutObject"])
    assert one.may[0].by == "statement 0 of inline policy own"
    assert subjects(found) == [(SUBJECT, True, True)]
    assert is_complete(found)
    assert not in_use(found.static)


@pytest.mark.parametrize(
    ("granted", "reaches"),
    [
        (f"{BUCKET}/*", True),
        (f"{BUCKET}/manifest/*", True),  # a part of what is asked about
        (f"{BUCKET}/manifest/b", True),
        ("arn:aws:s3:::us*", True),
        ("arn:aws:s3:::usage-b/*", False),
        ("arn:aws:s3:::other/*", False),
        ("*", True),
    ],
)
def test_a_bucket_is_reached_by_whoever_reaches_a_part_of_it(granted: str, reaches: bool) -> None:
    found = report(evidence(role("billing", allow("s3:GetObject", granted))))
    assert bool(found.reaches) is reaches


def test_a_service_account_may_become_a_role_that_its_annotation_does_not_name() -> None:
    """It asks for a token and takes it to STS: the annotation is a convenience."""
    other = Account("mxp-2-system", "vector")
    trust = [web("system:serviceaccount:*:vector", operator="StringLike")]
    found = report(evidence(role("billing", allow(), trust=trust), accounts=(VECTOR, other)))
    assert subjects(found) == [
        ("system:serviceaccount:*:vector", False, False),
        (SUBJECT, True, True),
        ("system:serviceaccount:mxp-2-system:vector", True, False),
    ]


def test_a_subject_without_a_service_account_waits_for_whoever_makes_it() -> None:
    found = report(evidence(role("billing", allow()), accounts=()))
    assert subjects(found) == [(SUBJECT, False, False)]
    assert found.hands[0].namespaces == (NAMESPACE,)
    assert "no such service account now" in render_text(found)


@pytest.mark.parametrize(
    ("trust", "there"),
    [
        ([PODS], True),
        ([{**PODS, "Principal": {"Service": "ec2.amazonaws.com"}}], False),
        ([web("system:serviceaccount:elsewhere:vector")], False),
    ],
)
def test_an_association_is_a_way_where_the_role_trusts_pods(trust: Any, there: bool) -> None:
    made = Association("a-1", NAMESPACE, "vector", ROLE)
    found = report(evidence(role("billing", allow(), trust=trust), associations=(made,)))
    assert [way.how for one in found.reaches for way in one.ways if way.subject == SUBJECT] == ["pod-identity"] * there


def test_a_chain_of_roles_is_walked_to_its_begin() -> None:
    def trusts(name: str) -> list[dict[str, Any]]:
        principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{name}"}
        return [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]

    data = role("data", allow(), trust=trusts("middle"))
    middle = role("middle", allow("sts:AssumeRole"), trust=trusts("billing"))
    first, idle = role("billing", allow("sts:AssumeRole")), role("idle", allow("sts:AssumeRole"))
    found = report(evidence(data, middle, first, idle))
    assert {one.holder.name: one.through.rpartition("/")[2] for one in found.reaches} == {
        "data": "",
        "middle": "data",
        "billing": "middle",
    }


def test_roles_that_may_become_each_other_end_the_walk() -> None:
    trust = [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]
    both = [role(name, allow("*"), trust=trust) for name in ("a", "b")]
    assert names(report(evidence(*both))) == ["a", "b"]


def test_a_boundary_a_deny_and_a_group_count() -> None:
    bound = {
        "Arn": "arn:aws:iam::aws:policy/B",
        "PolicyVersionList": [{"IsDefaultVersion": True, "Document": written(allow("sqs:*"))}],
    }
    bounded = role("bounded", allow(), PermissionsBoundary={"PermissionsBoundaryArn": bound["Arn"]})
    denied = role("denied", allow(), {"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    group = {"GroupName": "ops", "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": written(allow())}]}
    found = report(
        evidence(
            bounded,
            denied,
            users=[user("eve", GroupList=["ops"])],
            more={"GroupDetailList": [group], "Policies": [bound]},
        )
    )
    assert names(found) == ["eve"]
    assert found.reaches[0].may[0].by == "statement 0 of inline policy g of group ops"


@pytest.mark.parametrize(
    ("statement", "verdict", "keys"),
    [
        (allow(Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}), Verdict.CONDITIONAL, ("aws:SourceVpce",)),
        (
            allow(Condition={"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "x"}}),
            Verdict.CONDITIONAL,
            ("aws:PrincipalTag/kubernetes-namespace",),
        ),
        (allow(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}), Verdict.ALLOWED, ("aws:SourceVpce",)),
        (allow(Condition={"Bool": {"aws:SecureTransport": "true"}}), Verdict.ALLOWED, ()),
        (allow(Condition={"Bool": {"aws:SecureTransport": "false"}}), None, ()),
    ],
)
def test_what_nobody_told_makes_a_conditional_and_is_named(
    statement: dict[str, Any], verdict: Verdict | None, keys: tuple[str, ...]
) -> None:
    found = report(evidence(role("billing", statement), resource=OBJECT))
    assert [(each.verdict, each.hangs_on) for one in found.reaches for each in one.may[:1]] == (
        [(verdict, keys)] if verdict else []
    )


def test_a_deny_that_hangs_on_the_call_hides_nobody() -> None:
    guard = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:SourceVpce": "v"}},
    }
    found = report(evidence(role("billing", allow(), guard), resource=OBJECT))
    assert {each.verdict for one in found.reaches for each in one.may} == {Verdict.CONDITIONAL}


def test_what_could_not_be_read_makes_the_answer_incomplete() -> None:
    attached = {"PolicyName": "x", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/x"}
    found = report(evidence(role("billing", AttachedManagedPolicies=[attached])))
    assert not is_complete(found)
    assert any("policy/x" in line for line in found.unread)


def test_a_resource_policy_that_was_not_read_does_not_make_the_whole_account_suspect() -> None:
    policies = dict.fromkeys(
        (BUCKET, f"{BUCKET}/*"), Unreadable("policy of usage", "the caller lacks s3:GetBucketPolicy")
    )
    key = StaticKey("access key AKIA1 of user eve")
    found = report(
        evidence(
            role("billing", allow()),
            role("other"),
            users=[user("eve", allow())],
            policies=policies,
            user_keys={"eve": (key,)},
        )
    )
    assert names(found) == ["billing", "eve"]
    assert {each.verdict for one in found.reaches for each in one.may} == {Verdict.UNKNOWN}
    assert found.unread == ("policy of usage: the caller lacks s3:GetBucketPolicy",)
    assert not is_complete(found)
    assert not in_use(found.static)


def test_a_key_that_refuses_keeps_the_resource_closed() -> None:
    secret = f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:db-AbCdEf"
    key = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/k"
    policy = parse(
        json.dumps(
            written(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            )
        ),
        "resource",
    )
    use = KeyUse("kms:Decrypt", key, {}, Named("key", policy))
    keys = {("secretsmanager:GetSecretValue", secret): use}
    read = allow("secretsmanager:GetSecretValue", secret)
    assert not report(evidence(role("billing", read), resource=secret, keys=keys)).reaches
    assert report(evidence(role("billing", read, allow("kms:Decrypt", key)), resource=secret, keys=keys)).reaches
    granted = replace(use, grants=({"GranteePrincipal": ROLE, "Operations": ["Decrypt"]},))
    assert report(evidence(role("billing", read), resource=secret, keys={next(iter(keys)): granted})).reaches


def test_a_question_about_a_role_is_who_becomes_it() -> None:
    found = report(evidence(role("billing"), resource=ROLE))
    assert names(found) == ["billing"]
    assert subjects(found) == [(SUBJECT, True, True)]


def test_whom_the_resource_lets_in_from_elsewhere_is_told() -> None:
    other = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999988887777:root"},
        "Action": "s3:GetObject",
        "Resource": f"{BUCKET}/*",
    }
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:ListBucket",
        "Resource": BUCKET,
        "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    }
    policy = Named("policy", parse(json.dumps(written(other, everybody)), "resource"))
    found = report(evidence(policies={BUCKET: policy, f"{BUCKET}/*": policy}))
    assert found.outside == ("s3:ListBucket: everybody under conditions", "s3:GetObject: account 999988887777")


def test_a_bucket_of_another_account_needs_its_own_policy_and_says_so() -> None:
    policies = dict.fromkeys((BUCKET, f"{BUCKET}/*"), Unreadable("policy", "another account's"))
    found = report(evidence(role("billing", allow()), policies=policies, owner="another"))
    assert not is_complete(found)
    assert not report(evidence(role("billing", allow()), owner="another")).reaches


def test_others_than_this_cluster_are_told() -> None:
    trust = [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": "999988887777"}, "Action": "sts:AssumeRole"},
        web(host="oidc.eks.us-west-2.amazonaws.com/id/A"),
    ]
    (one,) = report(evidence(role("billing", allow(), trust=trust))).reaches
    assert one.others == (
        "service ec2.amazonaws.com",
        "account 999988887777",
        f"provider arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/A under conditions",
    )


def test_a_users_key_is_a_static_key_that_reaches_it() -> None:
    key = StaticKey("access key AKIA1 of user eve", "last used 2026-11-20 for s3")
    known = {"eve": (key,), "idle": (StaticKey("access key AKIA2 of user idle"),)}
    found = report(evidence(users=[user("eve", allow()), user("idle")], user_keys=known))
    assert found.static == (key,)
    assert in_use(found.static)
    assert "static key: access key AKIA1 of user eve, last used 2026-11-20 for s3" in render_text(found)


def test_a_key_that_somebody_keeps_is_told_and_judged_by_nobody() -> None:
    found = report(evidence(kept_keys=(StaticKey("pod a/b: AWS_ACCESS_KEY_ID from Secret s", certain=False),)))
    assert "static key perhaps: pod a/b" in render_text(found)
    assert not in_use(found.static)


PLACES = st.sampled_from(["usage", "usage/*", "usage/a", "usage/a/*", "us*", "other/*", "*", "usage/?"])
CONCRETE = ["usage/a", "usage/a/b", "usage/b", "usage/x"]


@settings(deadline=None)
@given(st.lists(PLACES, min_size=1, max_size=2), st.lists(PLACES, max_size=1))
def test_nobody_who_may_read_one_object_is_left_out(granted: list[str], denied: list[str]) -> None:
    statements = [allow("s3:GetObject", [f"arn:aws:s3:::{one}" for one in granted])]
    statements += [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{one}"} for one in denied]
    made = evidence(role("billing", *statements))
    principal = Principal("AssumedRole", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/billing/s", role_arn=ROLE)
    policies = Policies(made.holders[0].identity)
    reads = [evaluate(Request("s3:GetObject", f"arn:aws:s3:::{one}", principal), policies).allowed for one in CONCRETE]
    if any(reads):
        assert names(report(made)) == ["billing"]
    if not report(made).reaches:
        assert not any(reads)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the ARN of a resource"),
        ("usage", "arn:aws:s3:::usage would be that of a bucket"),
        ("s3://usage/a", "arn:aws:s3:::usage/a is that of s3://usage/a"),
        ("arn:aws:s3:us-west-2::usage", "no region and no account"),
        (f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:db", "secret:"),
        (f"arn:aws:ssm:us-west-2:{ACCOUNT}:db", "parameter/"),
        ("arn:aws:secretsmanager:::secret:db", "a region and an account"),
        (f"arn:aws:secretmanager:us-west-2:{ACCOUNT}:secret:db", "did you mean 'secretsmanager'?"),
        (f"arn:aws:sqs:us-west-2:{ACCOUNT}:q", "--action"),
        (f"arn:aws:iam::{ACCOUNT}:user/eve", "role/"),
    ],
)
def test_what_is_no_resource_is_told_with_what_was_perhaps_meant(text: str, said: str) -> None:
    with pytest.raises(Unasked, match="(?s)" + said.replace("?", "[?]").replace("(", "[(]")):
        asked_about(parsed(text), ())


@settings(deadline=None)
@given(st.text(st.sampled_from("arn:s3/*?-x "), max_size=20))
def test_no_text_is_worse_than_unasked(text: str) -> None:
    with contextlib.suppress(Unasked):
        arn = parsed(text)
        assert isinstance(arn, Arn)
        assert asked_about(arn, ())


def test_actions_that_are_named_are_asked_about_alone() -> None:
    assert asked_about(parsed(BUCKET), ["s3:GetObjectTagging", "s3:GetBucketAcl"]) == (
        ("s3:GetObjectTagging", f"{BUCKET}/*"),
        ("s3:GetBucketAcl", BUCKET),
    )
    assert HOST in CLUSTER.provider_arn
