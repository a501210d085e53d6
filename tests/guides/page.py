"""A page as the tests read it: its fenced shell blocks, each with the headings above it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES, HOW_TO = DOCS / "guides", DOCS / "how-to"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: ``marks`` are the words after ``sh`` in its opening fence."""

    page: str
    line: int
    headings: tuple[str, ...]
    marks: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line} ({' / '.join(self.headings[1:]) or self.headings[0]})"


def blocks(page: str, folder: Path = GUIDES) -> list[Block]:
    """The shell blocks of a page, in order."""
    found: list[Block] = []
    headings: list[str] = []
    fence: tuple[int, tuple[str, ...]] | None = None
    body: list[str] = []
    for number, line in enumerate((folder / page).read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            if fence is None:
                fence, body = (number, tuple(line[3:].split())), []
            else:
                start, words = fence
                if words[:1] == ("sh",):
                    found.append(Block(page, start, tuple(headings), words[1:], "\n".join(body)))
                fence = None
        elif fence is not None:
            body.append(line)
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            headings[level - 1 :] = [line.lstrip("# ")]
    return found


def chosen(page: str, *sections: str, without: tuple[str, ...] = (), folder: Path = GUIDES) -> list[Block]:
    """The blocks of the top sections named, in the order of the page, but those with one of the marks ``without``."""
    wanted = [b for b in blocks(page, folder) if len(b.headings) > 1 and b.headings[1] in sections]
    assert {b.headings[1] for b in wanted} == set(sections), f"{page} lacks one of {sections}"
    return [b for b in wanted if not set(b.marks) & set(without)]
