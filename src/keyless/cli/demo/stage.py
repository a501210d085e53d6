"""The demo's stage: a fresh Space, connections to it, and the clients found on the PATH."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyless.api import Permanent
from keyless.api.starting import SAFE_PATH
from keyless.aws import Session
from keyless.kube import Kube, connect

# aws takes AWS_ENDPOINT_URL from the environment since these versions; an older one would call AWS itself.
OLDEST_AWS = {1: (1, 29), 2: (2, 13)}
_AWS_VERSION = re.compile(r"aws-cli/(\d+)\.(\d+)")
COMMAND_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything a step may use. ``tenant`` is the control plane's own API."""

    folder: Path
    environ: Mapping[str, str]
    host: Kube
    tenant: Kube
    aws: Session
    tools: frozenset[str]

    def name(self, variable: str) -> str:
        """The value of a ``YOUR_…`` variable."""
        return self.environ[variable]

    def second(self) -> Kube:
        """The API of ctp2, once it is ready: ``keyless env`` writes its kubeconfig."""
        state = str(self.folder / "state")
        return connect(_exports("env", "--state", state, "--control-plane", "ctp2", "--group", "default"))

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line as a reader would, in the demo's folder."""
        return subprocess.run(  # noqa: S603 - our own texts, run by the shell they are written for
            ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607 - the reader's own bash
            cwd=self.folder,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


def keyless(*arguments: str) -> list[str]:
    """This very keyless, whatever the PATH says."""
    return [sys.executable, SAFE_PATH, "-m", "keyless", *arguments]


def start_space(state: Path) -> None:
    """``keyless up --detach`` on an empty folder; its progress goes to this terminal."""
    done = subprocess.run(keyless("up", "--detach", "--state", str(state)), check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise Permanent(f"the local Space did not start; its log is in {state / 'logs'}")


def stop_space(state: Path) -> None:
    """Stop it and forget it."""
    subprocess.run(keyless("down", "--state", str(state)), check=False, capture_output=True)  # noqa: S603 - as above
    shutil.rmtree(state.parent, ignore_errors=True)


def open_stage(state: Path) -> Stage:
    """Connect as ``keyless env`` would."""
    environ = _exports("env", "--state", str(state))
    # The SDK reads its endpoint and keys here; this process does nothing but the demo.
    os.environ.update(environ)
    tenant = _exports("env", "--state", str(state), "--control-plane", "ctp1", "--group", "default")
    chart = chart_folder()
    if not (state.parent / chart.name).exists():
        shutil.copytree(chart, state.parent / chart.name)
    return Stage(
        folder=state.parent,
        environ={
            **environ,
            "TENANT_KUBECONFIG": tenant["KUBECONFIG"],
            "SECOND_KUBECONFIG": tenant["KUBECONFIG"].replace("default-ctp1", "default-ctp2"),
        },
        host=connect(environ),
        tenant=connect(tenant),
        aws=Session.from_environment(environ),
        tools=frozenset(found_tools()),
    )


def chart_folder() -> Path:
    """The chart: in the wheel below the package, in a checkout at its root."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_chart" / "spaces-helm-chart", package.parents[1] / "spaces-helm-chart"):
        if folder.is_dir():
            return folder
    raise Permanent(f"the chart spaces-helm-chart was not found below {package}: is the installation complete?")


def found_tools() -> set[str]:
    """Which of the three clients are on the PATH and fit for a local Space."""
    found = {tool for tool in ("kubectl", "helm", "aws") if shutil.which(tool)}
    if "aws" in found and not _aws_is_new_enough():
        found.remove("aws")
    return found


def _aws_is_new_enough() -> bool:
    told = subprocess.run(["aws", "--version"], capture_output=True, text=True, check=False)  # noqa: S607 - the reader's
    version = _AWS_VERSION.search(told.stdout + told.stderr)
    if version is None:
        return False
    major, minor = int(version[1]), int(version[2])
    return (major, minor) >= OLDEST_AWS.get(major, (0, 0))


def _exports(*arguments: str) -> dict[str, str]:
    """What ``keyless env`` exports, read by a shell as a reader's shell would."""
    printed = subprocess.run(keyless(*arguments), check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
    script = f"{printed}\nenv -0"
    shell = ["bash", "-c", script]
    told = subprocess.run(shell, check=True, capture_output=True, text=True).stdout  # noqa: S603 - what we printed
    variables = dict(line.partition("=")[::2] for line in told.split("\0") if line)
    names = set(re.findall(r"^export (\w+)=", printed, re.MULTILINE))
    return {name: value for name, value in variables.items() if name in names}


async def until(ask: Any, *, seconds: float, what: str) -> Any:
    """Ask until the answer is not None; raises ``Permanent`` with ``what`` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while (found := await ask()) is None:  # noqa: ASYNC110 - only asking again tells
                await asyncio.sleep(0.2)
            return found
    except TimeoutError:
        raise Permanent(f"{what} within {seconds:g} s") from None
