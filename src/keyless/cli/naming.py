"""How the person at the terminal calls us, so that a printed command runs as it stands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from keyless.api.starting import SAFE_PATH
from keyless.cli.location import default_folder

NAME = "keyless"


def ourselves() -> str:
    """Return the word that starts this very program: its name where the PATH finds it, else the way to it."""
    return shlex.join(start_of())


def start_of(*, anywhere: bool = False) -> list[str]:
    """The words that start this very program; ``anywhere``: whatever folder it is started in, by a program say."""
    script = Path(sys.argv[0] or NAME)
    if script.name != NAME:
        return [sys.executable, SAFE_PATH, "-m", NAME]
    found = shutil.which(NAME)
    if found and Path(found).resolve() == script.resolve():
        return [NAME]
    return [str(script.absolute() if anywhere or os.sep not in str(script) else script)]


def with_state(command: str, folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Return ``keyless COMMAND`` for the Space in ``folder``, naming it where the default is another one."""
    named = "" if default_folder(environ) == folder else f" --state {shlex.quote(str(folder))}"
    return f"{ourselves()} {command}{named}"


def next_step(folder: Path) -> str:
    """Return what to type when a Space is ready."""
    return f'eval "$({with_state("env", folder)})"'


def did_you_mean(wanted: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'verify'?``, or nothing where no name resembles what was typed."""
    import difflib

    near = difflib.get_close_matches(wanted, list(names))
    return f" Did you mean {', '.join(map(repr, near))}?" if near else ""
