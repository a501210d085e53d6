"""A cluster where pods are made as dry runs, and the cloud that tells them of itself.

No node is needed: what comes of a pod is decided when it is made. The cloud runs beside the API server, on loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from conformance.kubernetes.record_interactions import TOKEN, ready, servers
from conformance.told_pods.shapes import CA, pod
from production.beside import KEYLESS
from production.parts import Parts

#: on 1.36 this is what an older API server says of the kind
WITHOUT_POLICIES = (
    # It would wait for policies before it lets anything in.
    "--disable-admission-plugins=MutatingAdmissionPolicy",
    "--runtime-config=admissionregistration.k8s.io/v1/mutatingadmissionpolicies=false,"
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings=false",
)


class Told:
    """An API server of these binaries and flags, and the cloud beside it."""

    def __init__(self, folder: Path, binaries: Path, *flags: str) -> None:
        self._folder, self._binaries, self._flags = folder, binaries, flags
        self._stack, self._parts = ExitStack(), Parts(folder)
        self.url = self.authority = ""

    async def up(self) -> None:
        """Start both; ends when the cloud has registered what tells pods of it."""
        self.url = servers(self._stack, self._binaries, self._folder, *self._flags)
        async with self.client() as client:
            await ready(client)
            for namespace in ("default", "kube-system"):
                path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
                answer = await client.post(path, json={"metadata": {"name": "default"}})
                assert answer.status_code == 201, answer.text
        self.start_cloud()
        await self.in_force()

    def start_cloud(self, *flags: str) -> None:
        """Start the cloud (again), with flags besides."""
        port, hook = _port(), _port()
        told = (
            f"--state={self._folder}/cloud", f"--port={port}", f"--pods-endpoint=https://127.0.0.1:{port}",
            f"--webhook-port={hook}", "--issuer=https://127.0.0.1", *flags,
        )  # fmt: skip
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "KUBECONFIG": str(self._kubeconfig())}
        self._parts.start("cloud", KEYLESS, "run", "cloud", *told, environ=environ)
        self._parts.wait("the cloud", lambda: "cloud ready" in self._parts.words("cloud"))
        self.authority = (self._folder / "cloud" / "ca.crt").read_text()

    def end_cloud(self) -> None:
        """End the cloud, and what it said with it."""
        self._parts.end("cloud")
        (self._folder / "cloud.log").unlink()

    def down(self) -> None:
        """End what was started."""
        self._parts.end_all()
        self._stack.close()

    def client(self) -> httpx.AsyncClient:
        """Asks as the administrator."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        return httpx.AsyncClient(base_url=self.url, verify=False, headers=headers, trust_env=False, timeout=20)

    async def made(self, asked: dict[str, Any]) -> Any:
        """What would be stored of a pod; a Status where it is refused."""
        namespace = asked["metadata"].get("namespace", "default")
        async with self.client() as client:
            answer = await client.post(f"/api/v1/namespaces/{namespace}/pods", params={"dryRun": "All"}, json=asked)
        return answer.json()

    async def in_force(self) -> None:
        """Wait until the API server has heard of what the cloud registered."""
        async with asyncio.timeout(30):
            while CA not in (await self.made(pod({}))).get("metadata", {}).get("annotations", {}):
                await asyncio.sleep(0.2)

    async def registered(self) -> set[str]:
        """The kinds of what the cloud has registered under its name."""
        found = set()
        async with self.client() as client:
            for plural in ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
                           "mutatingwebhookconfigurations"):  # fmt: skip
                answer = await client.get(f"/apis/admissionregistration.k8s.io/v1/{plural}/keyless-cloud")
                found |= {plural} if answer.status_code == 200 else set()
        return found

    def _kubeconfig(self) -> Path:
        path = self._folder / "kubeconfig"
        cluster = {"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": TOKEN}}
        config = {"clusters": [cluster], "contexts": [context], "users": [user], "current-context": "c"}
        path.write_text(json.dumps(config))
        return path


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
