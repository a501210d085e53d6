"""Go's own answers, recorded, and ours: the same, or listed with the reason in ``differences.jsonl``."""

import json

import pytest

from conformance.templates.making import DATA, HERE, own
from conformance.templates.record import ANSWERS, read
from keyless.gotemplate import TemplateError, parse

ROWS = [(text, read(answer)) for text, answer in map(json.loads, ANSWERS.read_text().splitlines())]
DIFFERENCES = dict(map(json.loads, (HERE / "differences.jsonl").read_text().splitlines()))


def ours(text):
    try:
        return parse(text, name="t").render_bytes(DATA)
    except TemplateError:
        return None


def test_there_are_enough_answers_and_values_among_them():
    assert len(ROWS) > 1500
    assert sum(answer is not None for _, answer in ROWS) > 900


def test_every_template_written_by_hand_was_asked_about():
    assert set(own()) <= {text for text, _ in ROWS}


@pytest.mark.parametrize("part", range(16))
def test_go_answers_the_same(part):
    wrong = [
        (text, answer, found)
        for text, answer in ROWS[part::16]
        if text not in DIFFERENCES and (found := ours(text)) != answer
    ]
    assert wrong == []


def test_a_listed_difference_still_differs_and_says_why():
    answers = dict(ROWS)
    assert [text for text in DIFFERENCES if ours(text) == answers[text]] == []
    assert all(len(reason) > 20 for reason in DIFFERENCES.values())


def test_where_go_fails_no_listed_difference_lets_it_pass():
    answers = dict(ROWS)
    assert [text for text in DIFFERENCES if answers[text] is None] == []
