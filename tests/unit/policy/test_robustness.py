"""Nothing that parses makes a decision fail: any text in any place, any request, every kind of document."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import (
    Kind,
    MalformedPolicy,
    Named,
    Outcome,
    Policies,
    Request,
    access_denied,
    admits_all,
    admitted,
    evaluate,
    explain,
    parse,
)
from keyless.policy.operators import operator
from unit.policy.asking import ANYONE, OTHER, POD_IDENTITY, PROVIDER, ROOT, SESSION, TOKEN, USER

KINDS: list[Kind] = ["identity", "session", "boundary", "scp", "rcp", "resource", "trust", "endpoint"]
BASES = ["StringEquals", "StringNotLike", "NumericLessThan", "DateEquals", "Bool", "BinaryEquals", "NotIpAddress"]
BASES += ["ArnLike", "ArnNotEquals", "StringEqualsIgnoreCase"]
OPERATORS = [
    f"{how}{base}{end}" for how in ("", "ForAnyValue:", "ForAllValues:") for base in BASES for end in ("", "IfExists")
]
# Signs that mean something somewhere, a lone surrogate, and characters that change their length with their case.
TEXT = st.text(alphabet="ab*?${}:/', \n\ud800\U0001f600İß019.-+eZT", max_size=12)
VALUE = TEXT | st.booleans() | st.integers() | st.floats(allow_nan=False)
KEYS = st.sampled_from(["aws:userid", "AWS:TagKeys", "aws:PrincipalArn", "aws:ResourceAccount"]) | TEXT.filter(
    str.strip
)


def one_of(*texts: str, before: str) -> st.SearchStrategy[Any]:
    hostile = TEXT.map(lambda text: f"{before}{text.replace(':', '')}x")
    return st.lists(st.sampled_from(texts) | hostile, min_size=1, max_size=3)


STATEMENT = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": one_of("*", "s3:*", "sts:AssumeRole*", "s3:?et*", before="s3:"),
        "Resource": one_of(
            "*", "arn:aws:s3:::b/${aws:userid}", "arn:*:*:*:*:*${aws:TagKeys, 'x'}", before="arn:aws:s3:::"
        ),
        "Principal": st.sampled_from(["*", {"AWS": "*"}, {"AWS": [USER.arn, "111122223333"]}, {"Federated": PROVIDER}]),
        "Condition": st.dictionaries(
            st.sampled_from([*OPERATORS, "Null"]),
            st.dictionaries(KEYS, VALUE | st.lists(VALUE, max_size=3)),
            max_size=2,
        ),
    }
)
REQUEST = st.builds(
    Request,
    action=st.sampled_from(["s3:GetObject", "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", ""]) | TEXT,
    resource=st.sampled_from(["*", "arn:aws:s3:::b/a", "arn:aws:iam::111122223333:role/r"]) | TEXT,
    principal=st.sampled_from([SESSION, USER, ROOT, ANYONE, OTHER, TOKEN, POD_IDENTITY]),
    context=st.dictionaries(KEYS, TEXT | st.lists(TEXT, max_size=3).map(tuple), max_size=4),
    resource_account=st.sampled_from(["", "111122223333", "444455556666"]),
)


def fit(statement: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """What the kind may hold, so that most documents parse."""
    if kind == "trust":
        kept = {name: value for name, value in statement.items() if name != "Resource"}
        star = statement["Principal"] == "*"
        return {**kept, "Action": "sts:AssumeRole*", "Principal": {"AWS": "*"} if star else statement["Principal"]}
    with_principal = kind in ("rcp", "resource", "endpoint")
    return {name: value for name, value in statement.items() if name != "Principal" or with_principal}


@settings(max_examples=250, deadline=None)
@given(st.lists(STATEMENT, min_size=1, max_size=3), st.sampled_from(["2012-10-17", "2008-10-17"]), REQUEST)
def test_every_document_that_parses_can_be_asked(
    statements: list[dict[str, Any]], version: str, request: Request
) -> None:
    made: dict[Kind, Named] = {}
    for kind in KINDS:
        with contextlib.suppress(MalformedPolicy):
            document = parse({"Version": version, "Statement": [fit(one, kind) for one in statements]}, kind)
            made[kind] = Named(kind, document)
            assert admits_all(document, document) in (True, False)
            assert len(admitted(document)) <= 3
    some = [(made[kind],) if kind in made else () for kind in KINDS]
    for resource in (made.get("resource"), made.get("trust")):
        policies = Policies(
            identity=some[0],
            resource=resource,
            boundary=made.get("boundary"),
            session=some[1],
            scps=(some[3],) if some[3] else (),
            rcps=(some[4],) if some[4] else (),
            endpoint=made.get("endpoint"),
        )
        decision = evaluate(request, policies)
        assert decision.outcome in Outcome
        assert explain(decision)
        assert access_denied(decision)
        decided = decision.decided_by
        assert decided is None or decided.applies


def test_every_operator_of_the_pool_is_one() -> None:
    assert all(operator(name) for name in OPERATORS)
