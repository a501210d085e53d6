"""``PYTHONPATH=tests python -m tests.bench.layouts BIN``: an etcd for each control plane against one for a group.

By hand, with bare processes of the folder ``BIN`` (kube-apiserver and etcd, as ``make production`` builds them) and the
product's own flags of weight; no node is needed. What a pod costs is measured on the node (``test_price.py``).
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from production.parts import Parts
from production.pki import Pki

COUNT = 5
OBJECTS = 1000
IDLE_SECONDS = 20.0
FIRST_PORT = 19100
START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Weight:
    """MiB: ``own`` is anonymous memory alone, ``shared`` adds each process's share of the pages of programs."""

    own: float
    shared: float
    cpu_seconds: float

    def __sub__(self, other: Weight) -> Weight:
        return Weight(self.own - other.own, self.shared - other.shared, self.cpu_seconds - other.cpu_seconds)


class Group:
    """``servers`` API servers, each with its own etcd or all with one, started at once."""

    def __init__(self, folder: Path, binaries: Path, servers: int, *, one_etcd: bool) -> None:
        self._folder, self._binaries = folder, binaries
        self._parts, self._pki = Parts(folder), Pki(folder / "pki")
        self._pki.certify("api", user="kube-apiserver", at=("127.0.0.1",))
        self._pki.certify("admin", user="admin", groups=("system:masters",))
        self.servers, self._one = range(servers), one_etcd
        self.context = ssl.create_default_context(cafile=str(self._pki.folder / "ca.crt"))
        self.context.load_cert_chain(self._pki.folder / "admin.crt", self._pki.folder / "admin.key")

    def up(self) -> list[float]:
        """Seconds until each one is ready."""
        began = time.monotonic()
        for number in self.servers if not self._one else range(1):
            self._etcd(number)
        for number in self.servers:
            self._api_server(number)
        with ThreadPoolExecutor(len(self.servers)) as pool:
            return sorted(pool.map(lambda number: self._ready(number) - began, self.servers))

    def down(self) -> None:
        """End all."""
        self._parts.end_all()

    def url(self, number: int) -> str:
        """Of one API server."""
        return f"https://127.0.0.1:{FIRST_PORT + 10 * number}"

    def weight(self, program: str) -> Weight:
        """Of all processes of ours of one program."""
        found = [_weight(pid) for pid in _children(program)]
        return Weight(*(sum(getattr(one, name) for one in found) for name in ("own", "shared", "cpu_seconds")))

    def _etcd(self, number: int) -> None:
        clients, peers = (f"http://127.0.0.1:{FIRST_PORT + 10 * number + more}" for more in (1, 2))
        self._parts.start(
            f"etcd-{number}", self._binaries / "etcd", "--data-dir", self._folder / f"etcd-{number}",
            "--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
            "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}", "--log-level", "warn",
        )  # fmt: skip

    def _api_server(self, number: int) -> None:
        pki = self._pki.folder
        etcd = FIRST_PORT + 10 * (0 if self._one else number) + 1
        self._parts.start(
            f"api-{number}", self._binaries / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}",
            f"--etcd-prefix=/plane-{number}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            f"--secure-port={FIRST_PORT + 10 * number}", "--endpoint-reconciler-type=none",
            f"--tls-cert-file={pki}/api.crt", f"--tls-private-key-file={pki}/api.key",
            f"--client-ca-file={pki}/ca.crt", f"--service-account-issuer=https://plane-{number}.svc",
            f"--service-account-signing-key-file={pki}/sa.key", f"--service-account-key-file={pki}/sa.pub",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--profiling=false",
        )  # fmt: skip

    def _ready(self, number: int) -> float:
        until = time.monotonic() + START_SECONDS
        with self.client(number) as client:
            while time.monotonic() < until:
                try:
                    if client.get("/readyz").status_code == httpx.codes.OK:
                        return time.monotonic()
                except httpx.HTTPError:
                    pass
                time.sleep(0.1)
        raise AssertionError(f"API server {number} was not ready in {START_SECONDS:g} s")

    def client(self, number: int) -> httpx.Client:
        """An administrator's."""
        return httpx.Client(base_url=self.url(number), verify=self.context, timeout=10.0, trust_env=False)


def _children(program: str) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and (process / "cmdline").read_bytes().split(b"\0")[0].endswith(
                b"/" + program.encode()
            ):
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(process.name)] if parent == os.getpid() else []
        except OSError:  # it has ended meanwhile
            continue
    return found


def _weight(pid: int) -> Weight:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(times[11]) + int(times[12])
    return Weight(kib["Anonymous"] / 1024, kib["Pss"] / 1024, ticks / os.sysconf("SC_CLK_TCK"))


@contextmanager
def _group(binaries: Path, servers: int, *, one_etcd: bool) -> Iterator[Group]:
    with tempfile.TemporaryDirectory() as folder:
        group = Group(Path(folder), binaries, servers, one_etcd=one_etcd)
        try:
            yield group
        finally:
            group.down()


def _told(group: Group, what: str) -> None:
    time.sleep(IDLE_SECONDS)
    before = {program: group.weight(program) for program in ("etcd", "kube-apiserver")}
    time.sleep(IDLE_SECONDS)
    for program, first in before.items():
        weight = group.weight(program)
        share = (weight.cpu_seconds - first.cpu_seconds) / IDLE_SECONDS
        memory = f"{weight.own:.0f} MiB of its own, {weight.shared:.0f} MiB with its share of programs"
        print(f"  {what}: {program}: {memory}; {share:.1%} of a core, {first.cpu_seconds:.1f} s before", flush=True)


def _fill(group: Group) -> None:
    with group.client(0) as client:
        for number in range(OBJECTS):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}"}}
            client.post("/api/v1/namespaces/default/configmaps", json={**body, "data": {"a": "b" * 1024}})


def main(binaries: Path) -> None:
    """Print what each layout weighs."""
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    with _group(binaries, 1, one_etcd=False) as group:
        print(f"one, alone: ready after {group.up()[0]:.1f} s", flush=True)
        _told(group, "idle")
        _fill(group)
        _told(group, f"with {OBJECTS:,} objects of 1 KiB")
    for one_etcd, name in ((False, "an etcd each"), (True, "one etcd with prefixes")):
        with _group(binaries, COUNT, one_etcd=one_etcd) as group:
            each = ", ".join(f"{seconds:.1f}" for seconds in group.up())
            print(f"{COUNT} at once, {name}: ready after {each} s", flush=True)
            _told(group, "idle")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
