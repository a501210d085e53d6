"""The command line as a whole: its table, its exit codes, its speed."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from keyless.api import Bug, Permanent, Transient
from keyless.cli import dispatch, exits
from keyless.cli.commands import COMMANDS
from keyless.cli.run import COMPONENTS
from keyless.kube import NotFound


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown for name in COMMANDS)
    assert all(name in shown for name in COMPONENTS)


def test_help_and_components_load_no_typer() -> None:
    code = "import sys; from keyless.cli import dispatch; dispatch(['--help']); dispatch(['run', '--help']); "
    code += (
        "sys.exit(bool({'typer', 'click', 'rich', 'asyncio.base_events', 'httpx'} & set(sys.modules) - {'asyncio'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"keyless COMMAND" in result.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys; from keyless.cli import dispatch; dispatch([]); print(len(sys.modules))"],
        capture_output=True,
        check=True,
    )
    assert int(loaded.stdout.split()[-1]) < 150


def test_an_unknown_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["frobnicate"]) == 2
    assert "frobnicate" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module(COMMANDS[name].module)
    assert dispatch([name, "--help"]) == 0
    assert f"keyless {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Permanent("port busy"), exits.WRONG_USE),
        (Transient("later"), exits.OTHER_SIDE),
        (Bug("ours"), exits.OTHER_SIDE),
        (NotFound({"message": "gone", "code": 404, "reason": "NotFound"}), exits.OTHER_SIDE),
    ],
)
def test_the_exit_code_says_whose_turn_it_is(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.report(error) == code  # type: ignore[arg-type]  # all of them are KeylessErrors
    assert capsys.readouterr().err.count("\n") == 1
