"""Whom a trust policy admits, and whether one admits all that another does."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.policy import Admission, Document, admits_all, admitted
from unit.policy.asking import ACCOUNT, BUCKET, HOST, PROVIDER, document, statement

NOT_S3 = {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}
NOT_BUCKET = {"Effect": "Allow", "Action": "s3:*", "NotResource": BUCKET}


def web(condition: dict[str, Any] | None = None, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"}
    return {**made, **({"Condition": condition} if condition else {}), **more}


def trust(*statements: dict[str, Any]) -> Document:
    return document(*statements, kind="trust")


def subjects(*names: str, operator: str = "StringEquals", **more: Any) -> dict[str, Any]:
    return web({operator: {f"{HOST}:sub": list(names)}}, **more)


def test_a_trust_policy_reads_as_a_list_of_ways_in() -> None:
    exact = web({"StringEquals": {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": ["a", "b"]}}, Sid="Exact")
    pattern = web({"StringLike": {f"{HOST}:SUB": "a*"}, "Bool": {"aws:SecureTransport": "true"}})
    assert admitted(trust(exact, pattern)) == (
        Admission(PROVIDER, ("a", "b"), False, ("sts.amazonaws.com",), "Exact"),
        Admission(PROVIDER, ("a*",), True, (), "statement 1", ("Bool aws:SecureTransport true",)),
    )


def test_what_is_no_list_is_told_as_a_further_condition() -> None:
    """The sets are never too small: what cannot be listed leaves them open."""
    (way,) = admitted(trust(web({"StringEquals": {f"{HOST}:sub": ["a", "${aws:userid}"], f"{HOST}:aud": []}})))
    assert (way.subjects, way.audiences) == ((), ())
    assert way.further == (f"StringEquals {HOST}:sub a, ${{aws:userid}}", f"StringEquals {HOST}:aud ")
    assert way.admits("anything", "at all")
    (escaped,) = admitted(trust(subjects("${*}")))
    assert escaped.subjects == ()


def test_patterns_of_audiences_are_patterns() -> None:
    (way,) = admitted(trust(web({"StringLike": {f"{HOST}:aud": "sts.*"}, "StringEquals": {f"{HOST}:sub": "a*"}})))
    assert way.audiences_are_patterns
    assert way.admits("a*", "sts.amazonaws.com")
    assert not way.admits("ab", "sts.amazonaws.com")
    assert not way.admits("a*", "other")


def test_what_a_deny_takes_away_is_told() -> None:
    denies = [
        subjects("evil", effect="Deny"),
        web(effect="Deny", Principal={"AWS": "*"}),
        web(effect="Deny", Principal={"Federated": "accounts.google.com"}),
        web(effect="Deny", Action="sts:TagSession"),
    ]
    (way,) = admitted(trust(web(), *denies))
    assert way.unless == (f"StringEquals {HOST}:sub evil", "always")


def test_only_allows_of_web_identity_are_ways_in() -> None:
    service = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    cognito = web(Principal={"Federated": "accounts.google.com"})
    found = admitted(trust(service, web(effect="Deny"), web(Action="sts:TagSession"), cognito))
    assert [admission.provider for admission in found] == ["accounts.google.com"]


@pytest.mark.parametrize(
    ("a", "b", "proven"),
    [
        ([subjects("a", "b")], [subjects("a")], True),
        ([subjects("a")], [subjects("a", "b")], False),
        ([subjects("a"), subjects("b")], [subjects("a", "b")], True),
        ([subjects("mxp-*", operator="StringLike")], [subjects("mxp-1", "mxp-2")], True),
        ([subjects("mxp-*", operator="StringLike")], [subjects("mxp-1-*", operator="StringLike")], True),
        ([subjects("mxp-1", operator="StringLike")], [subjects("mxp-*", operator="StringLike")], False),
        ([subjects("mxp-*")], [subjects("mxp-1")], False),
        ([web()], [subjects("a")], True),
        ([subjects("a")], [web()], False),
        ([subjects("a", operator="StringNotEquals")], [subjects("a", operator="StringNotEquals")], True),
        ([subjects("a", operator="StringNotEquals")], [subjects("b")], True),
        ([subjects("a", operator="StringNotEquals")], [subjects("a", "b")], False),
        ([subjects("a", operator="StringNotEquals")], [subjects("a", "b", operator="StringNotEquals")], True),
        ([subjects("a", "b", operator="StringNotEquals")], [subjects("a", operator="StringNotEquals")], False),
        ([subjects("a*", operator="StringNotLike")], [subjects("a*", "b", operator="StringNotLike")], True),
        ([subjects("a*", operator="StringNotLike")], [subjects("ab", operator="StringNotEquals")], False),
        ([subjects("a*", operator="StringNotLike")], [subjects("b?", operator="StringLike")], True),
        ([subjects("a", operator="StringEqualsIfExists")], [subjects("a")], True),
        ([subjects("a")], [subjects("a", operator="StringEqualsIfExists")], False),
        ([subjects("false", operator="Null")], [subjects("a")], True),
        ([subjects("true", operator="Null")], [subjects("a")], False),
        ([subjects("false", operator="Null")], [subjects("a", operator="StringNotEquals")], False),
        (
            [subjects("a*", operator="ForAllValues:StringLike")],
            [subjects("ab", operator="ForAllValues:StringEquals")],
            True,
        ),
        (
            [subjects("a*", operator="ForAllValues:StringLike")],
            [subjects("ab", operator="ForAnyValue:StringEquals")],
            False,
        ),
        ([subjects("1", operator="NumericEquals")], [subjects("1")], False),
        ([subjects("a")], [web({"StringEqualsIfExists": {f"{HOST}:sub": []}})], False),
        ([web(), web({"Bool": {"aws:x": "true"}}, effect="Deny", Principal={"AWS": "*"})], [web()], False),
        (
            [web(), subjects("x", effect="Deny")],
            [web(), subjects("x", effect="Deny", Principal={"AWS": "*"})],
            True,
        ),
        ([web(Action="sts:*")], [web()], True),
        ([web()], [web(Action="sts:*")], False),
        ([web(), subjects("evil", effect="Deny")], [web()], False),
        ([web(), subjects("evil", effect="Deny")], [web(), subjects("evil", "x", effect="Deny")], True),
        ([web(Principal={"Federated": [PROVIDER, "accounts.google.com"]})], [web()], True),
        ([web()], [web(Principal={"Federated": "accounts.google.com"})], False),
        ([web(Principal={"AWS": "*"})], [web(Principal={"AWS": ACCOUNT})], True),
        ([web(Principal={"AWS": ACCOUNT})], [web(Principal={"AWS": "*"})], False),
        ([subjects("a", operator="ForAnyValue:StringEquals")], [subjects("a")], True),
        ([web({"StringEquals": {f"{HOST}:aud": "x"}})], [subjects("x")], False),
    ],
)
def test_coverage_of_trust_policies(a: list[Any], b: list[Any], proven: bool) -> None:
    assert admits_all(trust(*a), trust(*b)) is proven


@pytest.mark.parametrize(
    ("a", "b", "proven"),
    [
        (statement(), statement(resource=BUCKET), True),
        (statement(resource=BUCKET), statement(), False),
        (statement(action="*"), {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, True),
        (statement(), NOT_S3, False),
        (NOT_S3, statement(action="ec2:*"), True),
        (NOT_S3, statement(action="*:Get*"), False),
        (NOT_S3, {**NOT_S3, "NotAction": ["s3:*", "ec2:*"]}, True),
        ({**NOT_S3, "NotAction": ["s3:*", "ec2:*"]}, NOT_S3, False),
        (statement(), NOT_BUCKET, True),
        (statement(resource="arn:aws:s3:::*"), NOT_BUCKET, False),
        (NOT_BUCKET, statement(resource=f"{BUCKET}/*"), True),
        (NOT_BUCKET, statement(resource="arn:aws:s3:::buck*"), False),
        (NOT_BUCKET, statement(), False),
        (NOT_BUCKET, {**NOT_BUCKET, "NotResource": [BUCKET, f"{BUCKET}/*"]}, True),
        ({**NOT_BUCKET, "NotResource": [BUCKET, f"{BUCKET}/*"]}, NOT_BUCKET, False),
        (NOT_BUCKET, NOT_BUCKET, True),
        (statement(action=["s3:Get*", "s3:Put*"]), statement(action=["s3:GetObject", "s3:PutObject"]), True),
    ],
)
def test_coverage_of_identity_policies(a: Any, b: Any, proven: bool) -> None:
    assert admits_all(document(a), document(b)) is proven


def test_coverage_of_not_principal_is_equality() -> None:
    deny = statement("Deny", NotPrincipal={"AWS": ACCOUNT})
    allow = statement(Principal={"AWS": ACCOUNT, "Service": "s3.amazonaws.com", "CanonicalUser": "abc"})
    both = document(allow, deny, kind="resource")
    assert admits_all(both, both)
    assert not admits_all(both, document(allow, statement("Deny", Principal="*"), kind="resource"))
    assert not admits_all(document(allow, kind="resource"), document(statement(), kind="identity"))
    assert not admits_all(document(statement(), kind="identity"), document(allow, kind="resource"))


def test_documents_of_different_versions_are_not_compared() -> None:
    assert not admits_all(document(statement()), document(statement(), version="2008-10-17"))


def test_in_version_2008_a_star_in_braces_is_a_pattern() -> None:
    """Read as a variable it would be the text "*", and the proof wrong."""
    wide, narrow = (
        document(statement(Condition={"StringLike": {"aws:userid": value}}), version="2008-10-17")
        for value in ("${*}", "[*]")
    )
    exact = document(statement(Condition={"StringEquals": {"aws:userid": "*"}}), version="2008-10-17")
    assert admits_all(wide, wide)
    assert not admits_all(wide, exact)
    assert not admits_all(wide, narrow)


def test_too_many_combinations_are_not_taken_apart() -> None:
    keys = {f"aws:RequestTag/{i}": [f"v{j}" for j in range(12)] for i in range(5)}
    huge = document(statement(Condition={"StringEquals": keys}))
    by_parts = [
        statement(Condition={"StringEquals": {**keys, "aws:RequestTag/0": half}})
        for half in (keys["aws:RequestTag/0"][:6], keys["aws:RequestTag/0"][6:])
    ]
    assert admits_all(huge, huge)
    assert admits_all(huge, document(*by_parts))
    assert not admits_all(document(*by_parts), huge)  # true, but only atom by atom, and there are too many
    few = {name: values[:2] for name, values in keys.items()}
    whole = document(statement(Condition={"StringEquals": few}))
    halves = [
        statement(Condition={"StringEquals": {**few, "aws:RequestTag/0": value}}) for value in few["aws:RequestTag/0"]
    ]
    assert admits_all(document(*halves), whole)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NumericLessThan", "10"),
        ("NotIpAddress", "10.0.0.0/8"),
        ("DateEquals", "2030-01-01"),
        ("Bool", "true"),
        ("BinaryEquals", "QUI="),
        ("ArnLike", ["arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"]),
        ("ArnNotEquals", "my-cluster"),
        ("StringEqualsIgnoreCase", "a"),
    ],
)
def test_a_policy_allows_all_that_it_allows_whatever_it_asks(operator: str, value: Any) -> None:
    texts = [document(statement(Condition={operator: {"aws:x": value}})) for _ in range(2)]
    assert admits_all(*texts)
    assert not admits_all(texts[0], document(statement()))


def test_arns_in_another_order_are_another_condition() -> None:
    """What fits before a value that is no ARN is met; what comes after it is not."""
    first, last = (
        document(statement(Condition={"ArnNotLike": {"aws:x": values}}))
        for values in (["arn:aws:iam::1:role/a", "my-cluster"], ["my-cluster", "arn:aws:iam::1:role/a"])
    )
    assert not admits_all(first, last)
    assert admits_all(first, first)


def test_null_asks_for_presence_with_whatever_is_not_true() -> None:
    narrow = document(statement(Condition={"StringEquals": {"aws:x": "a"}}))
    for value, proven in (("false", True), ("yes", True), ("", True), ("true", False), ("True", False)):
        assert admits_all(document(statement(Condition={"Null": {"aws:x": value}})), narrow) is proven
