"""What a running Space writes down so that other commands find it: one JSON file in its state folder.

The file may outlive a process that was killed; ``read_running`` therefore asks the folder's lock, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from keyless.local.state.lock import is_held, private

FILE = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """``ready`` turns true when everything has started; ``endpoints`` are URLs by the name of their port."""

    pid: int
    state: str
    started_at: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    ready: bool = False

    @property
    def since(self) -> datetime:
        """When it was started."""
        return datetime.fromisoformat(self.started_at)


def write_running(folder: Path, running: Running) -> None:
    """Replace what was written before."""
    partial = folder / f"{FILE}.partial"
    with open(partial, "w", encoding="utf-8", opener=private) as file:
        json.dump(asdict(running), file, indent=2)
    partial.replace(folder / FILE)


def read_running(folder: Path) -> Running | None:
    """The Space that runs in the folder now, or None."""
    if not is_held(folder):
        return None
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None  # it has only just taken the lock
    return Running(**content)


def forget_running(folder: Path) -> None:
    """The Space has stopped."""
    (folder / FILE).unlink(missing_ok=True)
