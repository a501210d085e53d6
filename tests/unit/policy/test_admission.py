"""Whom a trust policy admits, and whether one admits all that another does."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.policy import Admission, Document, admits_all, admitted
from unit.policy.asking import ACCOUNT, BUCKET, HOST, PROVIDER, document, statement


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
        ([subjects("a", operator="StringNotEquals")], [subjects("b")], False),
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
        (statement(), {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, False),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, statement(action="ec2:*"), False),
        (statement(), {"Effect": "Allow", "Action": "s3:*", "NotResource": BUCKET}, False),
        ({"Effect": "Allow", "Action": "s3:*", "NotResource": BUCKET},) * 2 + (True,),
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


def test_documents_of_different_versions_are_not_compared() -> None:
    assert not admits_all(document(statement()), document(statement(), version="2008-10-17"))


def test_too_many_combinations_are_not_taken_apart() -> None:
    keys = {f"aws:RequestTag/{i}": [f"v{j}" for j in range(12)] for i in range(5)}
    huge = document(statement(Condition={"StringEquals": keys}))
    assert admits_all(huge, huge)
