"""What befalls a control plane of the Space's own, one fault each: done to the real node, undone where it must be."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from production.node import NAME
from production.owning import CLAIM, Owned
from production.parts import succeeds

VOLUME_BYTES = 256 << 20
"""etcd takes 64 MiB for its log at once, and as much again before the first is full."""
WRITING_SECONDS = 240.0
"""An operator asks once a minute, and a container that crashes waits longer each time."""
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


def restart_kubelet(own: Owned) -> None:
    """The kubelet ends and starts again; pods go on running."""
    own.space.restart_kubelet()


def replace_operator(own: Owned) -> None:
    """The operator is killed twice."""
    operators = ("-n", "default", "-l", "app.kubernetes.io/name=spaces-operator")
    for _ in range(2):
        own.space.kubectl("delete", "pods", *operators, "--grace-period=0", "--force")
        own.space.kubectl("rollout", "status", "deployment/spaces-operator", "-n", "default", "--timeout=60s")


def kill(program: str) -> Fault:
    """One process of the pod ends without a warning."""

    def fault(own: Owned) -> None:
        pod = own.space.object("pod", "control-plane-0", "-n", own.namespace)
        (process,) = _processes(program, pod["metadata"]["uid"])
        os.kill(process, signal.SIGKILL)

    return fault


def fill_volume(own: Owned) -> None:
    """The volume is full until that is told, and tenants go on writing."""
    filler = own.volume / "filler"
    succeeds("dd", "if=/dev/zero", f"of={filler}", "bs=64k", f"count={VOLUME_BYTES >> 16}")
    try:
        writing_until(own, lambda: ready(own)[0] == "VolumeFull")
        assert CLAIM in ready(own)[1]
    finally:
        filler.unlink()


def writing_until(own: Owned, holds: Callable[[], bool]) -> int:
    """Tenants write half a megabyte at a time; how often that was taken."""
    taken = 0
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b" * 500_000}}
    until = time.monotonic() + WRITING_SECONDS
    path = own.volume.parent / "large.json"
    number = 0
    while not holds():
        assert time.monotonic() < until, f"{taken} of {number} writes were taken; {ready(own)}"
        number += 1
        named = {"metadata": {"name": f"large-{number}", "namespace": "default", "labels": {"large": "yes"}}}
        path.write_text(json.dumps(body | named))
        taken += own.answers("create", "-f", str(path), "--request-timeout=5s")
    return taken


def ready(own: Owned) -> tuple[str, str]:
    """Reason and message of ``Ready``."""
    conditions = own.space.object("controlplane", own.name, "-n", "default")["status"].get("conditions") or ()
    (found,) = [one for one in conditions if one["type"] == "Ready"]
    return found["reason"], found["message"]


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
    "operator killed twice": replace_operator,
    "kubelet restarted": restart_kubelet,
    "volume full until it is told": fill_volume,
}
