"""``docs/reference/commands.md``: every command with its options, read from the command line itself."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import typer

from keyless.cli import exits
from keyless.cli.commands import COMMANDS, RUN
from keyless.cli.examples import EXAMPLES
from keyless.cli.run import COMPONENTS

_HEAD = f"""# Commands

Written by `make reference` from the command line itself.

Exit codes: {exits.HELD} held, {exits.DID_NOT_HOLD} did not hold (a link of the chain is broken, a report is
incomplete), {exits.WRONG_USE} wrong use, {exits.OTHER_SIDE} the other side failed (AWS, Kubernetes). The
[table](exit-codes.md) has each command's outcomes.

Every command that touches a local Space takes `--state DIR` or `KEYLESS_STATE`; without them it is one folder below the
user's data directory.
"""


def commands() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for name in COMMANDS for line in _command(name)), _run()])


def _command(name: str) -> Iterator[str]:
    found = typer.main.get_command(importlib.import_module(COMMANDS[name].module).app)
    yield from _section(found, f"keyless {name}", COMMANDS[name].summary)


def _section(command: Any, path: str, summary: str) -> Iterator[str]:
    context = command.context_class(command, info_name=path)
    parts = getattr(command, "commands", {})
    if parts:
        for name, part in parts.items():
            yield from _section(part, f"{path} {name}", "")
        return
    text = " ".join(str(command.help or "").split())
    yield f"## {path}\n"
    yield f"{text or summary}\n"
    yield f"    {path} {' '.join(command.collect_usage_pieces(context))}\n"
    example = EXAMPLES.get(path.removeprefix("keyless "))
    yield from [f"Example: `{example}`\n"] if example else []
    options = [param.get_help_record(context) for param in command.params]
    rows = [f"| `{_plain(names)}` | {_plain(text)} |" for names, text in filter(None, options)]
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows, ""])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _run() -> str:
    names = ", ".join(f"`{name}`" for name in COMPONENTS)
    return (
        f"## keyless run\n\n{RUN.summary.partition(':')[0].capitalize()} in this process: {names}.\n\n"
        "    keyless run COMPONENT [--flag value …] [--config FILE] [--print-config]\n\n"
        "The flags are in [settings.md](settings.md).\n"
    )
