"""Metamorphic properties: they hold for every policy, so no expected answer is needed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Decision, Outcome, Policies, Request, Unreadable, admits_all, evaluate, parse
from unit.policy.asking import BUCKET, OBJECT, SESSION, USER, named

ACTION = st.sampled_from(["s3:PutObject", "s3:Get*", "s3:*", "*", "ec2:*", "s3:?utObject"])
RESOURCE = st.sampled_from(["*", BUCKET, f"{BUCKET}/*", "arn:aws:s3:::other/*", f"{BUCKET}/${{aws:PrincipalTag/team}}"])
OPERATOR = st.sampled_from(
    ["StringEquals", "StringNotEquals", "StringLikeIfExists", "ForAllValues:StringLike", "ForAnyValue:StringEquals"]
)
CONDITION = st.dictionaries(
    OPERATOR, st.fixed_dictionaries({"aws:PrincipalTag/team": st.sampled_from(["red", "r*", "key"])}), max_size=2
)


def statements(effects: tuple[str, ...] = ("Allow", "Deny")) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from(effects), st.booleans(), ACTION, st.booleans(), RESOURCE, CONDITION).map(
        lambda t: {
            "Effect": t[0],
            "NotAction" if t[1] else "Action": t[2],
            "NotResource" if t[3] else "Resource": t[4],
            "Condition": t[5],
        }
    )


POLICY = st.lists(statements(), min_size=1, max_size=4)
CONTEXT = st.sampled_from(
    [{}, {"aws:PrincipalTag/team": "red"}, {"aws:principaltag/team": ("red", "x")}, {"aws:PrincipalTag/Team": "key"}]
)
REQUEST = st.builds(
    Request,
    action=st.sampled_from(["s3:PutObject", "s3:GetObject", "ec2:RunInstances"]),
    resource=st.sampled_from([OBJECT, BUCKET, "*"]),
    principal=st.sampled_from([SESSION, USER]),
    context=CONTEXT,
)
MANY = settings(max_examples=150, deadline=None)


def decide(request: Request, *policies: list[dict[str, Any]], **more: Any) -> Decision:
    return evaluate(request, Policies(identity=tuple(named(*policy) for policy in policies), **more))


@MANY
@given(REQUEST, POLICY, statements(("Deny",)))
def test_adding_a_deny_never_allows(request: Request, policy: list[Any], deny: dict[str, Any]) -> None:
    if not decide(request, policy).allowed:
        assert not decide(request, [*policy, deny]).allowed


@MANY
@given(REQUEST, POLICY, statements(("Allow",)))
def test_adding_an_allow_never_denies(request: Request, policy: list[Any], allow: dict[str, Any]) -> None:
    if decide(request, policy).allowed:
        assert decide(request, [*policy, allow]).allowed


@MANY
@given(REQUEST, POLICY, POLICY)
def test_boundaries_and_session_policies_only_shrink(request: Request, policy: list[Any], limit: list[Any]) -> None:
    if not decide(request, policy).allowed:
        assert not decide(request, policy, boundary=named(*limit, kind="boundary")).allowed
        assert not decide(request, policy, session=(named(*limit, kind="session"),)).allowed
        assert not decide(request, policy, scps=((named(*limit, kind="scp"),),)).allowed


@MANY
@given(REQUEST, POLICY, POLICY, st.randoms(use_true_random=False))
def test_order_and_grouping_are_neutral(request: Request, one: list[Any], two: list[Any], random: Any) -> None:
    together = [*one, *two]
    shuffled = random.sample(together, len(together))
    outcome = decide(request, one, two).outcome
    assert outcome is decide(request, together).outcome is decide(request, shuffled).outcome


@MANY
@given(REQUEST, POLICY)
def test_the_trace_tells_the_decision(request: Request, policy: list[Any]) -> None:
    decision = decide(request, policy)
    applying = {trace.effect for trace in decision.trace if trace.applies}
    expected = Outcome.EXPLICIT_DENY if "Deny" in applying else Outcome.ALLOWED if applying else Outcome.IMPLICIT_DENY
    assert decision.outcome is expected
    by = decision.decided_by
    assert by is None if expected is Outcome.IMPLICIT_DENY else (by is not None and by.applies)
    assert decision.decided_label == (by.label if by else None)


@MANY
@given(REQUEST, POLICY)
def test_reading_less_never_makes_an_answer_more_certain(request: Request, policy: list[Any]) -> None:
    partial = evaluate(request, Policies(identity=(named(*policy), Unreadable("x", "lacks iam:GetPolicy"))))
    assert partial.outcome in (Outcome.UNKNOWN, Outcome.EXPLICIT_DENY)
    assert (partial.outcome is Outcome.EXPLICIT_DENY) is (decide(request, policy).outcome is Outcome.EXPLICIT_DENY)


@settings(max_examples=300, deadline=None)
@given(REQUEST, POLICY, POLICY)
def test_a_policy_proven_wider_allows_all_that_the_narrower_does(request: Request, a: list[Any], b: list[Any]) -> None:
    wide, narrow = (parse(json.dumps({"Version": "2012-10-17", "Statement": s}), "identity") for s in (a, b))
    if admits_all(wide, narrow) and decide(request, b).allowed:
        assert decide(request, a).allowed


@MANY
@given(POLICY)
def test_every_policy_of_positive_parts_admits_itself(policy: list[Any]) -> None:
    document = parse(json.dumps({"Version": "2012-10-17", "Statement": policy}), "identity")
    assert admits_all(document, document)
