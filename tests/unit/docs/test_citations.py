"""Every citation resolves: files and headings that sources, tests and pages name are there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DECISIONS = ROOT / "docs" / "decisions"
FACTS = ROOT / "docs" / "reference" / "facts"
TEXTS = {".py", ".md", ".json", ".toml", ".yaml", ".yml", ".txt", ".tpl", ""}
#: ``docs/map.md#heading, #another`` or ``facts/README.md``, short for the folder of facts; no address on the net
CITED = re.compile(r"(?<![\w./-])(?P<path>(?:docs|facts)/[\w./-]*[\w/])(?P<anchors>#[\w-]+(?:,\s+#[\w-]+)*)?")
THIS = Path(__file__).relative_to(ROOT).as_posix()
LINKED = re.compile(r"\]\((?P<path>[^)#\s:]*)(?P<anchors>#[^)\s]+)?\)")
PAGE = re.compile(r"(?<![\w*/.-])(?P<name>[\w-]+\.md)(?![\w-])")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@cache
def tracked() -> tuple[str, ...]:
    """The files in git; a copy without git has nothing to check."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    return tuple(name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8", errors="replace") if Path(name).suffix in TEXTS else ""


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    """Every heading's; one that comes again gets a number."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", FENCE.sub("", page), re.MULTILINE):
        name = slug(heading)
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f"{name}-{found[name]}"] = 0
    return set(found)


def faults(path: Path, cited: str) -> Iterator[str]:
    """What is missing of a cited file and its headings."""
    if not path.exists():
        yield f"no {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}"
        return
    known = anchors(path.read_text("utf-8")) if cited and path.suffix == ".md" else set[str]()
    yield from (f"{path.name} has no heading for {one}" for one in re.findall(r"#([\w-]+)", cited) if one not in known)


def cited(text: str) -> Iterator[str]:
    for found in CITED.finditer(text):
        short = found["path"].startswith("facts/")
        yield from faults((FACTS.parent if short else ROOT) / found["path"], found["anchors"] or "")


def linked(name: str) -> Iterator[str]:
    for found in LINKED.finditer(text_of(name)):
        page = ROOT / name if not found["path"] else (ROOT / name).parent / found["path"]
        yield from faults(page.resolve(), found["anchors"] or "")


def test_what_sources_and_pages_cite_under_docs_is_there() -> None:
    others = [name for name in tracked() if name != THIS]
    assert not {name: found for name in others if (found := sorted(set(cited(text_of(name)))))}


def test_links_between_pages_lead_somewhere() -> None:
    missing = {name: found for name in tracked() if name.endswith(".md") and (found := sorted(set(linked(name))))}
    assert not missing


def test_a_page_that_is_named_is_a_page_of_this_repository() -> None:
    pages = {Path(name).name for name in tracked() if name.endswith(".md")}
    strange = {
        name: found
        for name in tracked()
        if name.startswith(("src/", "tests/")) and name != THIS
        if (found := set(PAGE.findall(text_of(name))) - pages)
    }
    assert not strange


def test_facts_are_cited_at_all() -> None:
    sources = [name for name in tracked() if name.startswith(("src/", "tests/")) and name != THIS]
    assert sum("facts/" in one["path"] for name in sources for one in CITED.finditer(text_of(name))) >= 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Facts: docs/design.md#the-chain.", []),
        ("(docs/design.md#no-such-heading)", ["design.md has no heading for no-such-heading"]),
        ("docs/design.md#the-chain, #nothing", ["design.md has no heading for nothing"]),
        ("facts/identity.md#values", []),
        ("(facts/identity.md#values-of-none)", ["identity.md has no heading for values-of-none"]),
        ("docs/nothing.md", ["no docs/nothing.md"]),
        ("https://example.com/docs/nothing.md", []),
    ],
)
def test_the_search_for_citations_finds_them(text: str, expected: list[str]) -> None:
    assert list(cited(text)) == expected


def test_headings_are_numbered_where_they_repeat() -> None:
    page = "# A b, c\n## A\n```\n# not one\n```\n### `A`\n"
    assert anchors(page) == {"a-b-c", "a", "a-1"}


def test_decisions_are_numbered_from_one_without_holes() -> None:
    names = sorted(path.name for path in DECISIONS.glob("*.md"))
    assert [name[:5] for name in names] == [f"{number:04}-" for number in range(1, len(names) + 1)]


@pytest.mark.parametrize("name", sorted(path.name for path in DECISIONS.glob("*.md")))
def test_a_decision_says_why_what_else_and_how_to_undo_it(name: str) -> None:
    text = (DECISIONS / name).read_text("utf-8")
    for part in ("Context", "Choice", "Rejected", "To undo"):
        assert re.search(rf"^\*\*{part}", text, re.MULTILINE), f"{name} lacks {part}"
