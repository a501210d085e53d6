"""Whatever is typed, nobody is shown a trace: a sentence, and an exit code of the contract."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from keyless.cli import dispatch, exits
from unit.cli.test_output import every_command

ODD = ("", " ", "-1", "nan", "999999999999999999999", "é", "\udcff", "a\nb", "*", "../..", "--", "x" * 5000)
# Of those the ones that are values of some option, so that a file of tests stays quick.
ODD_VALUES = ("", "nan", "999999999999999999999", "\udcff")
CODES = {exits.HELD, exits.DID_NOT_HOLD, exits.WRONG_USE, exits.OTHER_SIDE}
# They start a Space where their words are right, so only an option that is none is tried on them.
STARTING = {"up", "demo"}
PATHS = sorted(every_command())


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without a Space, a cluster or credentials."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "KUBE", "UP_", "YOUR_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KEYLESS_STATE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = dispatch(words)
    shown = capsys.readouterr()
    assert code in CODES, words
    assert shown.out + shown.err, words
    assert "Traceback" not in shown.out + shown.err, words
    assert "bug of ours" not in shown.err, (words, shown.err)
    return shown.err


@pytest.mark.parametrize("path", PATHS)
def test_an_option_that_is_none_is_told(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch([*path.split(), "--ghost"]) == exits.WRONG_USE
    assert "--ghost" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(set(PATHS) - STARTING))
def test_no_word_ends_in_a_trace(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    told(path.split(), capsys)
    for odd in ODD:
        told([*path.split(), odd], capsys)


@pytest.mark.parametrize("path", sorted(path for path in set(PATHS) - STARTING if not path.startswith("billing")))
def test_no_value_ends_in_a_trace(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [option.opts[0] for option in every_command()[path].params if option.opts[0].startswith("--")]
    for option in options:
        told([*path.split(), option], capsys)
        for odd in ODD_VALUES:
            if option == "--follow":
                continue  # it takes no value
            told([*path.split(), f"{option}={odd}"], capsys)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["verfy"], "'verify'"),
        (["stauts"], "'status'"),
        (["verify", "biling"], "'billing'"),
        (["run", "operatr"], "'operator'"),
        (["keys", "rotat"], "'rotate'"),
        (["status", "--ouput", "json"], "--output"),
    ],
)
def test_a_misspelt_word_is_told_with_the_near_one(
    words: list[str], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch(words) == exits.WRONG_USE
    assert near in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (sqlite3.OperationalError("attempt to write a readonly database"), exits.WRONG_USE, "state folder"),
        (PermissionError(13, "Permission denied", "/state"), exits.WRONG_USE, "/state"),
        (RuntimeError("a value that nobody may see"), exits.OTHER_SIDE, "KEYLESS_LOG_LEVEL=debug"),
    ],
)
def test_a_failure_that_no_command_foresaw_is_one_line(
    error: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> Path:
        raise error

    monkeypatch.setattr("keyless.cli.status.state_folder", fail)
    assert dispatch(["status"]) == code
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert "nobody may see" not in shown
    monkeypatch.setenv("KEYLESS_LOG_LEVEL", "debug")
    dispatch(["status"])
    assert ("in fail" in capsys.readouterr().err) is isinstance(error, RuntimeError)


def run_main(body: str, *, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    code = f"import keyless.cli as cli, keyless.cli.app as app\ndef command(arguments):\n    {body}\n"
    code += "app.main = command\nimport sys\nsys.argv = ['keyless', 'status']\ncli.main()"
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=env)


def test_control_c_ends_quietly_with_130() -> None:
    ended = run_main("raise KeyboardInterrupt")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_a_terminal_that_lacks_a_letter_is_shown_its_number() -> None:
    ended = run_main("print('caf\\xe9'); return 0", encoding="ascii")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"caf\\xe9\n", b"")
