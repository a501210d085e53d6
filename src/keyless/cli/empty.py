"""Paths that are empty words: ``--state "$UNSET"`` would name the folder that one stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

EMPTY = "expected a path, found an empty word; is the variable that it came from set?"


def refuse_empty_paths(command: Any) -> Any:
    """The command, and all below it: an option or argument that is a path takes no empty word (click's usage error)."""
    for part in getattr(command, "commands", {}).values():
        refuse_empty_paths(part)
    for param in command.params:
        if param.type_descriptor.annotation is Path:
            # Before the conversion: afterwards it is ".", as if it had been meant.
            param.process_value = _refusing(param, param.process_value)
    return command


def _refusing(param: Any, process: Any) -> Any:
    def checked(ctx: Any, value: Any) -> Any:
        if value == "" or (isinstance(value, list | tuple) and "" in value):
            raise typer.BadParameter(EMPTY, ctx=ctx, param=param)
        return process(ctx, value)

    return checked
