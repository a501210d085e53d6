"""Patterns: against a slow but obvious oracle, and within a bound on hostile ones."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.policy import Request
from keyless.policy.arns import compile_arn
from keyless.policy.context import Context
from keyless.policy.fitting import fit
from keyless.policy.globs import covers, matcher, read, units
from keyless.policy.statements import Resources
from unit.policy.asking import SESSION

PATTERN = st.text(alphabet="ab*?:/[.", max_size=12)
TEXT = st.text(alphabet="ab:/[.\n\U0001f600", max_size=12)


def oracle(pattern: str, text: str) -> bool:
    translated = {"*": ".*", "?": "."}
    expression = "".join(translated.get(c, re.escape(c)) for c in units(pattern))
    return re.fullmatch(expression, units(text) if "?" in pattern else text, re.DOTALL) is not None


@settings(max_examples=400, deadline=None)
@given(PATTERN, TEXT)
def test_matching_agrees_with_the_oracle(pattern: str, text: str) -> None:
    parts = read(pattern, wildcards=True, variables=False)
    assert matcher(parts)(text) is fit(parts, text) is oracle(pattern, text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "*", "?", "ab"]), max_size=6), st.text(alphabet="ab", max_size=8))
def test_a_pattern_matches_what_it_was_filled_to(parts: list[str], filler: str) -> None:
    text = "".join({"*": filler, "?": "x"}.get(part, part) for part in parts)
    assert matcher(read("".join(parts), wildcards=True, variables=False))(text)


@settings(max_examples=300, deadline=None)
@given(PATTERN, PATTERN, TEXT)
def test_a_covering_pattern_matches_all_that_the_covered_does(wide: str, narrow: str, text: str) -> None:
    a, b = (read(pattern, wildcards=True, variables=False) for pattern in (wide, narrow))
    if covers(a, b) and matcher(b)(text):
        assert matcher(a)(text)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "pattern", ["*a" * 900 + "b", "*a?" * 600 + "b", "?*" * 900, "*" * 2000 + "b", "a*" * 900 + "?b"]
)
def test_hostile_patterns_end_quickly(pattern: str) -> None:
    parts = read(pattern, wildcards=True, variables=False)
    assert matcher(parts)("a" * 20_000) in (True, False)
    assert fit(parts, "a" * 2_048) is matcher(parts)("a" * 2_048)  # the longest ARN


@pytest.mark.parametrize(
    ("wide", "narrow", "proven"),
    [
        ("*", "a*b", True),
        ("a*", "ab*", True),
        ("ab*", "a*", False),
        ("a?c", "abc", True),
        ("a?c", "a?c", True),
        ("a?c", "a*c", False),
        ("a??", "a\U0001f600", False),
        ("", "", True),
        ("*a*", "*", False),
        ("system:serviceaccount:*:vector", "system:serviceaccount:mxp-*-system:vector", True),
    ],
)
def test_coverage_of_known_pairs(wide: str, narrow: str, proven: bool) -> None:
    a, b = (read(pattern, wildcards=True, variables=False) for pattern in (wide, narrow))
    assert covers(a, b) is proven


@pytest.mark.parametrize(
    ("pattern", "arn", "fits"),
    [
        ("*", "*", True),
        ("arn:aws:s3:::*", "*", False),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a:b/c", True),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::BUCKET", False),
        ("arn:aws:s3*", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3*", "arn:aws:sqs:::bucket", False),
        ("arn:*:s3:::b*", "arn:aws-cn:s3:::bucket", True),
        ("arn:aws:ssm:*:111122223333:parameter/p*", "arn:aws:ssm:us-west-2:111122223333:parameter/p/x", True),
        ("arn:aws:ssm:*:111122223333:parameter/p*", "arn:aws:ssm:us-west-2:444455556666:parameter/p", False),
        (
            "arn:aws:secretsmanager:us-west-2:111122223333:secret:app*",
            "arn:aws:secretsmanager:us-west-2:111122223333:secret:app/db-AbCdEf",
            True,
        ),
    ],
)
def test_arn_patterns(pattern: str, arn: str, fits: bool) -> None:
    compiled = compile_arn(pattern, variables=True)
    assert compiled is not None
    assert Resources.of([compiled], negated=False).match(arn, Context(Request("s3:GetObject", arn, SESSION))) is fits


def test_coverage_of_arn_patterns() -> None:
    texts = ["*", "arn:aws:s3:::*", "arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a"]
    patterns = [compile_arn(text, variables=True) for text in texts]
    for index, wide in enumerate(patterns):
        for other, narrow in enumerate(patterns):
            assert wide is not None
            assert narrow is not None
            assert wide.covers(narrow) is (index <= other)
