"""Policy variables: whatever a pattern is made of, the first request, the second and the tenth are told the same.

The right answer is worked out letter by letter here, without the engine.
"""

from __future__ import annotations

import re
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Document, Named, Policies, Request, arns, evaluate, globs, variables
from keyless.policy.arns import NoArnPattern, arn_bound
from keyless.policy.context import Context
from keyless.policy.globs import Parts, read
from keyless.policy.variables import bound
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
BASIC = {"aws:RequestTag/t": "vv/none", "aws:SourceArn": f"{PREFIX}vv/none"}


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


def test_a_pattern_that_begins_otherwise_looks_nothing_up() -> None:
    class Refusing(dict[str, None]):
        def __missing__(self, key: str) -> None:
            raise AssertionError(key)

    test = bound([read("bucket/${aws:username}/*", wildcards=True, variables=True)])
    assert not test("other/ann/x", Refusing())


@settings(max_examples=80, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=6), VALUES, TEXTS)
def test_many_patterns_together_match_what_one_of_them_does(many: Any, values: dict[str, Any], text: str) -> None:
    wanted = [letters(pieces, values) for pieces in many]
    right = any(one is not None and fits(one, text) for one in wanted)
    texts = [written(pieces) for pieces in many]
    assert answers(document(statement(resource=[PREFIX + one for one in texts])), PREFIX + text, values) == [right] * 4
    negated = document(statement(resource=..., NotResource=[PREFIX + one for one in texts]))
    assert answers(negated, PREFIX + text, values) == [not right] * 4
    conditional = document(statement(Condition={"StringLike": {"aws:RequestTag/t": texts}}))
    assert answers(conditional, PREFIX, {**values, "aws:RequestTag/t": text}) == [right] * 4
    each = document(statement(Condition={"ForAllValues:StringNotLike": {"aws:ViaAWSService": texts}}))
    assert answers(each, PREFIX, {**values, "aws:ViaAWSService": (text, text)}) == [not right] * 4


CASES = st.text(alphabet="aAbB\u03a3\u03c3\u03c2\u0130 ", max_size=4)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CASES, st.booleans(), CASES), min_size=1, max_size=4), CASES, CASES)
def test_case_is_left_out_of_the_whole_text(many: Any, value: str, text: str) -> None:
    right = any((head + (value if varies else "") + tail).lower() == text.lower() for head, varies, tail in many)
    texts = [head + ("${aws:PrincipalTag/a}" if varies else "") + tail for head, varies, tail in many]
    policy = document(statement(Condition={"StringEqualsIgnoreCase": {"aws:RequestTag/t": texts}}))
    assert answers(policy, PREFIX, {"aws:PrincipalTag/a": value, "aws:RequestTag/t": text}) == [right] * 4


ARN_PIECES = st.lists(
    st.sampled_from(["arn:aws:iam::", "arn:", "a", ":", "::", "*", "?", "role/", "${aws:PrincipalTag/a}", ACCOUNT]),
    min_size=1,
    max_size=7,
)
ARN_VALUES = st.sampled_from(["a", "arn", "arn:aws:iam::1:role/a", ":", "a:b", "*", ""])


@settings(max_examples=150, deadline=None)
@given(st.lists(ARN_PIECES, min_size=1, max_size=3), ARN_VALUES, ARN_PIECES, st.booleans())
def test_arns_with_variables_are_judged_like_those_with_the_value_written_out(
    many: Any, value: str, actual: Any, deny: bool
) -> None:
    """Written out as literal text, so that a star of the value is none; values that are no ARNs included."""
    literal = value.replace("*", "${*}")
    arn = "".join(actual).replace("${aws:PrincipalTag/a}", value)
    context = {"aws:PrincipalTag/a": value, "aws:SourceArn": arn}
    found = []
    for put_in in ("${aws:PrincipalTag/a}", literal):
        texts = ["".join(pieces).replace("${aws:PrincipalTag/a}", put_in) for pieces in many]
        expected = [read(text, wildcards=True, variables=True) for text in texts]
        found.append(judged(expected, context, arn))
    assert found[0] == found[1]


def judged(expected: list[Parts], context: dict[str, str], arn: str) -> bool | str:
    """Directly, since IAM stores no policy with an ARN that is none."""
    resolving = Context(Request("s3:PutObject", f"{PREFIX}x", SESSION, context))
    try:
        return arn_bound(expected)(arn, resolving)
    except NoArnPattern:
        return "no ARN"


COMPILING = (
    *(globs.matcher, globs.read, globs.runs_of, re.compile, variables.bound, variables.bound_but_for_case),
    *(variables.any_of, variables.without_values, arns.arn_matcher, arns.arn_bound, arns.resources_bound),
)
SHAPES = [
    "{}/{}/*",
    "{}/{}",
    "{}?x/{}*",
    "*/{}/{}/b*",
    "{}*{}*c",
]


def calls(policies: Policies, request: Request) -> tuple[int, list[str]]:
    """How many calls a decision is, C's own included, and which of them compile."""
    codes = {function.__code__: function.__name__ for function in COMPILING}
    made, compiled = 0, []

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")
        if event == "call" and frame.f_code in codes:
            compiled.append(codes[frame.f_code])

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        evaluate(request, policies)
    finally:
        sys.setprofile(before)
    return made, compiled


def policies_of(texts: list[str], *, apart: bool, element: str) -> Policies:
    if element == "Resource":
        made = [{"resource": [PREFIX + one for one in texts]}]
        made = [{"resource": PREFIX + one} for one in texts] if apart else made
    else:
        key = "aws:SourceArn" if element.startswith("Arn") else "aws:RequestTag/t"
        begin = PREFIX if element.startswith("Arn") else ""
        made = [{"Condition": {element: {key: [begin + one for one in texts]}}}]
        made = [{"Condition": {element: {key: begin + one}}} for one in texts] if apart else made
    return Policies(identity=(Named("it", document(*(statement(**one) for one in made))),))


@pytest.mark.parametrize("element", ["Resource", "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnLike"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_compiled_when_a_request_comes_and_120_variables_cost_little_more(
    shape: str, apart: bool, element: str
) -> None:
    """Each request with values of its own, so that nothing that was kept for other values can help."""
    texts = {value: [shape.format(value, number) for number in range(120)] for value in ("vv", "${aws:PrincipalTag/a}")}
    plain, varying = (policies_of(each, apart=apart, element=element) for each in texts.values())
    request = Request("s3:PutObject", f"{PREFIX}vv/none", SESSION, dict(BASIC))
    evaluate(request, plain)  # the plan for the action is made once
    evaluate(request, varying)
    least, _ = calls(plain, request)
    for number in range(3):
        tagged = {**BASIC, "aws:PrincipalTag/a": f"value-{number}"}
        made, compiled = calls(varying, Request("s3:PutObject", f"{PREFIX}vv/none", SESSION, tagged))
        assert compiled == []
        assert made <= 5 * (least + 120)
