"""A user's folder may hold files that are called like modules of Python's: none of them is ever run as ours."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from keyless.cli.demo.stage import keyless
from keyless.local.node.images import OURS, own_image
from keyless.local.node.processes import SpawnedProcesses

SOURCE = Path(__file__).parents[3] / "src"
STRAY = ("copy.py", "json.py", "random.py", "sitecustomize.py", "usercustomize.py", "typing.py", "keyless.py")


@pytest.fixture
def littered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, full of modules that leave a trace when they are run."""
    for name in STRAY:
        (tmp_path / name).write_text("import os\nos.mkdir('ran-' + __name__)\nraise SystemExit(9)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _traces(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith("ran-")]


COMMANDS = {"demo": keyless(), "image": list(own_image(sys.executable)[OURS].entrypoint)}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_our_own_commands_take_nothing_from_the_folder_they_are_started_in(littered: Path, command: list[str]) -> None:
    done = subprocess.run([*command, "run", "agent", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, _traces(littered)) == (0, [])
    assert "Usage: keyless run agent" in done.stdout


async def test_the_spawner_and_what_it_forks_take_nothing_either(littered: Path) -> None:
    processes = SpawnedProcesses.launch(["keyless.cli", "random"])
    await processes.ready()
    await processes.aclose()
    assert _traces(littered) == []


def test_every_start_of_python_in_the_sources_is_safe() -> None:
    """Where ``sys.executable`` is followed by ``-m`` the safe path stands between them."""
    unsafe = []
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)) if '"-m"' in text else ():
            if isinstance(node, ast.List | ast.Tuple):
                words = [ast.unparse(each) for each in node.elts]
                if "'-m'" in words and "SAFE_PATH" not in words[: words.index("'-m'")]:
                    unsafe.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert not unsafe
