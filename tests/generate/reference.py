"""Write the parts of ``docs/reference/`` that the code knows better than a writer: ``make reference``.

A page is generated as a whole (commands, settings), or between two markers inside a page that somebody writes. A unit
test compares what is on disk with what the code says, so a page cannot fall behind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import chart_page, known_keys, rights_page
from .cloud_operations import served_operations
from .cluster_kinds import served_kinds
from .command_pages import commands
from .exit_pages import exit_codes
from .settings_pages import settings

FOLDER = Path(__file__).parents[2] / "docs/reference"
BEGIN, END = "<!-- begin: written by `make reference` -->", "<!-- end -->"

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "exit-codes.md": exit_codes,
    "settings.md": settings,
    "operator-rights.md": rights_page.page,
    # Beside the chart, where `helm show readme` finds it.
    "../../spaces-helm-chart/README.md": chart_page.page,
    "../../spaces-helm-chart/files/keys.json": known_keys.keys,
}
PARTS: dict[str, Callable[[], str]] = {
    "aws-differences.md": served_operations,
    "kubernetes-differences.md": served_kinds,
}


def with_part(page: str, part: str) -> str:
    """The page with what is between its markers replaced. Raises ``ValueError`` where they are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected {BEGIN} and {END} in the page")
    return f"{before}{begin}\n\n{part}\n{end}{after}"


def expected(name: str) -> str:
    """What the page of that name should hold."""
    if name in PAGES:
        return PAGES[name]()
    return with_part((FOLDER / name).read_text(encoding="utf-8"), PARTS[name]())


def main() -> None:
    """Write every page."""
    for name in (*PAGES, *PARTS):
        (FOLDER / name).write_text(expected(name), encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
