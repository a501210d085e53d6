"""``python -m unit.billing.faults.table`` in ``tests/``: play every fault, write to the docs where the events are."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from unit.billing.faults.stage import Stage
from unit.billing.faults.test_faults import FAULTS, LATE, STEPS, over_the_hour
from unit.billing.faults.truth import Account

PAGE = Path(__file__).parents[4] / "docs/reference/billing-faults.md"
HEAD = """# What metering does on a bad day

Each row is played in `tests/unit/billing/faults/`, in virtual time, with the real recorder, spool and uploader: a
control plane changes every few seconds, the fault comes, it is mended, the hour ends. *Events* are creations and
deletions in a log that the collector does not write. Each is *stored* (it lies in an interval that a manifest covers,
and the hour's largest number is exact) or *in a gap* that a manifest records; none is unaccounted for. Numbers in the
chain are gapless or explained in every row. `python -m unit.billing.faults.table` in `tests/` writes this page.

| fault | spool | events | stored | in recorded gaps | why |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table."""

    fault: str
    spool: str
    account: Account

    def line(self) -> str:
        found = self.account
        first = {("CollectorStarted", 3000.0), ("CollectorStarted", 3550.0)}
        reasons = ", ".join(sorted({reason for reason, seconds in found.gaps if (reason, seconds) not in first}))
        return f"| {self.fault} | {self.spool} | {found.events} | {found.stored} | {found.in_gaps} | {reasons} |"


async def results() -> list[Result]:
    """Play all of them; what does not balance raises."""
    played: list[Result] = []
    for fault, (seconds, actions) in FAULTS.items():
        for volume in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                stage = Stage(Path(folder), start=LATE, volume=volume)
                await stage.play(seconds, actions(stage))
                played.append(_balanced(fault, volume, await stage.end(fault)))
    for volume in (True, False):
        total = Account()
        for step in range(1, STEPS + 1):
            with tempfile.TemporaryDirectory() as folder:
                stage = over_the_hour(Path(folder), volume=volume)
                stage.steps.kill_at = step
                await stage.play(100)
                found = _balanced("", volume, await stage.end()).account
                total.events, total.stored = total.events + found.events, total.stored + found.stored
                total.in_gaps, total.gaps = total.in_gaps + found.in_gaps, total.gaps + found.gaps
        played.append(
            _balanced(f"kill -9 at each of the {STEPS} steps of disk and bucket over an hour's end", volume, total)
        )
    return played


def _balanced(fault: str, volume: bool, found: Account) -> Result:
    assert found.wrong == [], (fault, found)
    assert found.events == found.stored + found.in_gaps, (fault, found)
    return Result(fault, "volume" if volume else "pod's own", found)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    PAGE.write_text(HEAD + "\n".join(result.line() for result in asyncio.run(results())) + "\n")
