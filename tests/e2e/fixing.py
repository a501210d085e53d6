"""Run what ``keyless verify`` prints, as it stands, in the shell of somebody who has the real clients."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.tools import GUIDES, aws_cli, kubernetes_clients

from e2e.local_space import LocalSpace

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 90
AGAIN_SECONDS = 80
"""A refused collector waits a minute at most; a command that takes longer than 90 s is ended."""


@dataclass(frozen=True, slots=True)
class Told:
    """The first link that ``verify`` calls broken, and what it prints to be run."""

    link: str
    reason: str
    found: str
    fix: str
    advice: str


def first_broken(space: LocalSpace, component: str, control_plane: str) -> Told:
    """What is told first of a chain that does not hold."""
    links = space.verify(component, control_plane)["links"]
    first = next(link for link in links if link["state"] == "Broken")
    words = (first[key] or "" for key in ("reason", "found", "fix", "advice"))
    return Told(first["name"], *words)


def run(space: LocalSpace, command: str) -> None:
    """Run a command in the folder of the chart, with what ``keyless env`` exports; it must succeed."""
    clients, aws = kubernetes_clients(GUIDES), aws_cli()
    assert clients is not None
    assert aws is not None
    outcome = subprocess.run(
        ["bash", "-euc", command],
        cwd=ROOT,
        env={
            **space.environ,
            "PATH": f"{clients}:{aws}:{os.environ['PATH']}",
            "HOME": str(space.folder.parent),
            "AWS_PAGER": "",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert outcome.returncode == 0, f"{command}\n{outcome.stdout}"


async def holds(space: LocalSpace, component: str, control_plane: str) -> None:
    """The whole chain holds within the time in which a refused component tries again."""
    chain = await asyncio.to_thread(space.verify, component, control_plane, AGAIN_SECONDS)
    if not chain["held"]:
        raise AssertionError([link for link in chain["links"] if link["state"] != "Held"], _usage_log(space))


def _usage_log(space: LocalSpace) -> list[str]:
    """The last that each collector said of its tries; it is told no value of a secret."""
    return [line for path, log in space.logs().items() if "vector" in path.parts for line in log.splitlines()[-8:]]
