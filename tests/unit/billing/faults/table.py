"""``python -m unit.billing.faults.table`` in ``tests/``: play every fault, write to the docs where the events are."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

import structlog

from unit.billing.faults.page import HEAD, PAGE, SPOOLS, Result, kills
from unit.billing.faults.stage import Stage
from unit.billing.faults.test_faults import FAULTS, LATE, STEPS, over_the_hour
from unit.billing.faults.truth import Account


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
        played.append(_balanced(kills(STEPS), volume, total))
    return played


def _balanced(fault: str, volume: bool, found: Account) -> Result:
    assert found.wrong == [], (fault, found)
    assert found.events == found.stored + found.in_gaps, (fault, found)
    return Result(fault, SPOOLS[volume], found)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    PAGE.write_text(HEAD + "\n".join(result.line() for result in asyncio.run(results())) + "\n")
