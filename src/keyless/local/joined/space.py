"""The cloud, and a node where there is none, beside the API server of a kubeconfig, started in order.

state → the cluster's own facts → cloud → rights and credential of the node → node. The cluster is somebody else's:
what is made there is ``rights.py``'s, a Node and a Lease, and a stop leaves it. The cloud is on loopback, without TLS,
as a local Space's is: the node's pods are processes of this machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from keyless.api import Permanent
from keyless.kube import Kube, connect, connect_folder
from keyless.kube.kubeconfig import source_of
from keyless.kube.source import Endpoint
from keyless.local.beside.service import FIELD_MANAGER, issuer_of
from keyless.local.boot.exports import Access
from keyless.local.boot.options import CLUSTER_NAME, LOOPBACK, NODE_NAME, Options
from keyless.local.boot.running import Running, forget_running, write_running
from keyless.local.boot.space import LocalSpace, Progress, node_environment, write_access, write_private
from keyless.local.boot.trust import write_bundle
from keyless.local.cloud import Cloud, CloudSettings
from keyless.local.cloud import serve as serve_cloud
from keyless.local.cloud.kms import root_key_in
from keyless.local.cloud.sessions import new_id
from keyless.local.joined.cluster import address_towards, client_ca, needs_node, own_kubeconfig
from keyless.local.joined.credential import NodeCredential
from keyless.local.joined.rights import ASKED_BY, SPACE, discovery_object, node_objects
from keyless.local.node import ImageMap, Kubelet, NodeConfiguration
from keyless.local.node.callers import ByCertificate
from keyless.local.node.processes import SpawnedProcesses
from keyless.local.state import State

PORTS = ("aws", "imds", "kubelet")
JOINED = "joined-cluster"
"""The secret of a state whose cluster is elsewhere; its value is the label of its node."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The cluster: where it is and what it says of itself."""

    kube: Kube
    endpoint: Endpoint
    issuer: str
    kubeconfig: Path

    @property
    def ca_pem(self) -> str:
        """Its authority; empty where the system's are trusted."""
        return self.endpoint.ca_pem or ""


class JoinedSpace(LocalSpace):
    """As ``LocalSpace``, with the cluster of ``kubeconfig``. ``address``: this machine's, as that one reaches it."""

    def __init__(self, options: Options, progress: Progress, kubeconfig: Path, address: str = "") -> None:
        super().__init__(options, progress)
        self._given = kubeconfig
        self._address = address

    async def start(self) -> Running:
        """Bring everything up. Raises ``KeylessError`` that names the step; then ``stop`` must still be called."""
        self._begin()
        stack = self._stack
        async with self._step("state", str(self._options.state)):
            text = own_kubeconfig(self._given)
            state = State.open(self._options.state)
            stack.callback(state.close)
            name = _mark(state)
            for port in PORTS:
                state.require_free(port)
            stack.callback(forget_running, state.path)
            write_private(state.path / "kubeconfig", text)
            server = source_of(str(state.path / "kubeconfig")).endpoint().server
            running = Running(os.getpid(), str(state.path), datetime.now(UTC).isoformat(), _endpoints(state, server))
            write_running(state.path, running)
        async with self._step("Kubernetes API", f"{server}, somebody else's"):
            elsewhere = await self._reach(state)
        async with self._step("AWS APIs", running.endpoints["aws"]):
            cloud = await self._serve_cloud(state, elsewhere)
        if await needs_node(elsewhere.kube, name):
            async with self._step("node", f"{NODE_NAME}, for pods whose nodeSelector has {ASKED_BY}"):
                await self._join(state, elsewhere, name)
        else:
            self._progress("no node: the cluster has its own, which must be told of the cloud (keyless run cloud)")
        write_access(state, self._access(state, cloud, elsewhere))
        ready = Running(running.pid, running.state, running.started_at, running.endpoints, ready=True)
        write_running(state.path, ready)
        return ready

    async def _reach(self, state: State) -> Elsewhere:
        path = state.path / "kubeconfig"
        kube = connect({"KUBECONFIG": str(path)})
        self._stack.push_async_callback(kube.aclose)
        issuer = self._options.environ.get("KEYLESS_CLOUD_ISSUER") or await issuer_of(kube)
        res, obj = discovery_object()
        await kube.apply(res, obj, field_manager=FIELD_MANAGER)
        return Elsewhere(kube, source_of(str(path)).endpoint(), issuer, path)

    async def _serve_cloud(self, state: State, elsewhere: Elsewhere) -> Cloud:
        cloud = Cloud(
            CloudSettings(
                database=state.database,
                kubernetes=elsewhere.kube,
                server_url=elsewhere.endpoint.server,
                ca_pem=elsewhere.ca_pem,
                account=self._options.account,
                region=self._options.region,
                cluster_name=CLUSTER_NAME,
                issuer=elsewhere.issuer,
                # Nor is an agent put there unasked, nor does its API server ask us who EKS's users are.
                looks_after_agent=False,
                authenticates=False,
                propagation_delay_seconds=self._options.propagation_delay_seconds,
                revoke_tokens_of_deleted_pods=self._options.revoke_tokens_of_deleted_pods,
                root_key=root_key_in(state.folder("kms")),
                migrate=state.migrate,
            )
        )
        self._stack.push_async_callback(cloud.aclose)
        await self._stack.enter_async_context(serve_cloud(cloud.app, state.require_free("aws")))
        await self._stack.enter_async_context(serve_cloud(cloud.imds_app, state.require_free("imds")))
        self._watch("EKS", cloud.run())
        return cloud

    async def _join(self, state: State, elsewhere: Elsewhere, name: str) -> None:
        for res, obj in node_objects():
            await elsewhere.kube.apply(res, obj, obj["metadata"].get("namespace"), field_manager=FIELD_MANAGER)
        folder = state.folder("node")
        credential = NodeCredential(elsewhere.kube, elsewhere.endpoint, folder / "credential")
        await credential.make()
        self._watch("node's credential", credential.keep())
        kube = connect_folder(credential.folder)
        self._stack.push_async_callback(kube.aclose)
        spawner = SpawnedProcesses.launch(self._options.preload)
        self._stack.push_async_callback(spawner.aclose)
        address = self._address or address_towards(elsewhere.endpoint.server)
        configuration = NodeConfiguration(
            name=NODE_NAME,
            folder=folder,
            images=ImageMap(self._options.images),
            kubelet_port=state.require_free("kubelet"),
            kubelet_token="",
            server_url=elsewhere.endpoint.server,
            environment=node_environment(_endpoints(state, elsewhere.endpoint.server), self._options.region),
            now=lambda: datetime.now(UTC),
            host_ip=address,
            labels={ASKED_BY: NODE_NAME, SPACE: name},
            asked_by=ASKED_BY,
        )
        kubelet = Kubelet(configuration, kube, spawner, ByCertificate(kube, NODE_NAME))
        await self._serve_logs(state, kubelet, configuration, await client_ca(elsewhere.kube))
        self._watch("node", kubelet.run())
        await self._unless_failed(kubelet.settled())

    async def _serve_logs(self, state: State, kubelet: Kubelet, configuration: NodeConfiguration, ca_pem: str) -> None:
        """The API server comes to the node over HTTPS for logs, with the certificate that it shows to kubelets."""
        address = configuration.host_ip
        certificate = state.authority.server_certificate((LOOPBACK, "localhost", address))
        trusted = state.folder("node") / "clients.crt"
        write_private(trusted, ca_pem)
        serving = serve_cloud(
            kubelet.app, configuration.kubelet_port, address, certificate, trusted if ca_pem.strip() else None
        )
        await self._stack.enter_async_context(serving)

    def _access(self, state: State, cloud: Cloud, elsewhere: Elsewhere) -> Access:
        keys = cloud.admin_credentials()
        authorities = f"{elsewhere.ca_pem.rstrip()}\n{state.authority.ca_pem}".lstrip()
        return Access(
            kubeconfig=str(elsewhere.kubeconfig),
            ca_bundle=str(write_bundle(state.path, authorities, self._options.environ)),
            aws_endpoint=_endpoints(state, elsewhere.endpoint.server)["aws"],
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
            region=self._options.region,
            account=self._options.account,
            oidc_provider=provider_of(elsewhere.issuer),
        )


def provider_of(issuer: str) -> str:
    """An issuer as IAM's ARNs and condition keys name it: without scheme and port. Pure."""
    at = urlsplit(issuer)
    return f"{at.hostname or ''}{at.path.rstrip('/')}"


def _mark(state: State) -> str:
    """The label of this folder's node. Raises ``Permanent`` for the folder of a Space with a cluster of its own."""
    if state.has_secret("admin-token"):
        raise Permanent(
            f"state folder {state.path} is that of a Space with a cluster of its own: choose another folder with "
            "--state"
        )
    return state.secret(JOINED, lambda: new_id("space").lower())


def _endpoints(state: State, server: str) -> Mapping[str, str]:
    loopback = {name: f"http://{LOOPBACK}:{state.port(name)}" for name in ("aws", "imds")}
    return {"kubernetes": server, **loopback}
