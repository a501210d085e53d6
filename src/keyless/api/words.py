"""Numbers in sentences. Pure."""

from __future__ import annotations


def counted(number: int, one: str, more: str = "") -> str:
    """``1 segment``, ``2 segments``; ``more``: a plural that is not ``one`` and an s."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"
