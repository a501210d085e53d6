"""``docs/reference/billing-faults.md``: what it says of a fault that was played."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unit.billing.faults.truth import Account

SPOOLS = {True: "volume", False: "pod's own"}
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


def kills(steps: int) -> str:
    """The name of the row that sums up a kill at each of so many steps."""
    return f"kill -9 at each of the {steps} steps of disk and bucket over an hour's end"


def rows_told() -> list[str]:
    """The rows of the page as it is."""
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
