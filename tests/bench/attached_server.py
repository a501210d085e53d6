"""A host API and many APIs to attach, in one process, without nodes: what an operator of a large Space talks to.

    python -m tests.bench.attached_server FOLDER CONTROL_PLANES

Each Deployment is called available at once, for nobody runs it. Prints the path of the host's kubeconfig once all is
there and ends with its standard input. The control planes are made when a line comes in.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyless.kube.resources import DEPLOYMENTS
from keyless.local.boot.kubeconfig import kubeconfig
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.serve import serve
from keyless.local.cluster.store import Change
from keyless.local.state import State

VALUES = {
    "billing": {
        "enabled": True,
        "storage": {
            "provider": "aws",
            "aws": {"region": "us-west-2", "bucket": "usage"},
            "secretRef": {"name": ""},
        },
    }
}
ROOT = "/api/v1/namespaces/default"
PLANES = "/apis/spaces.upbound.io/v1beta1/namespaces/default/controlplanes"
STATUS = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


class Host:
    """The cluster, and what a user makes in it."""

    def __init__(self, folder: Path, count: int) -> None:
        self._state = state = State.open(folder)
        self._names = [f"ctp{number}" for number in range(count)]
        port = state.require_free("kubernetes")
        self._settings = ClusterSettings(
            database=state.database,
            server_url=f"https://127.0.0.1:{port}",
            admin_token=state.secret("admin-token", lambda: "administrator-of-the-bench"),
            kubelet_token=state.secret("kubelet-token", lambda: "kubelet-of-the-bench"),
            node_token=state.secret("node-token", lambda: "node-of-the-bench"),
            ca_pem=state.authority.ca_pem,
            now=lambda: datetime.now(UTC),
            migrate=state.migrate,
        )
        self._cluster = Cluster(self._settings)
        self._port = port
        self._marking: set[asyncio.Task[None]] = set()
        self._cluster.store.subscribe(self._changed)

    async def start(self) -> Path:
        """Serve, with a labelled group, the chart's values and the APIs to attach; where the kubeconfig is."""
        certificate, key = self._state.authority.server_certificate(("127.0.0.1",))
        await serve(self._cluster, "127.0.0.1", self._port, str(certificate), str(key))
        labels = {"metadata": {"labels": {"spaces.upbound.io/group": "true"}}}
        await self._do("PATCH", ROOT, labels, content_type="application/merge-patch+json")
        values = {"metadata": {"name": "spaces-values"}, "data": {"values.json": json.dumps(VALUES)}}
        await self._do("POST", f"{ROOT}/configmaps", values)
        for name in self._names:
            self._cluster.ensure_cluster(name)
        path = self._state.path / "kubeconfig"
        path.write_text(json.dumps(self._access("bench", self._settings.server_url)))
        return path

    async def attach(self) -> None:
        """A Secret and a ControlPlane for each of them."""
        for name in self._names:
            facts = {
                "server": f"{self._settings.server_url}/clusters/{name}",
                "ca.crt": self._settings.ca_pem,
                "token": self._settings.admin_token,
            }
            data = {key: base64.b64encode(value.encode()).decode() for key, value in facts.items()}
            await self._do("POST", f"{ROOT}/secrets", {"metadata": {"name": f"{name}-api"}, "data": data})
            metadata = {"name": name, "annotations": {"keyless.dev/attached-secret": f"{name}-api"}}
            await self._do("POST", PLANES, {"metadata": metadata, "spec": {}})

    def _access(self, name: str, url: str) -> dict[str, Any]:
        return kubeconfig(name, url, self._settings.ca_pem, self._settings.admin_token)

    def _changed(self, change: Change) -> None:
        key = change.entry.key
        if (key.group, key.resource) == (DEPLOYMENTS.group, DEPLOYMENTS.plural) and change.type == "ADDED":
            task = asyncio.get_running_loop().create_task(self._mark(key.namespace, key.name))
            self._marking.add(task)
            task.add_done_callback(self._marking.discard)

    async def _mark(self, namespace: str, name: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status"
        await self._do("PATCH", path, {"status": STATUS}, content_type="application/merge-patch+json")

    async def _do(self, method: str, path: str, body: object, **more: Any) -> None:
        answer = await self._cluster.call(self._settings.host, method, path, body, **more)
        assert answer.status < 300, answer.body


async def main(folder: Path, count: int) -> None:
    """Serve until the standard input ends."""
    host = Host(folder, count)
    print(await host.start(), flush=True)
    loop = asyncio.get_running_loop()
    if await loop.run_in_executor(None, sys.stdin.readline):
        await host.attach()
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
