"""A path that is an empty word is refused, wherever a path is taken: it came from a variable that is not set."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyless.cli import dispatch, exits
from keyless.cli.empty import EMPTY
from unit.cli.test_output import every_command

PLACES = sorted(
    (path, param.opts[0])
    for path, command in every_command().items()
    for param in command.params
    if param.type_descriptor.annotation is Path
)


def test_the_commands_take_paths() -> None:
    assert {("up", "--state"), ("billing report", "--out"), ("up", "--cluster")} <= set(PLACES)


@pytest.mark.parametrize(("path", "option"), PLACES)
def test_an_empty_path_is_refused(
    path: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [param for param in every_command()[path].params if not param.opts[0].startswith("-")]
    words = [f"{option}="] if option.startswith("-") else [""] * len(arguments)
    assert dispatch([*path.split(), *words]) == exits.WRONG_USE
    assert EMPTY in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
