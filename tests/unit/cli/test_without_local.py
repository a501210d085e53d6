"""An installation for production, an image above all, has no local Space: what it does there needs nothing of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import keyless
from keyless.cli.installed import LOCAL_ONLY

SOURCE = Path(keyless.__file__).parent
#: who may import it, and why that is never met without it; a whole module by its name, else a function of it
OF_THE_LOCAL_SPACE = "a command of the local Space"
ASKS_FIRST = "asks first whether it is installed"
ITS_RECORD = "reads the local cloud's record, which nothing else has"
ALLOWED = {
    **dict.fromkeys(
        ("cli.audit", "cli.demo", "cli.down", "cli.env", "cli.faults", "cli.foreground"), OF_THE_LOCAL_SPACE
    ),
    **dict.fromkeys(("cli.keys", "cli.status", "cli.up"), OF_THE_LOCAL_SPACE),
    "cli.explain.warn_of_unlisted": ASKS_FIRST,
    "cli.options.use_local_space": ASKS_FIRST,
    "cli.explain._find": ITS_RECORD,
    "cli.tightening._record": ASKS_FIRST,
}


def importers() -> Iterator[str]:
    """Each function, or module, outside of the local Space that imports it."""
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        if parts[0] != "local" and "keyless.local" in text:
            yield from _within(ast.parse(text), ".".join(parts))


def _within(node: ast.AST, name: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        named = f"{name}.{child.name}" if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else name
        if any(each.startswith("keyless.local") for each in _imported(child)):
            yield name
        else:
            yield from _within(child, named)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [each.name for each in node.names] if isinstance(node, ast.Import) else []


def allowed(importer: str) -> str:
    return next((name for name in ALLOWED if importer == name or importer.startswith(f"{name}.")), "")


def test_nothing_that_production_runs_imports_the_local_space() -> None:
    assert not {each for each in importers() if not allowed(each)}


def test_the_table_names_nobody_who_does_not() -> None:
    assert {allowed(each) for each in importers()} - {""} == set(ALLOWED)


#: as in the image: what only the extra ``local`` brings is not there
HIDDEN = """
import sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        hidden = any(name == one or name.startswith(one + ".") for one in {names!r})
        return None if hidden else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Hiding(each) for each in sys.meta_path]
sys.argv = ["-m"]
{code}
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("from keyless.cli.naming import ourselves; print(ourselves())", f"{sys.executable} -P -m keyless"),
        ("from keyless.cli.explain import warn_of_unlisted; print(repr(warn_of_unlisted('s3:Nothing')))", "''"),
        ("from keyless.cli.options import use_local_space; print(use_local_space(None))", "None"),
        (
            "from keyless.cli.options import state_folder; print(state_folder(None))",
            "/home/.local/share/keyless",
        ),
    ],
)
def test_what_production_does_needs_nothing_of_it(code: str, printed: str) -> None:
    program = HIDDEN.format(names=LOCAL_ONLY, code=code)
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/home"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False, env=environ
    )
    assert (done.stdout.strip(), done.returncode) == (printed, 0), done.stderr
