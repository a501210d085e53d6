"""``keyless demo``: both guides end to end on a fresh local Space, each step shown with its outcome."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from keyless.cli import exits

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Leave the Space running and say where its state is.")] = False,
) -> None:
    """Show both guides end to end on a fresh local Space in a temporary folder. Exit code 0 only if every step held."""
    from keyless.cli.demo.runner import tell_story

    if isinstance(sys.stdout, io.TextIOWrapper):
        # The commands it runs write to the same place: in a pipe, too, the lines shall come in order.
        sys.stdout.reconfigure(line_buffering=True)
    folder = Path(tempfile.mkdtemp(prefix="keyless-demo-"))
    held = asyncio.run(tell_story(folder, keep=keep))
    raise typer.Exit(exits.HELD if held else exits.DID_NOT_HOLD)
