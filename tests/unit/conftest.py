"""What holds for every fast test."""

from __future__ import annotations

from typing import Any


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Bytes that are no text have their length as their name.

    Each worker collects by itself, and their names must be the same: what gzip packs holds the second of its making.
    """
    if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()):
        return f"{len(val)} bytes"
    return None
