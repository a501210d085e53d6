"""``keyless down``: stop the local Space; its state is kept."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import typer

from keyless.api import Transient
from keyless.cli.options import StateOption, state_folder

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
SECONDS = 60.0
POLL_SECONDS = 0.05


@app.command()
def down(state: StateOption = None) -> None:
    """Stop the local Space; its state is kept."""
    from keyless.local.boot.running import read_running

    folder = state_folder(state)
    running = read_running(folder)
    if running is None:
        print(f"no local Space runs in {folder}; nothing changed")
        return
    os.kill(running.pid, signal.SIGTERM)
    _wait_until_released(folder, running.pid)
    print(f"stopped; the state is kept in {folder}")


def _wait_until_released(folder: Path, pid: int) -> None:
    """The lock goes with the process, so it is the one thing to ask."""
    from keyless.local.state.lock import is_held

    deadline = time.monotonic() + SECONDS
    while is_held(folder):
        if time.monotonic() > deadline:
            raise Transient(f"process {pid} has not stopped within {SECONDS:g} s; see {folder}/logs/up.log")
        time.sleep(POLL_SECONDS)
