"""``keyless up``: seconds until it is ready, and the resident memory of every process once it is idle."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from keyless.local.boot.running import read_running
from tests.bench.row import Row

SETTLE_SECONDS = 15


def bench() -> Iterator[Row]:
    """A first start, a second one on the same state, and then the processes."""
    with tempfile.TemporaryDirectory(prefix="keyless-bench-") as scratch:
        folder = Path(scratch) / "state"
        environ = {"PATH": os.environ["PATH"], "HOME": scratch, "KEYLESS_STATE": str(folder), "LANG": "C.UTF-8"}

        def keyless(*arguments: str) -> tuple[float, float]:
            """Seconds until the AWS APIs answer (the cluster's do before), and until the command ends."""
            start, apis = time.perf_counter(), 0.0
            command = [sys.executable, "-P", "-m", "keyless", *arguments]
            with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                assert process.stdout
                for line in process.stdout:
                    if b"AWS APIs" in line:
                        apis = time.perf_counter() - start
            assert process.returncode == 0
            return apis, time.perf_counter() - start

        try:
            for which in ("first", "second"):
                apis, ready = keyless("up", "--detach")
                aim, held = "≤ 1.5 s", apis <= 1.5
                yield Row("up", f"{which} start, cluster and cloud answer", f"{apis:.2f} s", "", aim, held)
                yield Row("up", f"{which} start, all pods ready", f"{ready:.2f} s", "", "", None)
                if which == "first":
                    keyless("down")
            running = read_running(folder)
            assert running is not None
            time.sleep(SETTLE_SECONDS)
            yield from _memory(running.pid)
        finally:
            keyless("down")


def _memory(pid: int) -> Iterator[Row]:
    total = 0.0
    for each in [pid, *_descendants(pid)]:
        name = "up (cluster, cloud, node)" if each == pid else _name(each)
        rss, pss = _kilobytes(each, "status", "VmRSS:") / 1024, _kilobytes(each, "smaps_rollup", "Pss:") / 1024
        total += pss
        aim, held = ("≤ 110 MB", rss <= 110) if each == pid else ("", None)
        yield Row("up", f"idle memory of {name}", f"{rss:.0f} MB (proportional {pss:.0f} MB)", "", aim, held)
    yield Row("up", "idle memory of all, proportional", f"{total:.0f} MB", "", "", None)


def _name(pid: int) -> str:
    """Pods are forked from one template and share its command line; each works in its container's folder."""
    folder = Path(os.readlink(f"/proc/{pid}/cwd"))
    return folder.name if "pods" in folder.parts else "the template that pods are forked from"


def _descendants(pid: int) -> list[int]:
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [found for child in children for found in (child, *_descendants(child))]


def _kilobytes(pid: int, file: str, field: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return float(line.split()[1])
    return 0.0
