"""A node for tests; see ``Node`` below."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyless.kube.memory import MemoryKube
from keyless.kube.resources import NAMESPACES, SERVICEACCOUNTS
from unit.local.node.local_node import Clock, Node


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kube(clock: Clock) -> MemoryKube:
    kube = MemoryKube(now=clock)
    kube.put(NAMESPACES, {"metadata": {"name": "kube-node-lease"}})
    kube.put(SERVICEACCOUNTS, {"metadata": {"name": "web", "namespace": "default"}})
    return kube


@pytest.fixture
async def node(tmp_path: Path, kube: MemoryKube, clock: Clock) -> AsyncIterator[Node]:
    node = Node(tmp_path / "node", kube, clock)
    await node.kubelet.settled()
    yield node
    await node.stop()
