"""``keyless faults`` on a state folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keyless.api import Permanent
from keyless.cli.faults import app
from keyless.local.state import State


@pytest.fixture
def folder(tmp_path: Path) -> str:
    State.open(tmp_path / "state").close()
    return str(tmp_path / "state")


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_fault_is_set_listed_and_cleared(folder: str) -> None:
    run("set", "latency", "--service", "s3", "--action", "PutObject", "--seconds", "2", "--state", folder)
    run("set", "throttle", "--times", "3", "--state", folder)
    listed = json.loads(run("list", "-o", "json", "--state", folder))["items"]
    assert [fault["name"] for fault in listed] == ["latency:s3:PutObject", "throttle:*:*"]
    assert "3 more" in run("list", "--state", folder)
    assert run("clear", "throttle:*:*", "--state", folder) == "cleared 1\n"
    assert run("clear", "--state", folder) == "cleared 1\n"
    assert run("list", "--state", folder) == "no faults are set\n"


def test_what_is_not_set_cannot_be_cleared(folder: str) -> None:
    with pytest.raises(Permanent, match="is not set"):
        run("clear", "error:s3:*", "--state", folder)


def test_without_a_space_there_is_nothing_to_break(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="keyless up"):
        run("list", "--state", str(tmp_path))
    assert not (tmp_path / "state.db").exists()


def test_a_fault_tells_how_often_and_how_long(folder: str) -> None:
    said = run("set", "error", "--probability", "0.25", "--times", "2", "--for", "60", "--state", folder)
    assert said == "error:*:*  answer 500, one call in 4, 2 more, for 60 s\n"
