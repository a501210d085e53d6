"""The table of identity's bad days names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "identity-faults.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
ROWS = [row for row in ROWS if not row.startswith("| fault |")]


def test_the_table_is_there() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50].strip())
def test_each_row_says_what_holds_and_names_a_test_that_exists(row: str) -> None:
    fault, holds, named = (cell.strip() for cell in row.strip("|").split("|"))
    assert fault
    assert holds
    found = re.fullmatch(r"`([\w/.]+)::(\w+)`", named)
    assert found
    place, name = found.groups()
    assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / place).read_text(encoding="utf-8"), re.MULTILINE)
