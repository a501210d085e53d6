"""The table of attacks names tests that exist, and says of each where it is refused."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "attacks.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] != "attack"]


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_has_its_four_cells() -> None:
    assert len(rows()) > 50
    assert not [row for row in rows() if len(row) != 4]


def test_every_test_that_is_named_exists() -> None:
    named = [re.fullmatch(r"`([\w/.]+)::(\w+)`", row[3]) for row in rows()]
    assert all(named)
    assert not [found[0] for found in named if found and found[2] not in functions_of(found[1])]


def test_every_module_that_is_named_exists() -> None:
    places = {place for row in rows() for place in re.findall(r"`([a-z_]+/[\w/.]*)`", row[2])}
    assert not [place for place in places if not (ROOT / "src" / "keyless" / place).exists()]
