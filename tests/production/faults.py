"""What befalls a Space in production, one fault each: done to the real node, undone where it does not end itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from production.beside import NAMESPACE
from production.metered import NAMES, VOLUME_BYTES, Metered
from production.node import NAME
from production.parts import succeeds

AWAY_SECONDS = float(os.environ.get("KEYLESS_AWAY_SECONDS", "600"))
"""Ten minutes: a try may do with less."""
CHANGE_SECONDS = 60.0
AGENT = "eks-pod-identity-agent"
Fault = Callable[[Metered], None]


def upgrade(space: Metered) -> None:
    """A new tag of the image, with everything running."""
    space.node.tag("localhost/keyless/keyless:0.1.0", "docker.io/keyless/keyless:0.1.1")
    space.upgrade("image.tag=0.1.1", reuse=True)


def roll_back(space: Metered) -> None:
    """``helm rollback`` to the revision before."""
    space.helm("rollback", "spaces")


def restart_api_server(space: Metered) -> None:
    """kube-apiserver ends and starts again."""
    space.node.parts.end(space.node.api.server)
    space.node.api.start_server()


def restart_kubelet(space: Metered) -> None:
    """The kubelet ends and starts again; pods go on running."""
    space.node.restart_kubelet()


def drain(space: Metered) -> None:
    """``kubectl drain`` of the one node, and ``uncordon``."""
    space.node.kubectl(
        "drain", NAME, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s"
    )  # fmt: skip
    space.node.kubectl("uncordon", NAME)


def kill(namespace: str, name: str) -> Fault:
    """All pods of a name end without a warning."""

    def fault(space: Metered) -> None:
        places = list(space.namespaces.values()) if namespace == "host" else [namespace]
        for place in places:
            label = f"app.kubernetes.io/name={name}"
            space.node.kubectl("delete", "pods", "-n", place, "-l", label, "--grace-period=0", "--force")

    return fault


def kill_agent(space: Metered) -> None:
    """The agent ends without a warning, and the collectors are restarted at once: the new ones ask while it is away."""
    kill("kube-system", AGENT)(space)
    for namespace in space.namespaces.values():
        space.node.kubectl("rollout", "restart", "deployment/vector", "-n", namespace)


def fill_volumes(space: Metered) -> None:
    """The collectors' volumes are full for half a minute."""
    for name in NAMES:
        # Until nothing more fits: dd ends with "No space left on device".
        at = space.folder / name / "filler"
        succeeds("dd", "if=/dev/zero", f"of={at}", "bs=64k", f"count={VOLUME_BYTES >> 16}")
    space.change(900)
    time.sleep(30)
    for name in NAMES:
        (space.folder / name / "filler").unlink()


def cloud_away(space: Metered) -> None:
    """AWS is away for ten minutes, and the collectors are restarted at once: no session, no upload, only the spool."""
    cloud = ("deployment/keyless-cloud", "-n", NAMESPACE)
    space.node.kubectl("scale", *cloud, "--replicas=0")
    space.node.kubectl("wait", "--for=delete", "pod", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=keyless-cloud")
    for namespace in space.namespaces.values():
        space.node.kubectl("rollout", "restart", "deployment/vector", "-n", namespace)
    until = time.monotonic() + AWAY_SECONDS
    number = 1000
    while (left := until - time.monotonic()) > 0:
        space.change(number := number + 1)
        time.sleep(min(left, CHANGE_SECONDS))
    space.node.kubectl("scale", *cloud, "--replicas=1")


def replace_operator_half_way(space: Metered) -> None:
    """The operator is killed twice while it makes a control plane."""
    name = "halfmade"
    space.spare.attach(name)
    for _ in range(2):
        kill("default", "spaces-operator")(space)
        space.node.kubectl("rollout", "status", "deployment/spaces-operator", "-n", "default", "--timeout=60s")
    space.wait(name, "Ready", "True")
    space.node.kubectl("delete", "controlplane", name, "-n", "default", "--timeout=180s")


def two_operators(space: Metered) -> None:
    """Two operators for a while: one acts, and nothing is written twice."""
    operators = ("deployment/spaces-operator", "-n", "default")
    space.node.kubectl("scale", *operators, "--replicas=2")
    space.node.kubectl("rollout", "status", *operators, "--timeout=60s")
    before = generations(space)
    time.sleep(20)
    assert generations(space) == before
    space.node.kubectl("scale", *operators, "--replicas=1")


def generations(space: Metered) -> dict[str, int]:
    """How often each component was written."""
    found = {}
    for namespace in space.namespaces.values():
        for one in space.node.object("deployments", "-n", namespace)["items"]:
            found[f"{namespace}/{one['metadata']['name']}"] = one["metadata"]["generation"]
    return found


FAULTS: dict[str, Fault] = {
    "upgrade": upgrade,
    "rollback": roll_back,
    "API server restarted": restart_api_server,
    "kubelet restarted": restart_kubelet,
    "node drained": drain,
    "operator killed": kill("default", "spaces-operator"),
    "collectors killed": kill("host", "vector"),
    "secrets controllers killed": kill("host", "external-secrets"),
    "webhook killed": kill("kube-system", "pod-identity-webhook"),
    "agent killed, collectors restarted": kill_agent,
    "cloud killed": kill(NAMESPACE, "keyless-cloud"),
    "volumes full for 30 s": fill_volumes,
    f"cloud away for {AWAY_SECONDS:.0f} s, collectors restarted": cloud_away,
    "operator replaced while a control plane is half made": replace_operator_half_way,
    "two operators": two_operators,
}
