"""The collector as its pod runs it, on a stand-in control plane: resident memory and processor time.

The memory is the peak of the whole run, uploads (one every 20 s, with all that changed) included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.row import Row

SETTLE_SECONDS = 25.0
LOOK_SECONDS = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


def bench() -> Iterator[Row]:
    """10,000 resources of 200 kinds that change a hundred times a second; then a thousand kinds without any."""
    for what, load, cpu_aim in (
        ("10,000 resources of 200 kinds, 100 changes/s", (200, 10_000, 100), 3.0),
        ("1,000 kinds without resources", (1000, 0, 0), 1.0),
    ):
        with running(*load) as pid:
            time.sleep(SETTLE_SECONDS)
            before = cpu_seconds(pid)
            time.sleep(LOOK_SECONDS)
            percent = (cpu_seconds(pid) - before) / LOOK_SECONDS * 100
            peak = peak_mb(pid)
        yield Row("collector", f"{what}: memory at most", f"{peak:.0f} MB", "", "≤ 80 MB", peak <= 80)
        yield Row("collector", f"{what}: of a core", f"{percent:.1f} %", "", f"≤ {cpu_aim:.0f} %", percent <= cpu_aim)


@contextmanager
def running(kinds: int, instances: int, per_second: int) -> Iterator[int]:
    """The collector's process, on a control plane of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "tests.bench.plane_server", name, str(kinds), str(instances), str(per_second)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        port = int(server.stdout.readline())
        collector = subprocess.Popen(
            [sys.executable, "-m", "keyless", "run", "vector"],
            env=environment(folder, port),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield collector.pid
            assert collector.poll() is None, "the collector ended by itself"
        finally:
            collector.terminate()
            collector.wait()
            server.terminate()
            server.wait()


def environment(folder: Path, port: int) -> dict[str, str]:
    """What the operator would give the pod."""
    url = f"https://127.0.0.1:{port}"
    (folder / "server").write_text(url)
    (folder / "token").write_text("token")
    cluster = {"name": "c", "cluster": {"server": url, "certificate-authority": str(folder / "ca.crt")}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "u", "user": {"token": "token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    return {
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(folder / "kubeconfig"),
        "KEYLESS_ACCOUNT": "acme",
        "KEYLESS_CONTROL_PLANE_ID": "id",
        "KEYLESS_CONTROL_PLANE_NAME": "ctp1",
        "KEYLESS_CONTROL_PLANE_GROUP": "default",
        "KEYLESS_HOST_NAMESPACE": "mxp-id-system",
        "KEYLESS_BILLING_BUCKET": "usage",
        "KEYLESS_SPOOL_DIR": str(folder / "spool"),
        "KEYLESS_CONTROL_PLANE_DIR": str(folder),
        "KEYLESS_FLUSH_SECONDS": "20",
        "KEYLESS_PORT": "0",
        "AWS_ENDPOINT_URL": url,
        "AWS_CA_BUNDLE": str(folder / "ca.crt"),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-west-2",
    }


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mb(pid: int) -> float:
    """The most that was resident at once."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
