"""The page of conditions lists what the operator says, all of it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from keyless.api import Reason
from keyless.space.control_planes.findings import TYPES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/control-planes.md").read_text(encoding="utf-8")
SAID = {
    Reason[name]
    for path in (ROOT / "src/keyless/space").rglob("*.py")
    for name in re.findall(r"Reason\.([A-Z_]+)", path.read_text(encoding="utf-8"))
}


def test_every_reason_of_the_operator_is_on_the_page() -> None:
    assert {reason for reason in SAID if f"`{reason}`" not in PAGE} == set()


def test_every_reason_on_the_page_is_one_that_the_operator_gives() -> None:
    table = PAGE.partition("## Conditions")[2].partition("\n\nSeveral reasons")[0]
    listed = {
        word for row in table.splitlines() if row.startswith("|") for word in re.findall(r"`(\w+)`", row.split("|")[3])
    }
    assert listed
    assert {word for word in listed if word not in {str(reason) for reason in SAID}} == set()


def test_every_condition_of_the_operator_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)`", PAGE, flags=re.M)
    assert [kind for kind in TYPES if kind not in rows] == []
