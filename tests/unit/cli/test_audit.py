"""``keyless audit``: which calls it shows, in which form, and that nobody writes into the reader's terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from keyless.cli.audit import Wanted, app, describe, since_of
from keyless.local.cloud.audit import Audit
from keyless.local.cloud.database import Database
from keyless.local.state import State

ROLE = "arn:aws:iam::111122223333:role/team/billing"


def line(**more: Any) -> dict[str, Any]:
    caller = {
        "type": "Role",
        "arn": "arn:aws:sts::111122223333:assumed-role/billing/pod-1",
        "accessKeyId": "ASIA1",
        "role": {"arn": ROLE, "name": "billing"},
    }
    made = {
        "v": 2,
        "time": "2026-11-22T07:00:00.000Z",
        "eventId": "e1",
        "requestId": "r1",
        "service": "s3",
        "action": "s3:PutObject",
        "operation": "PutObject",
        "region": "us-west-2",
        "caller": caller,
        "sourceIp": "127.0.0.1",
        "userAgent": "aws-cli/1",
        "resources": ["arn:aws:s3:::usage/a"],
        "status": 200,
        "code": "Success",
        "decision": None,
        "notes": {},
    }
    return made | more


@pytest.fixture
def folder(tmp_path: Path) -> str:
    state = State.open(tmp_path / "state")
    audit = Audit(Database(state.database, state.migrate))
    audit.write(line())
    audit.write(line(service="ssm", action="ssm:GetParameter", operation="GetParameter", resources=[], eventId="e2"))
    audit.write(line(code="AccessDenied", status=403, eventId="e3", time="2026-11-22T09:00:00.000Z"))
    state.close()
    return str(tmp_path / "state")


def run(folder: str, *arguments: str) -> list[str]:
    answer = CliRunner().invoke(app, [*arguments, "--state", folder], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output.splitlines()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["e1", "e2", "e3"]),
        (("--denied",), ["e3"]),
        (("--service", "ssm"), ["e2"]),
        (("--action", "PutObject"), ["e1", "e3"]),
        (("--action", "s3:put*"), ["e1", "e3"]),
        (("--action", "Put"), []),
        (("--principal", ROLE), ["e1", "e2", "e3"]),
        (("--principal", "billing/pod-1"), ["e1", "e2", "e3"]),
        (("--principal", "role/team/*"), ["e1", "e2", "e3"]),
        (("--principal", "ASIA1"), ["e1", "e2", "e3"]),
        (("--principal", "[a]"), []),
        (("--since", "2026-11-22T08:00"), ["e3"]),
        (("--since", "2026-11-22T08:00+02:00", "--service", "s3"), ["e1", "e3"]),
    ],
)
def test_each_filter_leaves_what_it_says(folder: str, arguments: tuple[str, ...], expected: list[str]) -> None:
    assert [json.loads(text)["eventId"] for text in run(folder, "-o", "json", *arguments)] == expected


def test_a_time_may_be_so_long_ago() -> None:
    now = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
    assert since_of("30m", now) == "2026-11-22T07:00:00.000Z"
    assert since_of("1d", now) == "2026-11-21T07:30:00.000Z"
    assert since_of("", now) == ""


@pytest.mark.parametrize("text", ["yesterday", "10", "1y", "m", "9999999999999d"])
def test_a_time_that_is_none_is_wrong_use(text: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        since_of(text, datetime(2026, 11, 22, tzinfo=UTC))
    assert "10m, 2h" in refused.value.message


def test_cloudtrail_s_form_is_one_event_a_line(folder: str) -> None:
    event = json.loads(run(folder, "-o", "cloudtrail", "--denied")[0])
    assert (event["eventSource"], event["eventName"]) == ("s3.amazonaws.com", "PutObject")
    assert event["errorCode"] == "AccessDenied"


def test_a_refusal_ends_in_the_id_that_explain_asks_for(folder: str) -> None:
    assert [text.strip() for text in run(folder) if "event" in text] == ["event e3"]


def test_an_unknown_form_is_wrong_use(folder: str) -> None:
    assert CliRunner().invoke(app, ["-o", "yaml", "--state", folder]).exit_code == 2


def test_a_line_of_version_1_is_shown_too() -> None:
    old = line(v=1, caller={"type": "Unauthenticated"})
    assert Wanted(principal="x").holds(old) is False
    assert "Unauthenticated" in describe(old)


def test_what_a_caller_wrote_cannot_make_a_line_or_move_the_cursor() -> None:
    key = "arn:aws:s3:::usage/a\n2026-11-22T07:00:00.000Z  Success iam:DeleteRole\x1b[2K\u202e"
    told = describe(line(resources=[key], notes={"refused": "no role\r\nforged"}))
    assert told.count("\n") == 1  # between the call and its reason
    assert "\\u{a}2026" in told
    assert "\\u{1b}[2K\\u{202e}" in told
    assert told.endswith("\n    no role\\u{d}\\u{a}forged")


def test_a_fault_that_was_asked_for_is_marked() -> None:
    assert describe(line(notes={"faults": ["error:s3:*"]})).endswith("[fault error:s3:*]")
