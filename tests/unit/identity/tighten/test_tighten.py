"""Tighten: what was used is allowed still, nothing else was ever, and what nobody can judge is left as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.identity.tighten import (
    ANYWHERE,
    Call,
    Span,
    of_record,
    of_trail,
    render_json,
    render_text,
    tighten,
    told_apart,
)
from keyless.policy import Named, Policies, Principal, Request, admits_all, evaluate, parse

BUCKET, OBJECTS = "arn:aws:s3:::usage", "arn:aws:s3:::usage/*"
GUIDE = {
    "Sid": "KeylessData",
    "Effect": "Allow",
    "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
    "Resource": [BUCKET, OBJECTS],
}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def call(action: str, resource: str, role: str = "billing") -> Call:
    return Call(role, action, resource, "2026-11-22T07:00:00Z")


def allows(written: Any, action: str, resource: str) -> bool:
    policies = Policies(identity=(Named("p", parse(dict(written), "identity")),))
    account = resource.split(":")[4] if resource.startswith("arn:") else ""
    return evaluate(Request(action, resource, Principal("AssumedRole", account=account)), policies).allowed


def test_what_the_collector_uses_is_one_action_on_objects() -> None:
    found = tighten(document(GUIDE), [call("s3:PutObject", "arn:aws:s3:::usage/manifest/a.json")])

    (left,) = found.document["Statement"]
    assert (left["Action"], left["Resource"]) == (["s3:PutObject"], [OBJECTS])
    assert set(found.unused) == {
        "KeylessData: s3:GetObject",
        "KeylessData: s3:ListBucket",
        f"KeylessData: {BUCKET}",
    }
    assert any(line.startswith("-") and "s3:GetObject" in line for line in found.lines)


def test_a_wildcard_becomes_the_actions_that_were_called() -> None:
    wide = {**GUIDE, "Action": "s3:*"}
    found = tighten(document(wide), [call("s3:PutObject", "arn:aws:s3:::usage/a"), call("s3:ListBucket", BUCKET)])

    left = {(*one["Action"], *one["Resource"]) for one in found.document["Statement"]}
    assert left == {("s3:ListBucket", BUCKET), ("s3:PutObject", OBJECTS)}
    assert len({one["Sid"] for one in found.document["Statement"]}) == 2
    assert not allows(found.document, "s3:DeleteObject", "arn:aws:s3:::usage/a")


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::other/*"},
        {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*"},
    ],
)
def test_what_the_record_cannot_tell_of_is_left_and_said(statement: dict[str, Any]) -> None:
    found = tighten(document(statement, GUIDE), [call("s3:PutObject", "arn:aws:s3:::usage/a")])

    assert found.document["Statement"][0] == statement
    assert found.kept[0].startswith("statement 0: ")


def test_keys_are_judged_when_asked_for() -> None:
    found = tighten(document({"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*"}), [], keys=True)
    assert found.document["Statement"] == []


def test_conditions_stay() -> None:
    limited = {**GUIDE, "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}
    found = tighten(document(limited), [call("s3:PutObject", "arn:aws:s3:::usage/a")])
    assert found.document["Statement"][0]["Condition"] == limited["Condition"]


def test_refused_calls_and_those_of_others_are_not_uses() -> None:
    line = {
        "caller": {"role": {"name": "billing"}},
        "code": "Success",
        "action": "s3:PutObject",
        "resources": [OBJECTS],
        "time": "2026-11-22T07:00:00.000Z",
    }
    assert list(of_record(line)) == [Call("billing", "s3:PutObject", OBJECTS, "2026-11-22T07:00:00.000Z")]
    assert list(of_record({**line, "code": "AccessDenied"})) == []
    assert list(of_record({**line, "caller": {"type": "User"}})) == []


def test_an_event_of_cloudtrail_is_the_permission_behind_the_operation() -> None:
    event = {
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListObjectsV2",
        "eventTime": "2026-11-22T07:00:00Z",
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"userName": "billing"}}},
        "resources": [{"ARN": BUCKET}, {"ARNPrefix": "arn:aws:s3:::usage/"}],
    }
    assert list(of_trail(event)) == [Call("billing", "s3:ListBucket", BUCKET, "2026-11-22T07:00:00Z")]
    put = {**event, "eventName": "PutObject", "resources": [{"ARN": f"{BUCKET}/a"}, {"ARN": BUCKET}]}
    assert [one.resource for one in of_trail(put)] == [f"{BUCKET}/a"]
    assert list(of_trail({**event, "errorCode": "AccessDenied"})) == []
    assert list(of_trail({"userIdentity": {"type": "IAMUser"}})) == []


def test_the_watched_time_is_said_and_an_empty_record_judges_nothing() -> None:
    span = Span("2026-11-22T07:00:00Z", "2026-11-22T09:00:00Z", 2)
    found = {"p": tighten(document(GUIDE), [call("s3:PutObject", "arn:aws:s3:::usage/a")])}

    assert "watched from 2026-11-22T07:00:00Z to 2026-11-22T09:00:00Z" in render_text("billing", span, 1, found)
    assert "nothing to judge by" in render_text("billing", span, 0, found)
    assert '"calls": 2' in json.dumps(render_json("billing", span, 1, found))


SECRET = "arn:aws:secretsmanager:us-west-2:111122223333:secret:team-a-AbCdEf"
KEY = "arn:aws:kms:us-west-2:111122223333:key/11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("action", "resource", "pattern"),
    [
        ("s3:GetObject", "arn:aws:s3:::usage/a", "arn:aws:s3:::usage/*"),
        ("secretsmanager:GetSecretValue", SECRET, "arn:aws:secretsmanager:us-west-2:111122223333:secret:team-*"),
        ("ssm:GetParameter", "arn:aws:ssm:us-west-2:111122223333:parameter/a/b", "arn:aws:ssm:*:*:parameter/a/*"),
        ("kms:Decrypt", KEY, KEY),
        ("kms:Sign", KEY, KEY),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/target", "arn:aws:iam::444455556666:role/target"),
        ("s3:ListAllMyBuckets", ANYWHERE, "*"),
        ("kms:Decrypt", ANYWHERE, KEY),
    ],
)
def test_what_was_used_in_whatever_account_is_used(action: str, resource: str, pattern: str) -> None:
    granted = {"Effect": "Allow", "Action": [action, "s3:DeleteObject"], "Resource": pattern}
    found = tighten(document(granted), [call(action, resource)], keys=True)
    assert found.unused == ("statement 0: s3:DeleteObject",)


@pytest.mark.parametrize(
    ("parameters", "resource"),
    [({"secretId": SECRET}, SECRET), ({"secretId": "team-a"}, ANYWHERE), ({}, ANYWHERE), (None, ANYWHERE)],
)
def test_a_secret_is_named_by_its_parameters_and_one_that_is_not_may_be_any(parameters: Any, resource: str) -> None:
    event = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "GetSecretValue",
        "eventTime": "2026-11-22T07:00:00Z",
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"userName": "billing"}}},
        "requestParameters": parameters,
    }
    (found,) = of_trail(event)
    granted = {"Effect": "Allow", "Action": found.action, "Resource": "arn:aws:secretsmanager:*:*:secret:team-*"}

    assert found.resource == resource
    assert tighten(document(granted), [found]).unused == ()


def test_what_was_skipped_is_told_and_whether_it_may_have_been_a_use() -> None:
    digest = ("a digest file, which names CloudTrail's files and holds no event", 2)
    nobody = ("an event without userIdentity, which tells nobody's call", 1)
    told = render_text("billing", Span("a", "b", 2, (digest, nobody), objects=False), 1, {})

    assert "skipped 2 × a digest file" in told
    assert "! 1 of what was skipped may be calls of this role" in told
    assert "! no call on objects of S3 is in it" in told
    assert "!" not in render_text("billing", Span("a", "b", 2, (digest,)), 1, {})
    skipped = render_json("billing", Span("a", "b", 2, (nobody,)), 1, {})["watched"]
    assert '"skipped": [{"what": "an event without userIdentity' in json.dumps(skipped)


ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "secretsmanager:GetSecretValue", "ssm:GetParameter"]
RESOURCES = [
    BUCKET,
    "arn:aws:s3:::usage/a",
    "arn:aws:s3:::other/a",
    "arn:aws:secretsmanager:us-west-2:111122223333:secret:team-a-AbCdEf",
    "arn:aws:ssm:us-west-2:111122223333:parameter/team/a",
]
PATTERNS = [
    "*",
    BUCKET,
    OBJECTS,
    "arn:aws:s3:::other/*",
    "arn:aws:secretsmanager:*:*:secret:team-*",
    "arn:aws:ssm:*:*:*",
]
STATEMENTS = st.builds(
    lambda actions, resources: {"Effect": "Allow", "Action": actions, "Resource": resources},
    st.lists(st.sampled_from([*ACTIONS, "s3:*", "s3:Get*", "*"]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True),
)
CALLS = st.lists(st.builds(call, st.sampled_from(ACTIONS), st.sampled_from([*RESOURCES, ANYWHERE])), max_size=6)


@effort(60)
@given(st.lists(STATEMENTS, min_size=1, max_size=3), CALLS)
def test_every_use_that_was_allowed_is_and_nothing_more_than_before(written: list[Any], calls: list[Call]) -> None:
    before = document(*written)
    found = tighten(before, calls)

    for one in calls:
        if allows(before, one.action, one.resource):
            assert allows(found.document, one.action, one.resource)
    if found.document["Statement"]:
        assert admits_all(parse(before, "identity"), parse(dict(found.document), "identity"))
    for action in ACTIONS:
        used = any(one.action == action for one in calls)
        if not used and found.document["Statement"]:
            assert not any(allows(found.document, action, resource) for resource in RESOURCES)


@effort(20)
@given(st.lists(STATEMENTS, min_size=1, max_size=2), CALLS)
def test_tightened_again_nothing_changes(written: list[Any], calls: list[Call]) -> None:
    once = tighten(document(*written), calls)
    if once.document["Statement"]:
        assert tighten(once.document, calls).lines == ()


@effort(40)
@given(st.lists(STATEMENTS, min_size=1, max_size=2), CALLS)
def test_a_call_that_needs_no_policy_shows_no_statement_as_used(written: list[Any], calls: list[Call]) -> None:
    always = call("sts:GetCallerIdentity", "*")
    assert tighten(document(*written), [*calls, always]) == tighten(document(*written), calls)


@effort(40)
@given(st.lists(STATEMENTS, min_size=1, max_size=2), CALLS, st.booleans())
def test_one_call_of_each_kind_that_a_policy_tells_apart_says_all(
    written: list[Any], calls: list[Call], k: bool
) -> None:
    whole = document(*written)
    assert tighten(whole, told_apart([whole], calls), keys=k) == tighten(whole, calls, keys=k)


def test_a_long_record_is_kept_by_the_kinds_of_its_calls() -> None:
    calls = (call("s3:PutObject", f"arn:aws:s3:::usage/{number}") for number in range(2000))
    assert len(told_apart([document(GUIDE)], calls)) == 1
