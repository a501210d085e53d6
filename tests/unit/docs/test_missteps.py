"""The page of missteps says what the end-to-end tables hold, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from e2e.test_denials import DENIALS
from e2e.test_fixes import GUARDED, MISSTEPS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "missteps.md"
_RUN, _HAND = "the printed command, run as it stands", "by hand: what denies or lacks is named, and no command pretends"


def words(case: Callable[..., Any]) -> str:
    """A row's name: that of its function."""
    return case.__name__.replace("_", " ")


def rows() -> Iterator[str]:
    for case, component, link, reason in MISSTEPS:
        yield f"| {words(case)} | `verify {component}` | {link}: {reason} | {_RUN} |"
    for case, component, link, reason, _ in GUARDED:
        yield f"| {words(case)} | `verify {component}` | {link}: {reason} | {_HAND} |"
    for case, _, reason, _, mends in DENIALS:
        yield f"| {words(case)} | `explain` | {reason} | {_RUN if mends else _HAND} |"


def test_the_page_has_the_rows_of_the_tables_and_no_other() -> None:
    shown = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert shown == list(rows())
