"""Options that several commands share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from keyless.cli.location import default_folder
from keyless.cli.naming import with_state

StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="The local Space's folder (default: KEYLESS_STATE, else user data)."),
]
LongOption = Annotated[
    bool, typer.Option("--long", help="On a terminal too, fold no command and cut no line of a document.")
]
OutputOption = Annotated[str, typer.Option("--output", "-o", metavar="text|json", help="text or json.")]


def state_folder(chosen: Path | None) -> Path:
    """The folder that ``--state``, the environment or the default names."""
    return chosen.expanduser().absolute() if chosen else default_folder(os.environ)


def require_output(output: str) -> bool:
    """Whether JSON was asked for; raises click's usage error for an unknown format."""
    if output not in {"text", "json"}:
        raise typer.BadParameter(f"expected text or json, found {output!r}", param_hint="--output")
    return output == "json"


def use_local_space(chosen: Path | None) -> None:
    """Take the local Space's configuration: the one ``--state`` names, else the running one where none is set.

    Commands that work on any cluster read the standard environment; this fills it in for whoever has not
    evaluated ``keyless env``.
    """
    if chosen is None and os.environ.get("KUBECONFIG"):
        return
    from keyless.api import Permanent
    from keyless.cli.installed import has_local

    if chosen is None and not has_local():
        return  # an installation for production: the standard environment is all there is
    from keyless.local.boot.exports import Access, exports
    from keyless.local.boot.running import read_running

    folder = state_folder(chosen)
    running = read_running(folder) if folder.exists() else None
    if running is None or not running.ready:
        if chosen is None:
            return
        raise Permanent(f"no local Space is ready in {folder}: start one with `{with_state('up --detach', folder)}`")
    access = Access(**json.loads((folder / "access.json").read_text(encoding="utf-8")))
    os.environ.update(exports(access))
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
