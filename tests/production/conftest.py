"""One real cluster for the whole run; where the machine cannot have one, a skip that says why, and in CI a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from production.attached import Brought
from production.binaries import GIVEN, built
from production.images import ours, pause
from production.node import OneNode
from tests.tools import GUIDES, kubernetes_clients

NEEDED = ("containerd", "ctr", "runc", "buildah", "nft", "conntrack", "ip", "gcc", "curl")


def missing() -> str:
    """What this machine lacks, in a sentence; empty where nothing is missing."""
    absent = [tool for tool in NEEDED if shutil.which(tool) is None]
    absent += [] if Path("/usr/lib/cni/bridge").exists() else ["the CNI plugins in /usr/lib/cni"]
    absent += [] if shutil.which("go") or os.environ.get(GIVEN) else ["go"]
    absent += [] if kubernetes_clients(GUIDES) else ["kubectl and helm (run `make tools`)"]
    if os.geteuid() != 0:
        return "a node needs root"
    return f"a node needs {', '.join(absent)}" if absent else ""


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
        for archive in (pause(), ours()):
            found.load(archive)
        yield found
    finally:
        found.down()


@pytest.fixture(scope="session")
def brought(node: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    """A second, small API server: what a team's Crossplane cluster is to a Space."""
    found = Brought(tmp_path_factory.mktemp("b"), built(), node)
    try:
        found.up()
        yield found
    finally:
        found.down()
