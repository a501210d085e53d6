"""What one lookup may cost. Counted, not timed: the same path over the same payload always ends the same way."""

from __future__ import annotations

MAX_STEPS = 15_000
"""Marks met, patterns tried and blocks of 64 bytes copied: at most about 40 ms, so that no other object waits."""
MAX_NESTING = 60
"""Components, pipes and queries within one another: each is a few calls deep."""
_BLOCK = 64


class PathFault(ValueError):
    """The path asks for more than a lookup may cost; the text holds no value."""


class Budget:
    """Counts down; ``spend`` and ``enter`` raise ``PathFault`` when nothing is left."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int = 1, *, size: int = 0) -> None:
        """Take ``steps``, and one more for each block of ``size`` bytes that are copied or walked."""
        self._left -= steps + size // _BLOCK
        if self._left < 0:
            raise PathFault("it needs too many steps over this payload; ask for a shorter path")

    @staticmethod
    def check_nesting(depth: int) -> None:
        """Refuse what is nested deeper than the interpreter can be trusted to follow."""
        if depth > MAX_NESTING:
            raise PathFault(f"it is nested more than {MAX_NESTING} deep; ask for a shorter path")
