"""A Deny about a part of a pattern is found by making a resource that both are about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.policy import Named, Outcome, Policies, Principal, Request, denied_within, parse
from keyless.policy.globs import Wild, matcher, may_meet, meeting, read

PATTERNS = st.text(st.sampled_from("ab*?/"), max_size=7)
ROLE = Principal("AssumedRole", "111122223333", "arn:aws:sts::111122223333:assumed-role/r/s", role_arn="r")


@given(PATTERNS, PATTERNS)
def test_what_meets_both_patterns_is_a_text_of_both_and_is_found_where_there_is_one(one: str, other: str) -> None:
    a, b = read(one, wildcards=True, variables=False), read(other, wildcards=True, variables=False)
    found = meeting(a, b)
    assert (found is not None) is may_meet(a, b)
    if found is not None:
        assert matcher(a)(found)
        assert matcher(b)(found)


def test_a_variable_may_be_any_text() -> None:
    assert meeting(read("a${b:c}d", wildcards=True, variables=True), (Wild.ANY,)) == "ad"


@pytest.mark.parametrize(
    ("deny", "pattern", "denied"),
    [
        ("arn:aws:s3:::b/x/*", "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/*", True),
        ("arn:aws:s3:::*", "arn:aws:s3:::b/x", True),
        ("*", "arn:aws:s3:::b/x", False),  # the request's own resource tells
        ("arn:aws:s3:::c/*", "arn:aws:s3:::b/*", False),
        ("arn:aws:sqs:*:*:b", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::b/${aws:PrincipalTag/t}/*", "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b/${aws:PrincipalTag/none}/*", "arn:aws:s3:::b/*", False),
        ("arn:aws:s3:::b/x", "no ARN", False),
    ],
)
def test_a_deny_within_a_pattern(deny: str, pattern: str, denied: bool) -> None:
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Sid": "Guard", "Effect": "Deny", "Action": "s3:*", "Resource": deny},
        {"Effect": "Deny", "Action": "s3:*", "NotResource": "*"},
    ]
    document = parse({"Version": "2012-10-17", "Statement": statements}, "identity")
    request = Request("s3:PutObject", "arn:aws:s3:::b/keyless", ROLE, {"aws:PrincipalTag/t": "blue"})
    found = denied_within(request, Policies(identity=(Named("p", document),)), pattern)
    assert (found is not None) is denied
    if found is not None:
        assert found.outcome is Outcome.EXPLICIT_DENY
        assert found.decided_by is not None
        assert found.decided_by.sid == "Guard"
