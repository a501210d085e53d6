"""The command line: the only place that knows every name.

``main`` answers ``keyless``, ``--help`` and ``--version`` from a table and starts components (``keyless run``) and
the background's Space without loading typer; every other command loads its own module and nothing else.
"""

import io
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of the ``keyless`` script and of ``python -m keyless``."""
    try:
        code = dispatch(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader (``| head``) has seen enough; closing stdout would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def dispatch(arguments: list[str]) -> int:
    """Run one command line; the exit code is one of :mod:`keyless.cli.exits`."""
    _escape_what_cannot_be_shown()
    arguments = _state_last(arguments)
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        from keyless.cli.overview import overview

        print(overview())
        return 0
    if arguments == ["--version"]:
        from importlib.metadata import version

        print(f"keyless {version('keyless')}")
        return 0
    if arguments[0] == "up" and "KEYLESS_UP_READY_FD" in os.environ:
        from keyless.cli.foreground import main as foreground

        return foreground(arguments[1:])
    if arguments[0] == "run":
        from keyless.cli.run import main as run

        return run(arguments[1:])
    from keyless.cli.app import main as command

    return command(arguments)


def _escape_what_cannot_be_shown() -> None:
    """A letter that the terminal's encoding lacks, or a byte that is no letter, is shown escaped and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _state_last(arguments: list[str]) -> list[str]:
    """Let ``--state DIR`` stand before the command, too: the overview shows it beside ``--version``."""
    if len(arguments) > 2 and arguments[0] == "--state":
        return [*arguments[2:], *arguments[:2]]
    if len(arguments) > 1 and arguments[0].startswith("--state="):
        return [*arguments[1:], arguments[0]]
    return arguments
