"""How far a command is, on a terminal alone: a pipe, a log and a file get none of it. Plain text, no colour."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import typer

T = TypeVar("T")
STEPS = 200
"""How many times a bar is drawn at most: a terminal over a slow line holds nothing up."""


def shown(what: str, items: Iterable[T], total: int) -> Iterable[T]:
    """``items`` as they come, with a bar on stderr."""
    # A dumb terminal cannot go back to the line's start.
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb" or not total:
        return items
    return _drawn(what, items, total)


def _drawn(what: str, items: Iterable[T], total: int) -> Iterator[T]:
    label = f"Reading {what}"
    with typer.progressbar(
        items, length=total, label=label, file=sys.stderr, show_pos=True, update_min_steps=max(1, total // STEPS)
    ) as bar:
        yield from bar
