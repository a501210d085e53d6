"""A local Space, started in order and stopped in the reverse one.

state → cluster → cloud → boot objects → node → webhook proven by a dry run → release objects → operator → control
plane. Each step names itself when it fails. What runs in the background is watched: when a part of it ends, so does
the Space.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from keyless.api import KeylessError, Permanent
from keyless.kube import Kube, connect
from keyless.local.boot import contents
from keyless.local.boot.exports import Access
from keyless.local.boot.kubeconfig import kubeconfig
from keyless.local.boot.manifests import WebhookFacts
from keyless.local.boot.options import CLUSTER_NAME, CONTROL_PLANE, GROUP, LOOPBACK, NODE_NAME, Options
from keyless.local.boot.running import Running, forget_running, write_running
from keyless.local.boot.trust import write_bundle
from keyless.local.cloud import Cloud, CloudSettings
from keyless.local.cloud import serve as serve_cloud
from keyless.local.cloud.eks.agent import AgentPlace
from keyless.local.cloud.kms import root_key_in
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.serve import serve as serve_cluster
from keyless.local.node import ImageMap, Kubelet, NodeConfiguration
from keyless.local.node.processes import SpawnedProcesses
from keyless.local.state import State
from keyless.local.state.errors import named_failures
from keyless.local.state.lock import private

log = structlog.get_logger("keyless.up")
Progress = Callable[[str], None]
HOSTS = (LOOPBACK, "localhost")
PORTS = ("kubernetes", "aws", "imds", "webhook", "agent", "kubelet", "authenticator")
ACCESS_FILE = "access.json"


class LocalSpace:
    """``start`` returns when it is ready, ``wait`` when it must stop, ``stop`` when it has."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self._options = options
        self._progress = progress
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None

    async def start(self) -> Running:
        """Bring everything up. Raises ``KeylessError`` that names the step; then ``stop`` must still be called."""
        self._begin()
        options, stack = self._options, self._stack
        async with self._step("state", str(options.state)):
            state = State.open(options.state)
            stack.callback(state.close)
            if state.has_secret("joined-cluster"):
                raise Permanent(
                    f"state folder {state.path} goes with a cluster elsewhere: start it with --cluster, or choose "
                    "another folder with --state"
                )
            for name in PORTS:
                state.require_free(name)
            stack.callback(forget_running, state.path)
            running = Running(os.getpid(), str(state.path), datetime.now(UTC).isoformat(), _endpoints(state))
            write_running(state.path, running)
            spawner = SpawnedProcesses.launch(options.preload)  # imports while the servers start
            stack.push_async_callback(spawner.aclose)
        async with self._step("Kubernetes API", running.endpoints["kubernetes"]):
            kube = await self._start_cluster(state)
        async with self._step("AWS APIs", running.endpoints["aws"]):
            cloud = await self._start_cloud(state, kube)
        async with self._step("cluster objects", "what EKS has before any chart"):
            await contents.apply_cluster_objects(kube, _webhook_facts(state))
        async with self._step("node", NODE_NAME):
            await self._start_node(state, spawner)
        async with self._step("pod identity webhook", "proven by a dry run"):
            await contents.prove_webhook(kube)
        async with self._step("pod identity agent", "EKS addon"):
            await contents.await_agent(kube)
        async with self._step("release and operator", "helm release spaces in namespace default"):
            await contents.install_release(kube, state)
        async with self._step("control plane", f"{CONTROL_PLANE} in group {GROUP}"):
            host_namespace = await contents.first_control_plane(kube, state)
        self._write_access(state, cloud, host_namespace)
        ready = Running(running.pid, running.state, running.started_at, running.endpoints, ready=True)
        write_running(state.path, ready)
        return ready

    def _begin(self) -> None:
        """What is watched fails this from now on."""
        self._failed = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Until something that must run does not any more; raises what ended it."""
        assert self._failed is not None
        await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Stop in the reverse order; what is stored stays."""
        await self._stack.aclose()
        if self._failed is not None and self._failed.done() and not self._failed.cancelled():
            self._failed.exception()  # it was told by whatever it stopped, or nobody waited any more

    async def _start_cluster(self, state: State) -> Kube:
        port, settings = state.require_free("kubernetes"), _cluster_settings(state)
        cluster = Cluster(settings)
        self._stack.push_async_callback(cluster.aclose)
        certificate, key = state.authority.server_certificate(HOSTS)
        serving = await serve_cluster(cluster, LOOPBACK, port, str(certificate), str(key))
        self._stack.push_async_callback(serving.stop)
        self._watch("Kubernetes API", serving.wait())
        self._run_controllers(cluster)
        path = state.path / "kubeconfig"
        admin = kubeconfig(CLUSTER_NAME, settings.server_url, settings.ca_pem, settings.admin_token)
        write_private(path, json.dumps(admin, indent=2))
        kube = connect({"KUBECONFIG": str(path)})
        self._stack.push_async_callback(kube.aclose)
        return kube

    def _run_controllers(self, cluster: Cluster) -> None:
        from keyless.local.cluster.controllers import run_controllers

        self._watch("controllers", run_controllers(cluster))

    async def _start_cloud(self, state: State, kube: Kube) -> Cloud:
        settings = _cluster_settings(state)
        cloud = Cloud(
            CloudSettings(
                database=state.database,
                kubernetes=kube,
                server_url=settings.server_url,
                ca_pem=settings.ca_pem,
                account=self._options.account,
                region=self._options.region,
                cluster_name=CLUSTER_NAME,
                agent=AgentPlace(state.require_free("agent")),
                propagation_delay_seconds=self._options.propagation_delay_seconds,
                revoke_tokens_of_deleted_pods=self._options.revoke_tokens_of_deleted_pods,
                root_key=root_key_in(state.folder("kms")),
                migrate=state.migrate,
            )
        )
        self._stack.push_async_callback(cloud.aclose)
        await self._stack.enter_async_context(serve_cloud(cloud.app, state.require_free("aws")))
        await self._stack.enter_async_context(serve_cloud(cloud.imds_app, state.require_free("imds")))
        reviews = serve_cloud(cloud.token_review_app, state.require_free("authenticator"))
        await self._stack.enter_async_context(reviews)
        self._watch("EKS", cloud.run())
        return cloud

    async def _start_node(self, state: State, spawner: SpawnedProcesses) -> None:
        settings = _cluster_settings(state)
        folder = state.folder("node")
        configuration = NodeConfiguration(
            name=NODE_NAME,
            folder=folder,
            images=ImageMap(self._options.images),
            kubelet_port=state.require_free("kubelet"),
            kubelet_token=settings.kubelet_token,
            server_url=settings.server_url,
            environment=node_environment(_endpoints(state), self._options.region),
            now=_now,
        )
        path = folder / "kubeconfig"
        write_private(
            path, json.dumps(kubeconfig(CLUSTER_NAME, settings.server_url, settings.ca_pem, settings.node_token))
        )
        kube = connect({"KUBECONFIG": str(path)})
        self._stack.push_async_callback(kube.aclose)
        kubelet = Kubelet(configuration, kube, spawner)
        await self._stack.enter_async_context(serve_cloud(kubelet.app, configuration.kubelet_port))
        self._watch("node", kubelet.run())
        await self._unless_failed(kubelet.settled())

    def _write_access(self, state: State, cloud: Cloud, host_namespace: str) -> None:
        """What ``keyless env`` prints, for the owner of the folder alone."""
        keys = cloud.admin_credentials()
        access = Access(
            kubeconfig=str(state.path / "kubeconfig"),
            ca_bundle=str(write_bundle(state.path, state.authority.ca_pem, self._options.environ)),
            aws_endpoint=_endpoints(state)["aws"],
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret_access_key,
            region=self._options.region,
            account=self._options.account,
            host_namespace=host_namespace,
        )
        write_access(state, access)

    def _watch(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; its end is the end of the Space. It is cancelled in its turn."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._stack.push_async_callback(_cancel, task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failed is None or self._failed.done():
            return
        error = task.exception()
        if error is not None:
            log.error("ended", part=task.get_name(), exc_info=error)
        self._failed.set_exception(Permanent(f"{task.get_name()} ended: {error or 'without a reason'}"))

    async def _unless_failed(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for ``work``, but not when a part that it needs has ended."""
        assert self._failed is not None
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            self._failed.result()
        task.result()

    @asynccontextmanager
    async def _step(self, name: str, detail: str) -> AsyncIterator[None]:
        began = asyncio.get_running_loop().time()
        try:
            with named_failures(self._options.state):
                yield
        except KeylessError as error:
            log.error("step failed", step=name, exc_info=error)
            raise type(error)(f"{name}: {error}") if type(error) is Permanent else error  # noqa: B904 - same failure
        seconds = asyncio.get_running_loop().time() - began
        log.info("step", step=name, detail=detail, seconds=round(seconds, 3))
        self._progress(f"{name} ({detail}) {seconds:.1f} s")


def _cluster_settings(state: State) -> ClusterSettings:
    return ClusterSettings(
        database=state.database,
        server_url=_endpoints(state)["kubernetes"],
        admin_token=state.secret("admin-token", _random),
        kubelet_token=state.secret("kubelet-token", _random),
        node_token=state.secret("node-token", _random),
        ca_pem=state.authority.ca_pem,
        now=_now,
        host=CLUSTER_NAME,
        node_name=NODE_NAME,
        migrate=state.migrate,
        token_review_url=f"http://{LOOPBACK}:{state.port('authenticator')}/authenticate",
    )


def _webhook_facts(state: State) -> WebhookFacts:
    certificate, key = state.authority.server_certificate(HOSTS)
    return WebhookFacts(
        port=state.port("webhook"),
        agent_port=state.port("agent"),
        ca_pem=state.authority.ca_pem,
        certificate_pem=certificate.read_text(encoding="ascii"),
        key_pem=key.read_text(encoding="ascii"),
    )


def node_environment(endpoints: Mapping[str, str], region: str) -> dict[str, str]:
    """What a node on AWS tells its pods by where they are: here it has to be said."""
    return {
        "AWS_ENDPOINT_URL": endpoints["aws"],
        "AWS_ENDPOINT_URL_STS": endpoints["aws"],
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoints["imds"],
    }


def _endpoints(state: State) -> dict[str, str]:
    return {
        "kubernetes": f"https://{LOOPBACK}:{state.port('kubernetes')}",
        "aws": f"http://{LOOPBACK}:{state.port('aws')}",
        "imds": f"http://{LOOPBACK}:{state.port('imds')}",
    }


def write_access(state: State, access: Access) -> None:
    """What ``keyless env`` prints."""
    fields = {name: getattr(access, name) for name in Access.__slots__}
    write_private(state.path / ACCESS_FILE, json.dumps(fields, indent=2))


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone."""
    with open(path, "w", encoding="utf-8", opener=private) as file:
        file.write(text)


def _random() -> str:
    return secrets.token_urlsafe(32)


def _now() -> datetime:
    return datetime.now(UTC)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
