"""The table, and the machine it was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.peers import MOTO
from tests.bench.row import Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bench.md"
_HEAD = ("bench", "what", "ours", "peer, same run", "aim", "")


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [_HEAD, ("---",) * len(_HEAD)]
    lines += [(row.bench, row.what, row.ours, row.peer, row.aim, row.verdict) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """What the figures depend on: cores, their kind, memory, interpreter, and what else was running."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores ({cpu or platform.machine()}), {pages / 2**30:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, moto {MOTO}"
    )


def write(rows: Sequence[Row], *, load_before: float) -> None:
    """Replace the page."""
    PAGE.write_text(
        "# Speed and memory\n\n"
        "Written by `make bench`; each ratio is of one run on one machine, with the peer started next to ours.\n\n"
        f"- {machine()}\n"
        f"- {datetime.now(UTC):%Y-%m-%d}; load before the run {load_before:.1f}: above 0.5, others took a share\n"
        "- decisions, signatures: processor time, the best 400 calls in two seconds, ours and the peer's; HTTP: four"
        " clients, connections kept\n"
        "- moto checks no token, no trust condition and no signature here; ours checks all of them and writes an audit"
        " line for each call\n\n"
        f"{table(rows)}\n",
        encoding="utf-8",
    )
