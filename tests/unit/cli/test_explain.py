"""``keyless explain``: what counts as a question, and calls of the local record."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from keyless.cli import dispatch, exits
from keyless.cli.explain import context_of, question_of, warn_of_unlisted

KEY = "arn:aws:s3:::usage/a"
DENIED = {
    "eventId": "event-1",
    "requestId": "request-1",
    "time": "2026-11-22T00:00:00.000Z",
    "code": "AccessDenied",
    "action": "s3:PutObject",
    "service": "s3",
    "resources": [KEY],
    "caller": {"type": "Role", "arn": "arn:aws:sts::111122223333:assumed-role/billing/p"},
    "notes": {},
    "decision": {
        "outcome": "ImplicitDeny",
        "layer": "identity-based policy",
        "statement": None,
        "trace": ["ImplicitDeny: …", "  no identity-based policy allows it"],
    },
}


REQUEST = "b3b1f0de-5b0c-4f6e-9d53-0d6f2f3f9a11"  # its authorization id has no dashes


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE cloud_audit (number INTEGER PRIMARY KEY, denied INTEGER, line TEXT)")
    lines: list[dict[str, Any]] = [DENIED, {**DENIED, "eventId": "event-2", "requestId": "r2", "code": "Success"}]
    lines.append({**DENIED, "eventId": "event-4", "requestId": REQUEST})
    lines.append({**DENIED, "eventId": "event-3", "requestId": "r3", "decision": None, "notes": {"x": "event-1"}})
    for line in lines:
        connection.execute("INSERT INTO cloud_audit (denied, line) VALUES (1, ?)", (json.dumps(line),))
    monkeypatch.setattr("keyless.local.state.database.open_for_reading", lambda _: connection)
    return tmp_path


def test_arguments_make_a_question() -> None:
    question = question_of(("ns/sa", "s3:PutObject", KEY), ["aws:SourceIp=10.0.0.1"])
    assert (question.namespace, question.service_account, question.action) == ("ns", "sa", "s3:PutObject")
    assert question.context == {"aws:SourceIp": "10.0.0.1"}


def test_a_key_that_is_repeated_has_many_values() -> None:
    assert context_of(["aws:TagKeys=a", "aws:TagKeys=b", "k=x=y"]) == {"aws:TagKeys": ("a", "b"), "k": "x=y"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["vector", "s3:PutObject", KEY], "namespace/name"),
        (["a/b/c", "s3:PutObject", KEY], "namespace/name"),
        (["a/b", "PutObject", KEY], "one action"),
        (["a/b", "s3:*", KEY], "one action"),
        (["a/b", "s3:PutObject", "usage"], "is no ARN"),
        (["a/b", "s3:PutObject", KEY, "--context", "x"], "KEY=VALUE"),
        ([], "namespace/name"),
        (["a/b", "--event", "x"], "either --event"),
    ],
)
def test_what_is_no_question_is_wrong_use(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["explain", *words]) == exits.WRONG_USE
    assert named in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize("name", ["event-1", "request-1", REQUEST, REQUEST.replace("-", "")])
def test_a_denied_call_is_found_by_any_of_its_ids_and_explained(
    record: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(["explain", "--event", name, "--state", str(record)]) == exits.DID_NOT_HOLD
    shown = capsys.readouterr().out
    assert "no identity-based policy allows it" in shown
    assert "ImplicitDeny (identity-based policy)" in shown


def test_a_call_that_passed_and_one_that_no_policy_saw(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["explain", "--event", "event-2", "--state", str(record), "--output", "json"]) == exits.HELD
    assert json.loads(capsys.readouterr().out)["eventId"] == "event-2"
    assert dispatch(["explain", "--event", "event-3", "--state", str(record)]) == exits.DID_NOT_HOLD
    assert "no policy was asked" in capsys.readouterr().out


def test_an_unknown_call_names_the_way_to_the_known_ones(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["explain", "--event", "ghost", "--state", str(record)]) == exits.WRONG_USE
    assert "keyless audit --denied" in capsys.readouterr().err


def test_a_misspelt_action_is_warned_of_and_a_right_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_unlisted("s3:PutObjcet")
    assert "the nearest is s3:PutObject" in capsys.readouterr().err
    warn_of_unlisted("s3:PutObject")
    assert capsys.readouterr().err == ""
