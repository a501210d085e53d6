"""Beside an API server that is not ours to start: here one of ours, which knows nothing of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyless.api import Permanent
from keyless.kube import Kube, connect
from keyless.kube.resources import NODES, PODS, SERVICEACCOUNTS
from keyless.local.boot.kubeconfig import kubeconfig
from keyless.local.boot.options import Options
from keyless.local.boot.space import LocalSpace
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.serve import serve
from keyless.local.joined.space import JoinedSpace
from keyless.local.state import Authority, State, ports


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Path]:
    """The administrator's kubeconfig of a cluster without a node."""
    authority = Authority(tmp_path / "theirs")
    port = ports.choose([])
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    settings = ClusterSettings(
        database=database,
        server_url=f"https://127.0.0.1:{port}",
        admin_token="admin",
        kubelet_token="kubelet",
        node_token="node",
        ca_pem=authority.ca_pem,
        now=lambda: datetime.now(UTC),
    )
    made = Cluster(settings)
    certificate, key = authority.server_certificate(("127.0.0.1",))
    serving = await serve(made, "127.0.0.1", port, str(certificate), str(key))
    path = tmp_path / "theirs.kubeconfig"
    path.write_text(json.dumps(kubeconfig("theirs", settings.server_url, authority.ca_pem, "admin")))
    yield path
    await serving.stop()
    await made.aclose()
    database.close()


async def test_a_start_makes_a_node_with_a_credential_of_its_own(cluster: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    space = JoinedSpace(Options(state, {}), lambda _: None, cluster)
    try:
        running = await space.start()
        async with connect({"KUBECONFIG": str(cluster)}) as kube:
            node = await kube.get(NODES, "local-node")
            assert node["status"]["addresses"][0] == {"type": "InternalIP", "address": "127.0.0.1"}
            await kube.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}}, "default")
            container = {"name": "main", "image": "unknown"}
            for name, asks in (("asking", {"keyless.dev/node": "local-node"}), ("stranger", {})):
                pod = {"metadata": {"name": name}, "spec": {"containers": [container], "nodeSelector": asks}}
                await kube.create(PODS, pod, "default")
            bound = await _bound(kube)
        assert bound == {"asking": "local-node", "stranger": ""}
        assert json.loads((state / "access.json").read_text())["oidc_provider"].startswith("127.0.0.1")
        assert (state / "node" / "credential" / "token").read_text() not in {"", "admin"}
        assert running.endpoints["kubernetes"] == json.loads(cluster.read_text())["clusters"][0]["cluster"]["server"]
    finally:
        await space.stop()
    with pytest.raises(Permanent, match="start it with --cluster"):
        await _started(LocalSpace(Options(state, {}), lambda _: None))


async def _bound(kube: Kube) -> dict[str, str]:
    """Which pod is where, once one is bound."""
    async with asyncio.timeout(60):
        async for event in kube.watch(PODS, "default", initial_events=True):
            if event.type != "BOOKMARK" and event.object["spec"].get("nodeName"):
                break
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in (await kube.list(PODS)).items}


async def _started(space: LocalSpace) -> None:
    try:
        await space.start()
    finally:
        await space.stop()


async def test_the_folder_of_a_space_with_its_own_cluster_is_refused(cluster: Path, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    state = State.open(folder)
    state.secret("admin-token", lambda: "x")
    state.close()
    with pytest.raises(Permanent, match="is that of a Space with a cluster of its own: choose another folder"):
        await _started(JoinedSpace(Options(folder, {}), lambda _: None, cluster))
