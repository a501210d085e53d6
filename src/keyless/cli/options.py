"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="The local Space's folder (default: KEYLESS_STATE, else user data)."),
]
OutputOption = Annotated[str, typer.Option("--output", "-o", metavar="text|json", help="text or json.")]


def state_folder(chosen: Path | None) -> Path:
    """The folder that ``--state``, the environment or the default names."""
    from keyless.local.state.location import default_folder

    return chosen.expanduser().absolute() if chosen else default_folder(os.environ)


def require_output(output: str) -> bool:
    """Whether JSON was asked for; raises click's usage error for an unknown format."""
    if output not in {"text", "json"}:
        raise typer.BadParameter(f"expected text or json, found {output!r}", param_hint="--output")
    return output == "json"
