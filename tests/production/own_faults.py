"""What befalls a control plane of the Space's own, one fault each: done to the real node, undone where it must be."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from production.node import NAME
from production.owning import Owned
from production.parts import succeeds

VOLUME_BYTES = 256 << 20
"""etcd takes 64 MiB for its log at once, and as much again before the first is full."""
FULL_SECONDS = 20.0
Fault = Callable[[Owned], None]


def restart_host(own: Owned) -> None:
    """The host's kube-apiserver ends and starts again."""
    own.space.parts.end(own.space.api.server)
    own.space.api.start_server()


def kill_pod(own: Owned) -> None:
    """The pod ends without a warning."""
    own.space.kubectl("delete", "pod", "control-plane-0", "-n", own.namespace, "--grace-period=0", "--force")


def drain(own: Owned) -> None:
    """``kubectl drain`` of the one node, and ``uncordon``."""
    own.space.kubectl(
        "drain", NAME, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s"
    )  # fmt: skip
    own.space.kubectl("uncordon", NAME)


def kill(program: str) -> Fault:
    """One process of the pod ends without a warning."""

    def fault(own: Owned) -> None:
        pod = own.space.object("pod", "control-plane-0", "-n", own.namespace)
        (process,) = _processes(program, pod["metadata"]["uid"])
        os.kill(process, signal.SIGKILL)

    return fault


def fill_volume(own: Owned) -> None:
    """The volume is full for a while, and tenants go on writing."""
    filler = own.volume / "filler"
    succeeds("dd", "if=/dev/zero", f"of={filler}", "bs=64k", f"count={VOLUME_BYTES >> 16}")
    until = time.monotonic() + FULL_SECONDS
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b" * 500_000}}
    number = 0
    while time.monotonic() < until:
        number += 1
        named = {"metadata": {"name": f"large-{number}", "namespace": "default"}}
        path = own.volume.parent / "large.json"
        path.write_text(json.dumps(body | named))
        own.answers("create", "-f", str(path), "--request-timeout=5s")
    filler.unlink()


def _processes(program: str, pod: str) -> list[int]:
    """Of one pod, by the control group that the kubelet keeps it in."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdecimal() else [b""]
            if words[0] == program.encode() and pod in (process / "cgroup").read_text():
                found.append(int(process.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


CREATING: dict[str, Fault] = {
    "host's API server restarted": restart_host,
}
"""In the middle of creation."""
RUNNING: dict[str, Fault] = {
    "etcd killed": kill("etcd"),
    "kube-apiserver killed": kill("kube-apiserver"),
    "kube-controller-manager killed": kill("kube-controller-manager"),
    "pod killed": kill_pod,
    "node drained": drain,
    "host's API server restarted": restart_host,
    f"volume full for {FULL_SECONDS:.0f} s": fill_volume,
}
