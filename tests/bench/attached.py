"""The operator as its pod runs it, with many control planes attached: resident memory, and how long they take.

Each has an API of its own, all in one server with the host's. The memory is the peak of the whole run: from the first
control plane to a minute after the last is ready. The time is the server's too, which is ours and has one core.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyless.kube import Kube, NotFound, connect, is_true
from keyless.kube.resources import CONTROLPLANES
from tests.bench.collector import cpu_seconds, peak_mb
from tests.bench.row import Row

COUNT = int(os.environ.get("KEYLESS_BENCH_PLANES", "300"))
CHART = {"MALLOC_ARENA_MAX": "1"}
"""What the chart tells the operator beside."""
IDLE_SECONDS = 60.0
SECONDS_AT_MOST = 3600.0


def bench() -> Iterator[Row]:
    """All at once, then a minute of rest."""
    what = f"{COUNT} control planes attached"
    with _running() as (operator, server, kubeconfig):
        began = time.monotonic()
        assert server.stdin
        server.stdin.write("\n")
        server.stdin.flush()
        asyncio.run(_wait(kubeconfig, COUNT, "ready"))
        took = time.monotonic() - began
        before = cpu_seconds(operator.pid)
        time.sleep(IDLE_SECONDS)
        percent = (cpu_seconds(operator.pid) - before) / IDLE_SECONDS * 100
        peak = peak_mb(operator.pid)
        assert operator.poll() is None, "the operator ended by itself"
    yield Row("attached", f"{what}: memory of the operator at most", f"{peak:.0f} MB", "", "≤ 200 MB", peak <= 200)
    yield Row("attached", f"{what}: of a core at rest", f"{percent:.1f} %", "", "", None)
    yield Row("attached", f"{what}: until all are ready, at once", f"{took:.0f} s", "", "", None)


async def _wait(kubeconfig: Path, count: int, what: str) -> None:
    """Until so many control planes are ready; with 0 until their kind is served."""
    async with connect({"KUBECONFIG": str(kubeconfig)}) as kube:
        end = time.monotonic() + SECONDS_AT_MOST
        while time.monotonic() < end:
            if await _ready(kube) >= count:
                return
            await asyncio.sleep(2.0)
    raise AssertionError(f"not {count} {what} within {SECONDS_AT_MOST:.0f} s")


async def _ready(kube: Kube) -> int:
    try:
        found = (await kube.list(CONTROLPLANES, "default")).items
    except NotFound:
        return -1
    return sum(is_true(each, "Ready") for each in found)


@contextmanager
def _running() -> Iterator[tuple[subprocess.Popen[str], subprocess.Popen[str], Path]]:
    """The operator and what it talks to, before the first control plane."""
    with tempfile.TemporaryDirectory(prefix="keyless-bench-") as folder:
        command = [sys.executable, "-m", "tests.bench.attached_server", f"{folder}/state", str(COUNT)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        kubeconfig = Path(server.stdout.readline().strip())
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "KUBECONFIG": str(kubeconfig),
            "KEYLESS_PORT": "0",
            **CHART,
        }
        operator = subprocess.Popen(
            [sys.executable, "-m", "keyless", "run", "operator"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            asyncio.run(_wait(kubeconfig, 0, "control planes"))
            yield operator, server, kubeconfig
        finally:
            for process in (operator, server):
                process.terminate()
                process.wait()
