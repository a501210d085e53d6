"""What every file of the repository keeps to, whoever writes it."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache, lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULE_LINES, FUNCTION_LINES = 600, 60
# Told in order, a story is one list; its functions hold data.
LISTS = {"src/keyless/cli/demo/story.py"}
MACHINE_PATH = re.compile(rb"(?<![\w.~}-])/(?:home|Users|root|work|mnt|opt)/[A-Za-z0-9_-]+|[A-Z]:\\\\?Users")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


@lru_cache(maxsize=1)
def tracked() -> tuple[str, ...]:
    """The files in git; a copy without git has nothing to check."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    return tuple(name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())


def modules(folder: str) -> list[str]:
    return [name for name in tracked() if name.startswith(folder) and name.endswith(".py")]


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def test_no_file_names_a_folder_of_somebody_s_machine() -> None:
    # Home folders of made-up people stand in one test of what an environment means.
    known = {b"/home/me"}
    found = {
        name: matches
        for name in tracked()
        if (matches := set(MACHINE_PATH.findall((ROOT / name).read_bytes())) - known)
    }
    assert not found


def test_no_module_is_longer_than_a_reader_bears() -> None:
    lengths = {name: (ROOT / name).read_text(encoding="utf-8").count("\n") for name in modules("")}
    assert not {name: lines for name, lines in lengths.items() if lines > MODULE_LINES}


def test_no_function_is_longer_than_a_screen() -> None:
    found = [
        f"{name}: {node.name}"
        for name in set(modules("src/")) - LISTS
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]
    assert not found


def test_every_module_and_its_public_names_say_what_they_are() -> None:
    silent = []
    for name in modules("src/"):
        tree = parsed(name)
        if tree.body and not ast.get_docstring(tree):
            silent.append(name)
        silent += [
            f"{name}: {node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert not silent


def test_no_module_is_called_what_says_nothing() -> None:
    assert not [
        name for name in modules("") if {part.lower() for part in Path(name).with_suffix("").parts} & FORBIDDEN_NAMES
    ]


@pytest.mark.parametrize("silencer", ["type: ignore", "noqa"])
def test_whoever_silences_a_check_says_why(silencer: str) -> None:
    explained = re.compile(rf"# {silencer}(\[[a-z, -]+\]|: [A-Z]+\d+(, [A-Z]+\d+)*)  ?[-#] ?\S+")
    lines = (
        (name, line)
        for name in modules("")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if re.search(rf"# {silencer}\b", line)
    )
    assert not [(name, line.strip()) for name, line in lines if not explained.search(line)]


def test_nothing_that_the_package_reads_is_hidden_from_git() -> None:
    """An ignored file works here and is missing in everybody else's clone and wheel."""
    ignored = [
        "git",
        "ls-files",
        "--others",
        "--ignored",
        "--exclude-standard",
        "-z",
        "src",
        "spaces-helm-chart",
        "tests",
    ]
    listed = subprocess.run(ignored, cwd=ROOT, capture_output=True, check=False).stdout.decode().split("\0")
    assert not [name for name in listed if name and "__pycache__" not in name]
