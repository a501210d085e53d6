"""Policy variables: whatever a pattern is made of, the first request, the second and the tenth are told the same.

The right answer is worked out letter by letter here, without the engine.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Document, Named, Policies, Request, evaluate
from keyless.policy.globs import read
from keyless.policy.variables import Memo, bound, keys_of
from unit.policy.asking import ACCOUNT, SESSION, document, statement

KEYS = ("aws:PrincipalTag/a", "aws:PrincipalTag/b", "aws:TagKeys", "aws:nothing")
LETTERS = st.sampled_from(["", "a", "b", "ab", "/", "-"])
VARIABLE = st.tuples(st.just("variable"), st.sampled_from(KEYS), st.none() | st.sampled_from(["", "a", "b*"]))
PIECES = st.lists(
    VARIABLE | st.tuples(st.sampled_from(["*", "?"])) | st.tuples(st.just("text"), LETTERS), min_size=1, max_size=6
)
VALUES = st.fixed_dictionaries(
    {key: st.none() | st.sampled_from(["", "a", "ab", "*", "a/b"]) for key in KEYS[:2]}
    | {"aws:TagKeys": st.sampled_from([("a",), ("a", "b")])}
)
TEXTS = st.text(alphabet="ab/-*", max_size=7)
PREFIX = "arn:aws:s3:::bucket/"


def written(pieces: list[tuple[Any, ...]]) -> str:
    """As it stands in a policy."""
    made = ""
    for kind, *rest in pieces:
        if kind == "variable":
            key, default = rest
            made += f"${{{key}}}" if default is None else f"${{{key}, '{default}'}}"
        else:
            made += rest[0] if kind == "text" else kind
    return made


def letters(pieces: list[tuple[Any, ...]], values: dict[str, Any]) -> list[str] | None:
    """One letter or wildcard each, wildcards as "any" and "one"; nothing where a variable does not resolve."""
    made: list[str] = []
    for kind, *rest in pieces:
        if kind == "variable":
            value = values.get(rest[0])
            value = rest[1] if value is None else value
            if not isinstance(value, str):
                return None
            made += value
        else:
            made += rest[0] if kind == "text" else ["any" if kind == "*" else "one"]
    return made


def fits(wanted: list[str], text: str) -> bool:
    """Letter by letter, every way that stars can be read."""
    if not wanted:
        return not text
    if wanted[0] == "any":
        return any(fits(wanted[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and wanted[0] in ("one", text[0]) and fits(wanted[1:], text[1:])


def answers(policy: Document, resource: str, context: dict[str, Any]) -> list[bool]:
    """Asked four times of one compiled document, with another request in between."""
    policies = Policies(identity=(Named("it", policy),))
    present = {key: value for key, value in context.items() if value is not None}
    between = Request("s3:PutObject", f"{PREFIX}other", SESSION, {KEYS[0]: "zzz"})
    found = []
    for _ in range(4):
        found.append(evaluate(Request("s3:PutObject", resource, SESSION, present), policies).allowed)
        evaluate(between, policies)
    return found


@settings(max_examples=120, deadline=None)
@given(PIECES, VALUES, TEXTS)
def test_a_resource_with_variables_matches_what_it_says(pieces: Any, values: dict[str, Any], text: str) -> None:
    wanted = letters(pieces, values)
    right = wanted is not None and fits(wanted, text)
    policy = document(statement(resource=[PREFIX + written(pieces), f"{PREFIX}never"]))
    assert answers(policy, PREFIX + text, values) == [right] * 4
    kept_out = document(statement(), statement("Deny", resource=PREFIX + written(pieces)))
    assert answers(kept_out, PREFIX + text, values) == [not right] * 4
    conditional = document(statement(resource=PREFIX + written(pieces), Condition={"Null": {"aws:nothing": "true"}}))
    assert answers(conditional, PREFIX + text, values) == [right] * 4


@settings(max_examples=120, deadline=None)
@given(PIECES, VALUES, TEXTS)
def test_a_condition_with_variables_matches_what_it_says(pieces: Any, values: dict[str, Any], text: str) -> None:
    wanted = letters(pieces, values)
    right = wanted is not None and fits(wanted, text)
    context = {**values, "aws:RequestTag/t": text}
    for operator, answer in (("StringLike", right), ("StringNotLike", not right)):
        policy = document(statement(Condition={operator: {"aws:RequestTag/t": written(pieces)}}))
        assert answers(policy, f"{PREFIX}x", context) == [answer] * 4
    arn = f"arn:aws:iam::{ACCOUNT}:role/"
    context["aws:RequestTag/t"] = arn + text
    policy = document(statement(Condition={"ArnLike": {"aws:RequestTag/t": ["arn:a:b:c:d:e", arn + written(pieces)]}}))
    assert answers(policy, f"{PREFIX}x", context) == [right] * 4


def test_variables_are_compiled_for_who_asks_twice() -> None:
    made = []

    def make(values: Any) -> str:
        made.append(values)
        return "made"

    memo: Memo[str] = Memo(("a",), make)
    assert [memo.of({"a": "1"}) for _ in range(4)] == [None, "made", "made", "made"]
    assert len(made) == 1
    for number in range(100):
        assert memo.of({"a": str(number + 100)}) is None
    assert len(made) == 1
    assert len(memo._kept) <= 16


def test_a_pattern_that_begins_otherwise_looks_nothing_up() -> None:
    class Refusing(dict[str, None]):
        def __missing__(self, key: str) -> None:
            raise AssertionError(key)

    test = bound(read("bucket/${aws:username}/*", wildcards=True, variables=True))
    assert not test("other/ann/x", Refusing())


def test_each_key_is_asked_for_once() -> None:
    patterns = [read(text, wildcards=True, variables=True) for text in ("${a}/${B}", "${b}", "x", "${a, 'd'}")]
    assert keys_of(patterns) == ("a", "b")
