"""One real cluster for the whole run; where the machine cannot have one, a skip that says why, and in CI a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from production.attached import PORTS, Brought
from production.beside import Beside
from production.binaries import GIVEN, built
from production.images import ROOT, ours, pause
from production.node import OneNode
from production.parts import said
from production.upstream import upstream
from tests.hiding import pytest_runtest_makereport as pytest_runtest_makereport
from tests.tools import GUIDES, kubernetes_clients

#: each program, and the package of Debian that has it
NEEDED = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "gcc": "gcc libc6-dev",
    "curl": "curl",
}
PLUGINS = Path("/usr/lib/cni/bridge")


def missing() -> str:
    """What this machine lacks, in a sentence; empty where nothing is missing."""
    absent = {tool: package for tool, package in NEEDED.items() if shutil.which(tool) is None}
    absent |= {} if PLUGINS.exists() else {"the CNI plugins in /usr/lib/cni": "containernetworking-plugins"}
    others = [] if shutil.which("go") or os.environ.get(GIVEN) else ["Go 1.21 or newer (https://go.dev/dl)"]
    others += [] if kubernetes_clients(GUIDES) else ["kubectl and helm (`make tools`, which takes npm)"]
    if os.geteuid() != 0:
        return "a node needs root"
    install = f" (`apt-get install {' '.join(dict.fromkeys(absent.values()))}`)" if absent else ""
    found = [*([f"{', '.join(absent)}{install}"] if absent else []), *others]
    return f"a node needs {', and '.join(found)}" if found else ""


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    """A node that is ready and has our image."""
    if why := missing():
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    # A socket's path has 107 bytes at most, and pytest's folders are long.
    folder = tmp_path_factory.mktemp("n")
    found = OneNode(folder, built(), clients / "kubectl")
    try:
        found.up()
        found.load(pause())
        for name in ("keyless", "keyless-cloud"):
            found.load(ours(name))
            found.tag(f"localhost/keyless/{name}:0.1.0", f"docker.io/keyless/{name}:0.1.0")
        for archive in upstream(built()):
            found.load(archive)
        yield found
    finally:
        found.down()


@pytest.fixture(scope="session")
def brought(node: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    """A second, small API server: what a team's Crossplane cluster is to a Space."""
    yield from _brought(node, tmp_path_factory, PORTS[0])


@pytest.fixture(scope="session")
def other(node: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    """One more of the kind."""
    yield from _brought(node, tmp_path_factory, PORTS[1])


def _brought(node: OneNode, folders: pytest.TempPathFactory, port: int) -> Iterator[Brought]:
    found = Brought(folders.mktemp("b"), built(), node, port=port)
    try:
        found.up()
        yield found
    finally:
        found.down()


@pytest.fixture(scope="session")
def space(node: OneNode) -> OneNode:
    """The node with the chart installed by helm, and the namespace ``default`` as a group."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    said(
        clients / "helm", "upgrade", "--install", "spaces", ROOT / "spaces-helm-chart", "--namespace", "default",
        "--wait", "--timeout", "120s",
        environ={**os.environ, "KUBECONFIG": str(node.api.kubeconfig)},
    )  # fmt: skip
    node.kubectl("label", "namespace", "default", "spaces.upbound.io/group=true", "--overwrite")
    return node


@pytest.fixture(scope="session")
def host_namespace(space: OneNode, brought: Brought) -> str:
    """Where the components of control plane ``ctp1`` run, which is attached and ready."""
    return _attached(space, brought, "ctp1")


@pytest.fixture(scope="session")
def other_namespace(space: OneNode, other: Brought) -> str:
    """The same of control plane ``ctp2``."""
    return _attached(space, other, "ctp2")


def _attached(space: OneNode, api: Brought, name: str) -> str:
    api.attach(name)
    space.kubectl("wait", f"controlplane/{name}", "-n", "default", "--for=condition=Ready", "--timeout=60s")
    return str(space.object("controlplane", name, "-n", "default")["status"]["hostNamespace"])


@pytest.fixture(scope="session")
def cloud(node: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """The local AWS in the node's cluster, with the pod identity webhook and agent."""
    found = Beside(node, tmp_path_factory.mktemp("c"))
    found.up()
    yield found
    found.down()
