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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keyless.billing.collector.spool import Spool
from keyless.billing.ledger.model import Census, Gvk, Member, Opening, Sample, Source
from tests.bench.plane_server import GROUP
from tests.bench.row import Row

SETTLE_SECONDS = 25.0
FIRST_ROUND_SECONDS = 50.0
"""A thousand new kinds are asked twenty a second; after that, two."""
LOOK_SECONDS = 30.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """What the stand-in has, and the aims."""

    what: str
    kinds: int
    instances: int
    per_second: int
    settle_seconds: float
    cpu_percent: float


LOADS = (
    Load("10,000 resources of 200 kinds, 100 changes/s", 200, 10_000, 100, SETTLE_SECONDS, 3.0),
    Load("1,000 kinds without resources", 1000, 0, 0, FIRST_ROUND_SECONDS, 1.0),
)


def bench() -> Iterator[Row]:
    """Each load; then the first one with an upload of half an hour in which every kind changed at every sample."""
    for load in LOADS:
        with running(load) as (collector, _):
            began = time.monotonic()
            time.sleep(load.settle_seconds)
            seconds, before = time.monotonic() - began, cpu_seconds(collector)
            time.sleep(LOOK_SECONDS)
            percent = (cpu_seconds(collector) - before) / LOOK_SECONDS * 100
            peak = peak_mb(collector)
        aim = f"≤ {load.cpu_percent:.0f} %"
        yield memory_row(load.what, peak)
        yield Row("collector", f"{load.what}: of a core", f"{percent:.1f} %", "", aim, percent <= load.cpu_percent)
        start = f"{before / seconds * 100:.1f} %"
        yield Row("collector", f"{load.what}: of a core in the first {seconds:.0f} s", start, "", "", None)
    with running(LOADS[0], prepare=half_an_hour) as (collector, spool):
        time.sleep(SETTLE_SECONDS)
        peak = peak_mb(collector)
        assert not (spool / "0000000001.spool").exists(), "the half hour was not stored"
    yield memory_row("the same, and 30 minutes of 200 kinds' changes are stored", peak)


def memory_row(what: str, peak: float) -> Row:
    """One line about memory."""
    return Row("collector", f"{what}: memory at most", f"{peak:.0f} MB", "", "≤ 80 MB", peak <= 80)


def half_an_hour(folder: Path) -> None:
    """A closed segment: a sample every five seconds, with another number for each of 200 kinds."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=40)
    member = Member("id", "default", "ctp1", "mxp-id-system", start)
    kinds = [Gvk(GROUP, "v1", f"Kind{n}S") for n in range(200)]

    def sample(number: int) -> Sample:
        counts = {kind: 50 + (number + n) % 7 for n, kind in enumerate(kinds)}
        return Sample(start + timedelta(seconds=5 * number), counts, {}, {})

    spool = Spool(folder)
    opening = Opening(Source("acme", member, "pod", 15), 1, None)
    spool.begin(opening, [Census((member,)), sample(0)])
    for number in range(1, 360):
        spool.append(sample(number))
    spool.close()


@contextmanager
def running(load: Load, prepare: Callable[[Path], None] = Path.mkdir) -> Iterator[tuple[int, Path]]:
    """The collector's process, on a control plane of its own, and its spool."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder / "spool")
        numbers = map(str, (load.kinds, load.instances, load.per_second))
        command = [sys.executable, "-m", "tests.bench.plane_server", name, *numbers]
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
            yield collector.pid, folder / "spool"
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
        "KEYLESS_DIMENSION_LABELS": "team",
        "AWS_ENDPOINT_URL": url,
        "AWS_CA_BUNDLE": str(folder / "ca.crt"),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-west-2",
        "MALLOC_ARENA_MAX": "1",
    }


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mb(pid: int) -> float:
    """The most that was resident at once."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
