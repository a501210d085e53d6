"""The typer application: a group that loads a command's module when that command is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from keyless.api import KeylessError
from keyless.cli import exits
from keyless.cli.commands import COMMANDS
from keyless.cli.empty import refuse_empty_paths
from keyless.cli.examples import with_examples
from keyless.cli.installed import left_out
from keyless.cli.naming import did_you_mean


class LazyGroup(TyperGroup):
    """Knows the names of all commands and imports one."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the overridden signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command; a name that is none is told with those that resemble it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], [*COMMANDS, 'run'])}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the overridden signature
        """The command of that name, or None as click wants it."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = typer.main.get_command(importlib.import_module(entry.module).app)
        command.name = cmd_name
        return refuse_empty_paths(with_examples(command, cmd_name))


app = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def keyless() -> None:
    """Keyless: a self-hosted Space whose components hold no cloud keys."""


def main(arguments: list[str]) -> int:
    """Run one command; failures of ours become one line on stderr and an exit code.

    What click itself ends with (wrong use, ``--help``, ``typer.Exit``) already has its message and its code.
    """
    try:
        typer.main.get_command(app)(arguments, prog_name="keyless")
    except (KeylessError, OSError) as error:
        return exits.report(error)
    except ModuleNotFoundError as error:
        if (missing := left_out(error)) is None:
            raise
        return exits.report(missing)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else exits.HELD
    except Exception as error:  # noqa: BLE001 - the last place where a failure can become a line and a code
        return exits.unforeseen(error)
    return exits.HELD
