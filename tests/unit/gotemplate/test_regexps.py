"""Go's ReplaceAll over RE2; the right answers are Go's own (the oracle's question ``regexp``)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.gotemplate import Problem
from keyless.gotemplate.regexps import Pattern, replace_all, replace_all_literal

GO_ANSWERS = [
    ("(.*)", b"db_user", b"pre_$1", b"pre_db_user"),
    ("a*", b"baaac", b"x", b"xbxcx"),
    ("", b"ab", b"-", b"-a-b-"),
    ("", "é".encode(), b"-", "-é-".encode()),
    ("(a)(b)?", b"ac", b"[$1|$2]", b"[a|]c"),
    ("(a)", b"a", b"$1x", b""),
    ("(a)", b"a", b"${1}x", b"ax"),
    ("(a)", b"a", b"$$1", b"$1"),
    ("(a)", b"a", b"${1", b"${1"),
    ("(a)", b"a", b"$", b"$"),
    ("(a)", b"a", b"$-", b"$-"),
    ("(a)", b"a", b"$01", b""),
    ("(a)", b"a", b"$0$9", b"a"),
    ("(?P<n>a)", b"ba", b"<$n>", b"b<a>"),
    ("^", b"ab", b">", b">ab"),
    ("$", b"a\n", b"<", b"a\n<"),
    (r"\b", b"ab cd", b"|", b"|ab| |cd|"),
    (".", b"\xff\xe2\x82", b"x", b"xxx"),
    ("x", b"\xffx\xfe", b"y", b"\xffy\xfe"),
    ("(.)", b"\xff", b"$1$1", b"\xff\xff"),
]


@pytest.mark.parametrize(("pattern", "text", "replacement", "expected"), GO_ANSWERS)
def test_a_replacement_is_what_go_answers(pattern, text, replacement, expected):
    assert replace_all(pattern, text, replacement) == expected


def test_a_literal_replacement_is_taken_as_it_is():
    assert replace_all_literal("(.*)", b"db_user", b"$1") == b"$1"


def test_a_bad_pattern_is_a_problem_that_does_not_show_it():
    with pytest.raises(Problem, match="no RE2") as caught:
        replace_all("(planted", b"a", b"b")
    assert "planted" not in str(caught.value)


def test_growth_can_be_refused_before_it_is_kept():
    def refuse(size):
        raise Problem("too long")

    with pytest.raises(Problem, match="too long"):
        replace_all("a", b"aaa", b"b" * 100, made=refuse)


@given(st.binary(max_size=20))
def test_replacing_a_match_by_itself_changes_no_byte(text):
    assert replace_all("(?s).", text, b"$0") == text
    assert replace_all("", text, b"") == text


@given(st.binary(max_size=20))
def test_matches_lie_in_order_and_inside_the_text(text):
    ends = [0]
    for spans in Pattern("[a-z]*").matches(text):
        begin, end = spans[0]
        assert ends[-1] <= begin <= end <= len(text)
        ends.append(end)
