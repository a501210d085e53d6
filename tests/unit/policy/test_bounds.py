"""Policies and requests that are built to cost much: time and memory stay within pattern length times text length.

The limits are loose (a slow machine must pass); what they exclude is exponential and cubic growth.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from keyless.policy import MalformedPolicy, Named, Policies, Principal, Request, admits_all, evaluate, parse
from unit.policy.asking import ACCOUNT, PROVIDER, SESSION, ask, document, named, statement

pytestmark = pytest.mark.timeout(10)
HOSTILE = ["*a" * 150, "*a?" * 100, "?*" * 150, "a*" * 150 + "b", "*" * 300 + "b", "*ab" * 100 + "?"]
LONG = "a" * 20_000


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("operator", ["StringLike", "StringNotLike", "ArnLike", "ForAllValues:StringLike"])
def test_hostile_patterns_in_conditions(pattern: str, operator: str) -> None:
    expected = f"arn:aws:s3:::{pattern}" if operator == "ArnLike" else pattern
    value = f"arn:aws:s3:::{LONG}" if operator == "ArnLike" else LONG
    policy = [statement(Condition={operator: {"aws:userid": [expected] * 10}})]
    assert ask(policy, context={"aws:userid": value}).outcome in ("Allowed", "ImplicitDeny")


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_patterns_in_actions_and_resources(pattern: str) -> None:
    policy = [statement(action=f"s3:{pattern}", resource=f"arn:aws:s3:::{pattern}x")]
    decision = ask(policy, action=f"s3:{LONG}", resource=f"arn:aws:s3:::{LONG}")
    assert decision.outcome == "ImplicitDeny"


def test_a_variable_brings_in_no_pattern() -> None:
    """Rule 14: what a caller's tag holds is text, however many stars it has."""
    home = statement(Condition={"StringLike": {"aws:userid": "*${aws:PrincipalTag/x}*"}})
    assert not ask([home], context={"aws:userid": LONG, "aws:PrincipalTag/x": "*a" * 10_000}).allowed


def test_thousands_of_statements() -> None:
    many = [
        statement("Deny", action=f"s3:Get{'*a' * 20}{n}", resource=f"arn:aws:s3:::{'*b' * 20}{n}") for n in range(1500)
    ]
    policies = Policies(identity=(named(*many, statement()),))
    assert ask(policies).allowed
    assert len(ask(policies).trace) == 1501


def test_many_values_against_many_patterns() -> None:
    """Values times patterns, and no more."""
    condition = {"ForAllValues:StringLike": {"aws:TagKeys": [f"*a{n}*" for n in range(300)]}}
    keys = tuple(f"{'a' * 100}{n}" for n in range(300))
    assert ask([statement(Condition=condition)], context={"aws:TagKeys": keys}).allowed


def test_what_a_document_remembers_is_bounded() -> None:
    """Whoever asks for every action there is must not fill memory."""
    policies = Policies(identity=(Named("role", document(statement())),))
    (source,) = policies.identity
    for number in range(1000):
        assert evaluate(Request(f"s3:Action{number}", "*", SESSION), policies).allowed
    assert source.document is not None
    assert len(source.document.plans) <= 128


@pytest.mark.parametrize(
    ("operator", "expected", "value"),
    [
        ("NumericEquals", "1e999", "9" * 100_000),
        ("NumericLessThan", "1e999", "-1e-999"),
        ("NumericEquals", "9" * 40, f"{'9' * 40}e999"),
        ("DateLessThan", "2030-01-01", "9" * 100_000),
        ("IpAddress", "10.0.0.0/8", "1." * 100_000),
        ("IpAddress", "::/0", ":" * 100_000),
        ("BinaryEquals", "QUI=", "QUI=" * 100_000),
        ("Bool", "true", "t" * 100_000),
    ],
)
def test_values_that_are_expensive_to_read(operator: str, expected: str, value: str) -> None:
    decision = ask([statement(Condition={operator: {"aws:userid": expected}})], context={"aws:userid": value})
    assert decision.outcome in ("Allowed", "ImplicitDeny")


def nested(depth: int) -> str:
    return '{"Statement":' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize("depth", [10, sys.getrecursionlimit() - 50, 100_000])
def test_deep_nesting_is_malformed(depth: int) -> None:
    with pytest.raises(MalformedPolicy):
        parse(nested(depth), "identity")


@pytest.mark.parametrize(
    "source",
    [
        '{"Version":' + "9" * 100_000 + "}",
        '{"Statement":[' + ",".join(["{}"] * 50_000) + "]}",
        json.dumps({"Statement": {"Effect": "x" * 1_000_000}}),
        json.dumps({"Statement": {f"k{n}": n for n in range(50_000)}}),
    ],
)
def test_large_and_wrong_is_malformed(source: str) -> None:
    with pytest.raises(MalformedPolicy):
        parse(source, "identity")


@pytest.mark.parametrize("entry", ["a." * 50_000 + "x", "a" * 100_000, "-" * 100_000 + ".amazonaws.co"])
def test_names_of_principals_are_read_in_one_pass(entry: str) -> None:
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": entry}, "Action": "sts:AssumeRole"}
    with pytest.raises(MalformedPolicy):
        document(trust, kind="trust")
    with pytest.raises(MalformedPolicy):
        document({**trust, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{entry}*"}}, kind="trust")


def test_coverage_of_large_policies_is_decided_in_time() -> None:
    """The most that 10,240 characters hold, many times over; what is too much is not proven, which is safe."""
    keys = {f"aws:RequestTag/{key}": [f"*{'a*' * 30}{n}" for n in range(30)] for key in range(3)}
    wide = [statement(action=[f"s3:{'*a' * 10}{n}*" for n in range(40)], Condition={"StringLike": keys})] * 20
    narrow = statement(
        action=[f"s3:{'a' * 20}{n}" for n in range(40)], resource=[f"arn:aws:s3:::{n}/*" for n in range(40)]
    )
    assert not admits_all(document(*wide), document(narrow))
    assert admits_all(document(*wide[:2]), document(*wide))


def test_a_principal_costs_nothing_where_thousands_are_named() -> None:
    entries = [f"arn:aws:iam::{ACCOUNT}:role/r{n}" for n in range(5000)]
    trust = {"Effect": "Allow", "Principal": {"AWS": entries, "Federated": PROVIDER}, "Action": "sts:AssumeRole"}
    policies = Policies(resource=named(trust, kind="trust"))
    caller = Principal("AssumedRole", ACCOUNT, "arn:x", role_arn=entries[-1])
    for _ in range(2000):
        assert evaluate(Request("sts:AssumeRole", entries[0], caller), policies).allowed
