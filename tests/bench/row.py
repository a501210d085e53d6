"""One line of the table, and how a function is timed."""

from __future__ import annotations

import gc
import statistics
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


def microseconds(work: Callable[[], object], *, rounds: int = 7, number: int = 2000) -> float:
    """Processor time of one call: the median of ``rounds`` means, without garbage collection in between."""
    work()
    means = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(number):
                work()
            means.append((time.process_time() - start) / number)
    finally:
        gc.enable()
    return statistics.median(means) * 1e6
