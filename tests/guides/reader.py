"""A reader who follows a guide in a shell: one block after another, in one environment, with the real clients."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools import GUIDES, Layer, aws_cli, kubernetes_clients

from guides.page import Block

ROOT = Path(__file__).resolve().parents[2]
BLOCK_SECONDS = 240


@dataclass
class Reader:
    """A shell in a folder that holds what the page speaks of: the chart and the examples.

    ``state``: that of a Space which runs already; else the page starts one in the folder.
    """

    folder: Path
    layer: Layer = GUIDES
    state: Path | None = None
    transcript: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "spaces-helm-chart", self.folder / "spaces-helm-chart")
        shutil.copytree(ROOT / "docs" / "guides", self.folder / "docs" / "guides")
        self._environment = self.folder / ".environment"
        clients, aws = kubernetes_clients(self.layer), aws_cli()
        assert clients is not None
        assert aws is not None
        path = [str(ROOT / ".venv" / "bin"), str(clients), str(aws), os.environ["PATH"]]
        self._start = {
            "PATH": ":".join(path),
            "HOME": str(self.folder),
            "KEYLESS_STATE": str(self.state or self.folder / "state"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }

    def follow(self, blocks: list[Block]) -> None:
        """Run the blocks; the first that fails ends the test with everything it printed."""
        for block in blocks:
            outcome = self.run(block.text)
            self.transcript.append(f"--- {block.place}\n{block.text}\n{outcome.stdout}")
            assert outcome.returncode == 0, f"{block.place} failed:\n{block.text}\n{outcome.stdout}"

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a script where the last one left off; stderr is read together with stdout, as a person reads it."""
        known = f". {self._environment}\n" if self._environment.exists() else ""
        script = f"set -euo pipefail\n{known}{text}\nexport -p > {self._environment}\n"
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._start,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_SECONDS,
            check=False,
        )

    def said(self, text: str) -> str:
        """What a script prints; it must succeed."""
        outcome = self.run(text)
        assert outcome.returncode == 0, f"{text}\n{outcome.stdout}"
        return outcome.stdout

    def variable(self, name: str) -> str:
        """The value of a variable in the reader's shell."""
        return self.said(f'printf %s "${{{name}}}"')
