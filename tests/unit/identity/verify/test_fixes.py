"""What a printed fix does to the policy that is there: it admits whom it names, and changes nothing else."""

from __future__ import annotations

import itertools
import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Reason
from keyless.identity.verify import State, verify
from keyless.identity.verify.model import Bucket, Cluster, Condition, Facts, Link, Missing, Role, Unread
from keyless.identity.verify.near import is_slip
from keyless.identity.verify.trust import decide_service, decide_token
from keyless.policy import MalformedPolicy, Named, Policies, Principal, Request, evaluate, parse
from keyless.policy.amend import proven, statements, with_statement
from unit.identity.verify.chains import (
    ACCOUNT,
    HOST,
    NAMESPACE,
    OTHER,
    PROVIDER,
    ROLE,
    SET,
    SUBJECT,
    broken,
    irsa,
    named,
    pod_identity,
    service,
    web,
    with_condition,
    with_trust,
    with_values,
    with_workload,
    written,
)

GUARD = {
    "Sid": "Guard",
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "sts:*",
    "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "kube-system"}},
}
PERSON = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}


def document(link: Link) -> dict[str, Any]:
    """The document that the printed command carries."""
    words = shlex.split(link.fix)
    found: dict[str, Any] = json.loads(words[words.index("--policy-document") + 1])
    return found


def subject_of(namespace: str, account: str = "vector") -> str:
    return f"system:serviceaccount:{namespace}:{account}"


def token_decisions(trust: dict[str, Any]) -> dict[tuple[str, str, str], bool]:
    """What a trust policy says to tokens of many service accounts, for two audiences and clusters."""
    facts, found = irsa(), {}
    assert isinstance(facts.cluster, Cluster)
    assert isinstance(facts.role, Role)
    role = replace(facts.role, trust=parse(trust, "trust"))
    for namespace, account, host in itertools.product(
        (NAMESPACE, OTHER, "default"), ("vector", "default"), (HOST, "127.0.0.1/clusters/other")
    ):
        assert facts.control_plane
        cluster = replace(facts.cluster, issuer=f"https://{host}")
        plane = replace(facts.control_plane, host_namespace=namespace)
        subject = replace(facts.subject, service_account=account)
        asked = replace(facts, control_plane=plane, subject=subject, cluster=cluster)
        found[namespace, account, host] = decide_token(asked, role, cluster).allowed
        for action in ("sts:AssumeRole", "sts:TagSession"):
            of_pods = replace(pod_identity(), control_plane=plane)
            found[namespace, action, host] = decide_service(of_pods, role, cluster, action).allowed
    return found


SUBJECTS = st.sampled_from(
    [
        subject_of(OTHER),
        subject_of("mxp-3-system"),
        subject_of(NAMESPACE, "default"),
        "system:serviceaccount:mxp-*-system:vector",
        "system:serviceaccount:default:*",
        "${aws:username}",
    ]
)
FURTHER = st.sampled_from(
    [
        {},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringNotEquals": {f"{HOST}:sub": subject_of("default")}},
        {"StringEqualsIfExists": {"aws:RequestTag/kubernetes-namespace": [OTHER, "default"]}},
        {"Null": {"aws:MultiFactorAuthAge": "false"}},
    ]
)


@st.composite
def allows(draw: st.DrawFn) -> dict[str, Any]:
    host = draw(st.sampled_from([HOST, "127.0.0.1/clusters/other"]))
    sub = draw(st.one_of(SUBJECTS, st.lists(SUBJECTS, min_size=1, max_size=3, unique=True)))
    operator = draw(st.sampled_from(["StringEquals", "StringLike", "ForAnyValue:StringLike", "StringEqualsIfExists"]))
    made = web(sub, operator=operator, host=host, aud=draw(st.sampled_from(["sts.amazonaws.com", "other"])))
    for name, tests in draw(FURTHER).items():
        made["Condition"].setdefault(name, {}).update(tests)
    made["Action"] = draw(st.sampled_from([made["Action"], "sts:*", [made["Action"], "sts:TagSession"]]))
    return made


PODS = st.sampled_from(
    [
        service("sts:AssumeRole"),
        service(),
        service("sts:TagSession", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        service(Condition={"StringEquals": {"aws:RequestTag/kubernetes-namespace": OTHER}}),
        service(
            "sts:AssumeRole", Condition={"StringLike": {"AWS:RequestTag/kubernetes-namespace": ["default", OTHER]}}
        ),
    ]
)
DENIES = st.sampled_from([GUARD, {**web(subject_of("default")), "Effect": "Deny"}])
TRUSTS = st.lists(st.one_of(allows(), PODS, DENIES, st.just(PERSON)), min_size=1, max_size=4)


@effort(30)
@given(TRUSTS, st.sampled_from(["2012-10-17", "2008-10-17"]), st.booleans())
def test_a_printed_trust_policy_admits_the_component_and_nobody_else_anew(
    listed: list[dict[str, Any]], version: str, by_association: bool
) -> None:
    listed = [{**each, "Sid": f"S{index}"} for index, each in enumerate(listed)]
    before = {"Version": version, "Statement": listed if len(listed) > 1 else listed[0]}
    facts = pod_identity() if by_association else irsa()
    assert isinstance(facts.role, Role)
    facts = replace(facts, role=replace(facts.role, trust=parse(before, "trust"), written=before))
    link = named(facts, "trust")
    assume(link.state is State.BROKEN and link.reason is not Reason.TRUST_DENIES_EXPLICITLY)
    assert link.fix, (before, link)
    after = document(link)
    assert statements(after)[: len(listed)] == listed or len(statements(after)) == len(listed)
    assert [each for each in statements(after) if each["Effect"] == "Deny"] == [
        each for each in listed if each["Effect"] == "Deny"
    ]
    old, new = token_decisions(before), token_decisions(after)
    assert {key for key, allowed in old.items() if allowed and not new[key]} == set()
    gained = {key for key, allowed in new.items() if allowed and not old[key]}
    if not by_association:
        assert gained == {(NAMESPACE, "vector", HOST)}
    else:
        assert {(NAMESPACE, action, HOST) for action in ("sts:AssumeRole", "sts:TagSession")} <= {
            key for key, allowed in new.items() if allowed
        }
        assert not {key for key in gained if key[1] in ("vector", "default")}
    assert named(replace(facts, role=replace(facts.role, trust=parse(after, "trust"))), "trust").state is State.HELD


def test_a_subject_is_added_to_the_statement_that_fits_and_shown_as_a_difference() -> None:
    link = named(with_trust(irsa(), PERSON, web(subject_of(OTHER)), GUARD), "trust")
    wanted = written(PERSON, web([subject_of(OTHER), SUBJECT]), GUARD)
    assert document(link) == wanted
    assert "adds" in link.advice
    assert any(line.startswith("+") and SUBJECT in line for line in link.diff)
    assert not any(line.startswith("-") and "Guard" in line for line in link.diff)


def test_a_statement_that_would_admit_more_is_left_alone_and_another_one_added() -> None:
    wide = {**web(subject_of(OTHER)), "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]}
    assert document(named(with_trust(irsa(), wide), "trust")) == written(wide, web())


def test_a_bound_by_session_tags_is_not_walked_around() -> None:
    tagged = service(Condition={"StringEquals": {"aws:RequestTag/kubernetes-namespace": OTHER}})
    after = document(named(with_trust(pod_identity(), tagged), "trust"))
    bound = {"StringEquals": {"aws:RequestTag/kubernetes-namespace": [OTHER, NAMESPACE]}}
    assert after == written(service(Condition=bound))


def test_a_trust_policy_that_was_not_read_as_written_gets_no_command() -> None:
    facts = with_trust(irsa(), web("x"))
    assert isinstance(facts.role, Role)
    link = named(replace(facts, role=replace(facts.role, written=None)), "trust")
    assert (link.fix, "by hand" in link.advice) == ("", True)


def test_a_trust_policy_without_room_gets_no_command() -> None:
    link = named(with_trust(irsa(), web([subject_of(f"n{index}") for index in range(240)])), "trust")
    assert (link.state, link.fix) == (State.BROKEN, "")


@pytest.mark.parametrize("change", ["loses", "denies no more", "admits more", "is none"])
def test_what_changes_more_than_it_says_is_not_proven(change: str) -> None:
    before = written(web(subject_of(OTHER)), GUARD)
    added = web()
    after = {
        "loses": written(GUARD, added),
        "denies no more": written(web(subject_of(OTHER)), added),
        "admits more": written(web(subject_of(OTHER)), GUARD, web("system:serviceaccount:*", operator="StringLike")),
        "is none": {"Version": "2012-10-17", "Statement": []},
    }[change]
    assert not proven(before, after, [added], "trust")
    assert proven(before, with_statement(before, added), [added], "trust")


def with_inline(facts: Facts, **policies: dict[str, Any]) -> Facts:
    assert isinstance(facts.role, Role)
    named_so = {name.replace("_", "-"): one for name, one in policies.items()}
    sources = tuple(Named(f"inline policy {name}", parse(one, "identity")) for name, one in named_so.items())
    return replace(facts, role=replace(facts.role, identity=sources, inline=named_so))


READS = {"Sid": "Reads", "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
NEVER = {"Sid": "Never", "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}


def test_an_inline_policy_of_our_name_keeps_its_other_statements() -> None:
    link = named(with_inline(irsa(), keyless_vector=written(READS, NEVER)), "permission")
    after = document(link)
    assert statements(after)[:2] == [READS, NEVER]
    assert statements(after)[2]["Action"] == ["s3:PutObject"]
    assert "--policy-name keyless-vector" in link.fix
    assert any(line.startswith("+") for line in link.diff)


def test_an_explicit_deny_is_not_answered_with_an_allow() -> None:
    stop = {"Sid": "Stop", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    link = named(with_inline(irsa(), other=written(stop)), "permission")
    assert (link.reason, link.fix) == (Reason.PERMISSION_DENIED_EXPLICITLY, "")
    assert "statement 0 (Stop) of inline policy other" in link.advice


def test_a_deny_in_the_buckets_policy_is_named() -> None:
    stop = {"Sid": "Stop", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}
    stop["Resource"] = "arn:aws:s3:::usage/*"
    policy = Named("policy of bucket usage", parse(written(stop), "resource"))
    link = named(replace(irsa(), bucket=Bucket("usage", "us-west-2", policy)), "permission")
    assert (link.reason, link.fix) == (Reason.PERMISSION_DENIED_EXPLICITLY, "")
    assert "statement 0 (Stop) of policy of bucket usage" in link.advice


def test_a_boundary_is_not_answered_with_an_allow_beside_it() -> None:
    facts = irsa()
    assert isinstance(facts.role, Role)
    narrow = Named("arn:aws:iam::aws:policy/narrow", parse(written(READS), "identity"))
    link = named(replace(facts, role=replace(facts.role, boundary=narrow)), "permission")
    assert (link.reason, link.fix) == (Reason.PERMISSION_BOUNDED, "")
    assert narrow.name in link.advice


@pytest.mark.parametrize(
    ("bucket", "values", "reason", "fix"),
    [
        (Missing("usage", ("usages",)), {}, Reason.BUCKET_MISSING, '--set "billing.storage.aws.bucket=usages"'),
        (Missing("usage"), {}, Reason.BUCKET_MISSING, "aws s3api create-bucket --bucket usage --region us-west-2"),
        (Missing("usage", ("usages", "usaged")), {}, Reason.BUCKET_MISSING, ""),
        (Missing("usage", ("usage-eu",)), {}, Reason.BUCKET_MISSING, "aws s3api create-bucket --bucket usage"),
        (
            Bucket("usage", "eu-west-1"),
            {"billing.storage.aws.region": "us-west-2"},
            Reason.BUCKET_ELSEWHERE,
            '--set "billing.storage.aws.region=eu-west-1"',
        ),
    ],
)
def test_the_bucket_is_looked_up_before_a_permission_is_judged(
    bucket: Any, values: dict[str, str], reason: Reason, fix: str
) -> None:
    facts = replace(with_values(irsa(), values={**SET, **values}), bucket=bucket)
    link = named(facts, "storage")
    assert (link.state, link.reason) == (State.BROKEN, reason)
    assert fix in link.fix
    assert bool(fix) is bool(link.fix)
    if isinstance(bucket, Missing):
        assert named(facts, "permission").state is State.SKIPPED


@pytest.mark.parametrize(
    ("wanted", "name", "slip"),
    [
        ("usage", "usages", True),
        ("usage", "usge", True),
        ("usage", "usaeg", True),
        ("usage", "uzage", True),
        ("usage", "usage", False),
        ("usage", "usage-eu", False),
        ("usage-abc", "usage-xyz", False),
    ],
)
def test_only_a_slip_of_one_letter_is_put_into_a_command(wanted: str, name: str, slip: bool) -> None:
    assert is_slip(wanted, name) is slip


@pytest.mark.parametrize("written_so", ["s3://usage", "s3://usage/prefix/"])
def test_a_bucket_with_its_scheme_is_the_bucket_without(written_so: str) -> None:
    link = named(with_values(irsa(), values={**SET, "billing.storage.aws.bucket": written_so}), "storage")
    assert link.fix.endswith('--reuse-values --set "billing.storage.aws.bucket=usage"')


OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/biling"


def test_a_role_that_is_not_there_is_the_near_one_that_admits_the_component() -> None:
    facts = replace(irsa(), role=None, roles={OTHER_ROLE: parse(written(web()), "trust")})
    link = named(facts, "role")
    assert OTHER_ROLE in link.found
    assert f"={OTHER_ROLE}" in link.fix
    made = named(replace(facts, roles={OTHER_ROLE: parse(written(web("x")), "trust")}), "role")
    assert made.fix.startswith("aws iam create-role --role-name billing --assume-role-policy-document ")


@pytest.mark.parametrize("annotations", [{}, {"eks.amazonaws.com/rolearn": "nothing"}])
def test_without_a_role_the_only_one_that_admits_the_component_is_named_else_one_is_made(
    annotations: dict[str, str],
) -> None:
    trusting = parse(written(web()), "trust")
    facts = with_workload(irsa(), annotations=annotations)
    fixed = named(replace(facts, role=None, roles={OTHER_ROLE: trusting}), "service account").fix
    assert f"role-arn={OTHER_ROLE}" in fixed
    assert "create-role" not in fixed
    two = {OTHER_ROLE: trusting, ROLE: trusting}
    assert not named(replace(facts, role=None, roles=two), "service account").fix
    made = named(replace(facts, role=None), "service account").fix
    assert "aws iam create-role --role-name keyless-vector" in made
    assert f"role-arn=arn:aws:iam::{ACCOUNT}:role/keyless-vector" in made


BROKEN = [
    replace(irsa(), providers=()),
    replace(irsa(), providers=(replace(PROVIDER, url=HOST),)),
    replace(irsa(), providers=(replace(PROVIDER, client_ids=()),)),
    replace(irsa(), role=None),
    replace(pod_identity(), role=None),
    replace(pod_identity(), agent=None),
    replace(pod_identity(), agent="DEGRADED"),
    replace(pod_identity(), associations=()),
    replace(irsa(), cluster=Unread("lacks x"), role=None),
    with_trust(irsa(), web("x")),
    with_trust(irsa(), {**web(), "Effect": "Deny"}),
    with_trust(pod_identity(), web()),
    with_workload(irsa(), annotations={}),
    with_workload(irsa(), annotations=None),
    with_workload(irsa(), annotations={"eks.amazonaws.com/role-arn": "billing"}),
    with_workload(irsa(), pods=()),
    with_values(irsa(), values={}),
    with_values(irsa(), values={**SET, "billing.storage.aws.bucket": ""}),
    with_values(irsa(), values={**SET, "billing.storage.aws.region": "nowhere"}),
    with_inline(irsa()),
    replace(irsa(), control_plane=None),
    replace(irsa(), workload=None),
]


@pytest.mark.parametrize("facts", BROKEN)
def test_every_fix_is_one_command_without_blanks_to_fill_in(facts: Facts) -> None:
    for link in verify(facts):
        if link.state is State.BROKEN:
            assert link.fix or link.advice
            assert not [
                word
                for word in ("…", "ROLE_ARN", "#", "YOUR_", "CLUSTER", "ACCOUNT", "eksctl", "null,")
                if word in link.fix
            ]
            assert not link.fix or shlex.split(link.fix)[0] in ("aws", "kubectl", "helm")
            assert not link.fix.startswith(("kubectl logs", "kubectl get", "kubectl describe", "aws eks describe"))


def test_a_policy_that_cannot_be_read_proves_nothing() -> None:
    with pytest.raises(MalformedPolicy):
        parse({}, "trust")
    assert not proven(None, {"Version": "2012-10-17", "Statement": {}}, [], "trust")
    request = Request("s3:PutObject", "*", Principal("Anonymous"), {})
    assert not evaluate(request, Policies()).allowed


def test_a_key_that_refuses_is_left_to_the_question_that_sees_keys() -> None:
    message = "PutObject: AccessDenied: User is not authorized to perform: kms:GenerateDataKey on resource: arn"
    link = broken(with_condition(irsa(), Condition("False", "AccessDenied", message)))
    asked = f"keyless explain {NAMESPACE}/vector s3:PutObject arn:aws:s3:::usage/account=a/keyless"
    assert (link.name, link.fix) == ("probe", "")
    assert asked in link.advice
    other = broken(with_condition(irsa(), Condition("False", "AccessDenied", "PutObject: AccessDenied: no")))
    assert asked in other.advice
    assert "key behind it" in link.advice
    assert "key behind it" not in other.advice


def test_of_many_roles_that_would_do_a_few_are_named() -> None:
    roles = {
        f"arn:aws:iam::{ACCOUNT}:role/r{number}": parse(json.dumps(written(web())), "trust") for number in range(9)
    }
    facts = with_workload(with_values(irsa(), values=UNNAMED), annotations={})
    link = named(replace(facts, role=None, roles=roles), "service account")
    assert (link.reason, link.fix) == (Reason.ROLE_NOT_NAMED, "")
    assert link.advice.endswith("role/r4 and 4 more")


UNNAMED = {path: value for path, value in SET.items() if not path.endswith("role-arn")}
