"""One line of the table, and how a function is timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, ours, the peer's in the same run, and the aim; ``held``: whether the aim is met."""

    bench: str
    what: str
    ours: str
    peer: str
    aim: str
    held: bool | None

    @property
    def verdict(self) -> str:
        """The last column."""
        return "" if self.held is None else "met" if self.held else "missed"


def microseconds(work: Callable[[], object], *, seconds: float = 2.0, number: int = 400) -> float:
    """Processor time of one call: the best mean of the rounds that go into ``seconds``, without garbage collection.

    The best, not the middle: whoever shares the machine can only add to a round, twice as much at times and for longer
    than a round.
    """
    work()
    means = []
    gc.collect()
    gc.disable()
    try:
        end = time.process_time() + seconds
        while (start := time.process_time()) < end:
            for _ in range(number):
                work()
            means.append((time.process_time() - start) / number)
    finally:
        gc.enable()
    return min(means) * 1e6
