"""The oracle itself: what it takes for a difference, and what it refuses to let pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.data_services import recording
from conformance.data_services.recording import Difference, Scenario, Suite, differences, stale, step, unexplained

SCENARIO = Scenario("one", (step("ask", "GetObject", Key="k"),))


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setattr(recording, "FOLDER", tmp_path)
    made = Suite("kept", (SCENARIO,), differences=(Difference("one/ask: result.B", "the peer has no B"),))
    answers = {"ask": {"status": 200, "result": {"A": 1}}}
    made.path.write_text(json.dumps({"one": {"digest": SCENARIO.digest, "answers": answers}}))
    return made


def test_a_difference_is_named_by_its_place_and_both_values() -> None:
    found = list(differences("one/ask: ", {"A": [1, {"B": 2}]}, {"A": [1, {"B": 3}]}))
    assert found == ["one/ask: A.1.B ours 2, the peer's 3"]


def test_a_difference_that_the_suite_explains_passes_and_is_counted_as_used(suite: Suite) -> None:
    found, used = unexplained(suite, SCENARIO, {"ask": {"status": 200, "result": {"A": 1, "B": 2}}})
    assert (found, used) == ([], set(suite.differences))
    assert stale(suite, used) == []


def test_an_explanation_of_nothing_is_stale(suite: Suite) -> None:
    _, used = unexplained(suite, SCENARIO, {"ask": {"status": 200, "result": {"A": 1}}})
    assert stale(suite, used) == ["one/ask: result.B"]


def test_another_difference_fails(suite: Suite) -> None:
    found, _ = unexplained(suite, SCENARIO, {"ask": {"status": 404, "error": {"Code": "NoSuchKey"}}})
    assert "one/ask: status ours 404, the peer's 200" in found


def test_steps_that_changed_must_be_recorded_anew(suite: Suite) -> None:
    changed = Scenario("one", (step("ask", "GetObject", Key="other"),))
    found, _ = unexplained(suite, changed, {"ask": {"status": 200, "result": {"A": 1}}})
    assert found == ["one: its steps changed since the recording: `make oracle`"]
