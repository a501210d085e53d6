"""Each command shows an example that it takes, and each number the unit that it is in."""

from __future__ import annotations

import functools
import importlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from keyless.cli import dispatch
from keyless.cli.commands import COMMANDS
from keyless.cli.examples import EXAMPLES

UNITS = re.compile(r"[Ss]econds|SECONDS|calls?\b|[Cc]haracters|such as 0\.1|how many|Resource-hours|Operations")


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    parts = getattr(command, "commands", {})
    for name, part in parts.items():
        yield from leaves(part, f"{path} {name}")
    if not parts:
        yield path, command


@functools.cache
def every() -> dict[str, Any]:
    tops = ((name, typer.main.get_command(importlib.import_module(COMMANDS[name].module).app)) for name in COMMANDS)
    return {path: command for name, top in tops for path, command in leaves(top, name)}


def test_every_command_has_its_example() -> None:
    assert set(EXAMPLES) == set(every())


@pytest.mark.parametrize("path", sorted(EXAMPLES))
def test_an_example_is_taken_as_it_stands_and_shown(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = EXAMPLES[path].removeprefix('eval "$(').removesuffix(')"')
    words = shlex.split(line)
    assert words[: 1 + len(path.split())] == ["keyless", *path.split()]
    every()[path].make_context(path, words[1 + len(path.split()) :])
    assert dispatch([*path.split(), "--help"]) == 0
    assert EXAMPLES[path] in [shown.strip() for shown in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("path", sorted(EXAMPLES))
def test_a_number_says_in_what_it_is_counted(path: str) -> None:
    command = every()[path]
    context = command.context_class(command, info_name=path)
    records = [found for param in command.params if (found := param.get_help_record(context))]
    numbers = [record for record in records if "<int" in record[0] or "<float" in record[0]]
    assert [record for record in numbers if not UNITS.search(" ".join(record))] == []
