"""How long ``keyless --help`` takes, next to an interpreter that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.row import Row


def bench() -> Iterator[Row]:
    """The median of 20 runs each."""
    keyless = Path(sys.executable).parent / "keyless"
    shown, nothing = _median([str(keyless), "--help"]), _median([sys.executable, "-c", "pass"])
    yield Row("cli", "keyless --help", f"{shown:.0f} ms", f"python -c pass {nothing:.0f} ms", "≤ 100 ms", shown <= 100)


def _median(command: list[str]) -> float:
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3
