"""What a rendering may cost. Every cost is told before it is incurred: nothing is built that may not be.

One unit for all: a *step* is about a microsecond: a node of the template, a value walked over, or 64 bytes of text.
What is made counts in bytes and is never given back, so memory is bounded by the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.values import SCALAR_WEIGHT, weight_of


@dataclass(frozen=True, slots=True)
class Limits:
    """How far one rendering may go."""

    output_bytes: int = 1 << 20
    """A Secret holds 1 MiB in all, so no text of it is longer; holds for every text on the way as well."""
    made_bytes: int = 64 << 20
    calls: int = 100
    steps: int = 200_000


class LimitMet(Problem):
    """The rendering would cost more than it may; the text names the limit."""


class Account:
    """What one rendering has cost so far."""

    __slots__ = ("_limits", "_made", "_steps")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps = self._made = 0

    def step(self, count: int = 1) -> None:
        """Pay for work."""
        self._steps += count
        if self._steps > self._limits.steps:
            raise LimitMet(f"more than {self._limits.steps} steps")

    def make(self, size: int) -> None:
        """Pay for ``size`` bytes about to be made."""
        self._made += size
        if self._made > self._limits.made_bytes:
            raise LimitMet(f"more than {self._limits.made_bytes >> 20} MiB made")

    def room(self, size: int) -> None:
        """Ask whether one text of ``size`` bytes may be made; it is paid for when it is there."""
        if size > self._limits.output_bytes:
            raise LimitMet(f"a text would be longer than {self._limits.output_bytes} bytes")

    def text(self, size: int) -> None:
        """Pay for one text of ``size`` bytes."""
        self.room(size)
        self.make(size + SCALAR_WEIGHT)
        self.step(size // SCALAR_WEIGHT)

    def items(self, count: int) -> None:
        """Pay for a list or map of ``count`` members about to be made, each of its own."""
        self.make((count + 1) * SCALAR_WEIGHT)
        self.step(count)

    def walk(self, *values: Any) -> None:
        """Pay for looking at everything in ``values``."""
        self.step(sum(map(weight_of, values)) // SCALAR_WEIGHT)

    def spell(self, *values: Any) -> None:
        """Pay for work on each character in ``values``, which takes eight times as long as a look at it."""
        self.step(sum(map(weight_of, values)) // 8)

    def copy(self, *values: Any) -> None:
        """Pay for copying the outermost level of ``values``: references alone."""
        size = sum(len(value) * 16 for value in values if isinstance(value, tuple | dict))
        self.make(size)
        self.step(size // SCALAR_WEIGHT)
