"""The analyses against the engine: what they say of all requests holds for each one that is tried."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Document, Named, Policies, Principal, Request, admits_all, admitted, evaluate, pack, parse
from keyless.policy.globs import matcher, may_meet, read
from unit.policy.asking import ACCOUNT, BUCKET, HOST, OBJECT, OTHER, POD_IDENTITY, PROVIDER, ROLE, SESSION, TOKEN, USER

MANY = settings(max_examples=200, deadline=None)
SUBJECTS = ["a", "ab", "b", "*", "${*}"]
OPERATORS = [
    f"{quantifier}{base}{suffix}"
    for quantifier in ("", "ForAnyValue:", "ForAllValues:")
    for base in ("StringEquals", "StringLike", "StringNotEquals", "StringNotLike")
    for suffix in ("", "IfExists")
]
VALUES = st.lists(st.sampled_from(["a", "a*", "?", "?b", "*", "b", "${*}", "${aws:userid, 'a'}"]), max_size=3)


def conditions(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    texts = st.dictionaries(
        st.sampled_from(OPERATORS), st.dictionaries(st.sampled_from(keys), VALUES, min_size=1), max_size=2
    )
    nulls = st.dictionaries(st.just("Null"), st.fixed_dictionaries({keys[0]: st.sampled_from(["true", "false"])}))
    return st.one_of(texts, st.builds(lambda a, b: {**a, **b}, texts, nulls))


def documents(kind: Any, statements: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Document]:
    return st.builds(
        lambda version, made: parse(json.dumps({"Version": version, "Statement": made}), kind),
        st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]),
        st.lists(statements, min_size=1, max_size=3),
    )


EFFECT = st.sampled_from(["Allow", "Allow", "Deny"])
TRUST = documents(
    "trust",
    st.builds(
        lambda effect, negated, action, principal, condition: {
            "Effect": effect,
            "NotAction" if negated else "Action": action,
            "Principal": principal,
            "Condition": condition,
        },
        EFFECT,
        st.sampled_from([False, False, True]),
        st.sampled_from(["sts:AssumeRoleWithWebIdentity", "sts:AssumeRole", "sts:Assume*", "sts:*", "sts:TagSession"]),
        st.sampled_from(
            [
                {"Federated": PROVIDER},
                {"Federated": [PROVIDER, "accounts.google.com"]},
                {"Federated": "accounts.google.com"},
                {"AWS": "*"},
                {"AWS": [ACCOUNT, SESSION.arn]},
                {"AWS": ROLE, "Service": POD_IDENTITY.service},
            ]
        ),
        conditions(f"{HOST}:sub", f"{HOST}:aud", f"{HOST}:amr"),
    ),
)
AMR: list[Any] = [None, "a", ("a",), ("b", "ab"), ()]


def tokens() -> list[Request]:
    """Every token that the pools make."""
    made = []
    for subject, audience, amr in itertools.product(SUBJECTS, ["a", "b"], AMR):
        context = {f"{HOST}:sub": subject, f"{HOST}:aud": audience}
        context |= {} if amr is None else {f"{HOST}:amr": amr}
        made.append(Request("sts:AssumeRoleWithWebIdentity", ROLE, TOKEN, context))
    return made


def callers() -> list[Request]:
    principals: list[Principal] = [SESSION, USER, OTHER, POD_IDENTITY]
    return [
        Request(action, ROLE, one, {f"{HOST}:amr": "ab"})
        for one in principals
        for action in ("sts:AssumeRole", "sts:TagSession")
    ]


TOKENS, CALLERS = tokens(), callers()


def allows(document: Document, request: Request) -> bool:
    source = Named("it", document)
    may = Policies(resource=source) if document.kind == "trust" else Policies(identity=(source,))
    return evaluate(request, may).allowed


@MANY
@given(TRUST)
def test_every_token_that_is_let_in_lies_in_a_set_that_is_told(trust: Document) -> None:
    ways = [way for way in admitted(trust) if way.provider == PROVIDER]
    for token in TOKENS:
        subject, audience = str(token.context[f"{HOST}:sub"]), str(token.context[f"{HOST}:aud"])
        lets_in = allows(trust, token)
        fitting = [way for way in ways if way.admits(subject, audience)]
        assert fitting or not lets_in
        assert lets_in or all(way.further or way.unless for way in fitting)


@MANY
@given(TRUST, TRUST)
def test_a_wider_trust_policy_lets_in_all_that_the_narrower_does(a: Document, b: Document) -> None:
    if admits_all(a, b):
        for request in (*TOKENS, *CALLERS):
            assert allows(a, request) or not allows(b, request)


CONDITION = conditions("aws:PrincipalTag/t", "aws:TagKeys")
STATEMENT = st.builds(
    lambda effect, action, resource, negated, condition: {
        "Effect": effect,
        "NotAction" if negated[0] else "Action": action,
        "NotResource" if negated[1] else "Resource": resource,
        "Condition": condition,
    },
    EFFECT,
    st.lists(st.sampled_from(["s3:*", "s3:Put*", "s3:PutObject", "*", "s3:?et*", "ec2:*"]), min_size=1, max_size=2),
    st.lists(
        st.sampled_from(["*", BUCKET, f"{BUCKET}/*", "arn:aws:s3:::*", f"{BUCKET}/${{aws:userid, 'key'}}"]),
        min_size=1,
        max_size=2,
    ),
    st.tuples(st.booleans(), st.booleans()),
    CONDITION,
)


def document(statements: list[dict[str, Any]], version: str = "2012-10-17") -> Document:
    return parse({"Version": version, "Statement": statements}, "identity")


def narrowed(statements: list[dict[str, Any]], condition: dict[str, Any], one: dict[str, Any]) -> list[dict[str, Any]]:
    """The same with its first values alone, more conditions, and one statement more: often, not always, narrower."""
    kept = [
        {name: value[:1] if isinstance(value, list) else value for name, value in statement.items()}
        for statement in statements
    ]
    return [*({**each, "Condition": {**each["Condition"], **condition}} for each in kept), one]


STATEMENTS = st.lists(STATEMENT, min_size=1, max_size=3)
PAIRS = st.one_of(
    st.tuples(STATEMENTS, STATEMENTS),
    st.builds(lambda wide, condition, one: (wide, narrowed(wide, condition, one)), STATEMENTS, CONDITION, STATEMENT),
)
REQUESTS = [
    Request(
        action,
        resource,
        USER,
        {
            name: value
            for name, value in zip(("aws:PrincipalTag/t", "aws:TagKeys"), pair, strict=True)
            if value is not None
        },
    )
    for action in ("s3:PutObject", "s3:GetObject", "ec2:RunInstances")
    for resource in (OBJECT, BUCKET, "*")
    for pair in itertools.product([None, "a", "b"], [None, ("a",), ("b", "ab")])
]


@settings(max_examples=200, deadline=None)
@given(PAIRS, st.sampled_from(["2012-10-17", "2008-10-17"]))
def test_a_wider_policy_allows_all_that_the_narrower_does(
    pair: tuple[list[dict[str, Any]], list[dict[str, Any]]], version: str
) -> None:
    one, other = (document(statements, version) for statements in pair)
    for a, b in ((one, other), (other, one)):
        if admits_all(a, b):
            for request in REQUESTS:
                assert allows(a, request) or not allows(b, request)


PATTERN = st.text(alphabet="ab*?\U0001f600", max_size=6)


@settings(max_examples=400, deadline=None)
@given(PATTERN, PATTERN, st.text(alphabet="ab\U0001f600", max_size=6))
def test_patterns_that_are_said_never_to_meet_never_do(a: str, b: str, text: str) -> None:
    one, other = (read(pattern, wildcards=True, variables=False) for pattern in (a, b))
    assert may_meet(one, other) is may_meet(other, one)
    if matcher(one)(text) and matcher(other)(text):
        assert may_meet(one, other)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text(alphabet="ab:-", min_size=1, max_size=30), min_size=1, max_size=30), st.integers(420, 2048))
def test_packed_subjects_are_let_in_by_their_shard_alone(names: set[str], quota: int) -> None:
    shards = pack(names, PROVIDER, quota=quota)
    documents = [parse(shard.document, "trust") for shard in shards]
    for name in names:
        context = {f"{HOST}:sub": name, f"{HOST}:aud": "sts.amazonaws.com"}
        token = Request("sts:AssumeRoleWithWebIdentity", ROLE, TOKEN, context)
        letting = [shard for shard, document in zip(shards, documents, strict=True) if allows(document, token)]
        assert letting == [shard for shard in shards if name in shard.subjects]
        assert len(letting) == 1
