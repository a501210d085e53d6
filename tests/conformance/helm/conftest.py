"""Real helm, 3 and 4, away from the user's own configuration."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import tools

ROOT = Path(__file__).resolve().parents[3]
LAYERS = {"helm 3": tools.GUIDES, "helm 4": tools.SECOND}


@pytest.fixture(params=sorted(LAYERS))
def helm(request: pytest.FixtureRequest, tmp_path: Path) -> Callable:
    """``await helm("template", …)`` gives (exit code, output, errors)."""
    folder = tools.kubernetes_clients(LAYERS[request.param])
    if folder is None:
        if os.environ.get("CI"):
            pytest.fail(f"{request.param} is missing: run `make tools`")
        pytest.skip(f"{request.param} is missing: run `make tools`")

    async def run(*arguments: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            str(folder / "helm"),
            *arguments,
            cwd=ROOT,
            env={"HOME": str(tmp_path), "PATH": ""},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        return process.returncode or 0, out.decode(), errors.decode()

    run.layer = request.param
    return run
