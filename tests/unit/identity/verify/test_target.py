"""An association with a target role: two hops, each with its own trust, and only what is proven as a command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from keyless.api import Reason
from keyless.identity.explain import Question, Verdict, explain
from keyless.identity.explain.model import Evidence
from keyless.identity.verify import Facts, State, verify
from keyless.identity.verify.model import Association, Role, Unread
from keyless.policy import Named, parse
from unit.identity.verify.chains import ACCOUNT, NAMESPACE, ROLE, named, pod_identity, service, trust, web, written

TARGET = f"arn:aws:iam::{ACCOUNT}:role/data/writer"
EXTERNAL = f"us-west-2/{ACCOUNT}/keyless/{NAMESPACE}/vector"
ACTIONS = ["sts:AssumeRole", "sts:TagSession"]


def admits(*actions: str, arn: str = ROLE, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": list(actions or ACTIONS), **more}


EXACT = admits(Condition={"StringEquals": {"sts:ExternalId": EXTERNAL}})
ROOT = admits(arn=f"arn:aws:iam::{ACCOUNT}:root")
GUARD = {**admits(arn="*"), "Sid": "Guard", "Effect": "Deny"}


def chained(*statements: Mapping[str, Any], tags: bool = True, **policies: Any) -> Facts:
    """The role of ``pod_identity`` goes on to a target, which does the work."""
    facts = pod_identity()
    assert isinstance(facts.role, Role)
    target = replace(facts.role, arn=TARGET, trust=trust(*statements), written=written(*statements))
    first = replace(facts.role, identity=tuple(policies.get("identity", ())), boundary=policies.get("boundary"))
    association = Association("a-1", NAMESPACE, "vector", ROLE, tags, None, TARGET, EXTERNAL)
    return replace(facts, associations=(association,), role=target, through=first)


def policy(*actions: str, effect: str = "Allow", kind: Any = "identity") -> Named:
    return Named("p", parse(written({"Effect": effect, "Action": list(actions), "Resource": TARGET}), kind))


@pytest.mark.parametrize(
    "facts",
    [
        chained(EXACT),
        chained(admits()),
        chained(admits("sts:AssumeRole"), tags=False),
        chained(ROOT, identity=[policy(*ACTIONS)]),
        chained(EXACT, boundary=policy(*ACTIONS, kind="boundary")),
        chained(admits(Condition={"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": NAMESPACE}})),
    ],
)
def test_a_chain_through_two_roles_holds_link_by_link(facts: Facts) -> None:
    assert named(facts, "first trust").state is State.HELD
    assert named(facts, "trust").state is State.HELD
    assert named(facts, "permission").state is State.HELD
    assert f"target role {TARGET}" in named(facts, "service account").found


@pytest.mark.parametrize(
    ("facts", "reason", "mended"),
    [
        (chained(admits(arn=f"{ROLE}-other")), Reason.TRUST_DENIES, True),
        (chained(web()), Reason.TRUST_DENIES, True),
        (chained(service()), Reason.TRUST_DENIES, True),  # as for a role without a target: the usual slip
        (chained(admits("sts:AssumeRole")), Reason.TAG_SESSION_NOT_TRUSTED, True),
        (chained(admits(Condition={"StringEquals": {"sts:ExternalId": "mine"}})), Reason.TRUST_DENIES, True),
        (chained(ROOT), Reason.TRUST_DENIES, True),
        (chained(EXACT, GUARD), Reason.TRUST_DENIES_EXPLICITLY, False),
        (chained(EXACT, identity=[policy(*ACTIONS, effect="Deny")]), Reason.TRUST_DENIES_EXPLICITLY, False),
        (chained(EXACT, boundary=policy("s3:*", kind="boundary")), Reason.TRUST_DENIES, False),
    ],
)
def test_what_the_second_hop_lacks_is_named_and_mended_where_that_is_proven(
    facts: Facts, reason: Reason, mended: bool
) -> None:
    link = named(facts, "trust")
    assert (link.state, link.reason) == (State.BROKEN, reason)
    assert bool(link.fix) is mended
    assert link.fix or link.advice
    assert named(facts, "first trust").state is State.HELD
    if mended:
        words = shlex.split(link.fix)
        assert words[:5] == ["aws", "iam", "update-assume-role-policy", "--role-name", "writer"]
        after = json.loads(words[-1])
        assert isinstance(facts.role, Role)
        role = replace(facts.role, trust=trust(*after["Statement"]), written=after)
        assert named(replace(facts, role=role), "trust").state is State.HELD


def test_the_first_role_is_judged_as_any_that_pods_assume() -> None:
    facts = chained(EXACT)
    assert isinstance(facts.through, Role)
    closed = replace(facts.through, trust=trust(service("sts:AssumeRole")), written=written(service("sts:AssumeRole")))
    link = named(replace(facts, through=closed), "first trust")
    assert (link.reason, "--role-name billing" in link.fix) == (Reason.TAG_SESSION_NOT_TRUSTED, True)
    gone = named(replace(facts, through=None), "first role")
    assert gone.reason is Reason.ROLE_MISSING
    assert "target" not in gone.fix


def test_a_target_that_is_not_there_gets_no_role_for_pods_in_its_place() -> None:
    link = named(replace(chained(EXACT), role=None), "role")
    assert (link.reason, link.fix) == (Reason.ROLE_MISSING, "")
    assert "--target-role-arn" in link.advice
    assert ROLE in link.advice


def test_a_target_of_another_account_is_not_called_broken() -> None:
    facts = replace(chained(EXACT), role=Unread("is of account 999988887777"))
    assert named(facts, "trust").state is State.UNKNOWN
    assert named(replace(chained(EXACT), through=Unread("no")), "trust").state is State.UNKNOWN


def test_without_a_target_no_link_speaks_of_a_first_role() -> None:
    assert not [link.name for link in verify(pod_identity()) if link.name.startswith("first")]


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [(chained(EXACT), Verdict.ALLOWED), (chained(ROOT), Verdict.DENIED), (chained(web()), Verdict.DENIED)],
)
def test_explain_goes_through_both_roles(facts: Facts, verdict: Verdict) -> None:
    question = Question(NAMESPACE, "vector", "s3:PutObject", "arn:aws:s3:::usage/account=a/x", {})
    answer = explain(Evidence(question, facts, None))
    assert (answer.verdict, answer.role_arn) == (verdict, TARGET)


def test_a_session_policy_is_named_by_its_association_and_bounds_the_target() -> None:
    facts = chained(EXACT)
    reading = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    own = Named("session policy", parse(written(reading), "session"))
    (association,) = facts.associations if not isinstance(facts.associations, Unread) else ()
    bounded = replace(facts, associations=(replace(association, policy=own),))
    assert named(bounded, "trust").state is State.HELD
    question = Question(NAMESPACE, "vector", "s3:PutObject", "arn:aws:s3:::usage/account=a/x", {})
    (link,) = (one for one in explain(Evidence(question, bounded, None)).links if one.state is State.BROKEN)
    assert (link.reason, link.fix) == (Reason.PERMISSION_BOUNDED, "")
    assert "association a-1" in link.advice
