"""The agent as a process: EKS Auth behind the cache, listeners on every address that can be bound."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from keyless.api import Permanent
from keyless.aws import Session, caller_identity
from keyless.identity.agent.app import Agent, Metrics
from keyless.identity.agent.cache import CredentialCache
from keyless.identity.agent.model import PodCredentials, credentials_of
from keyless.identity.agent.readiness import Readiness
from keyless.identity.agent.settings import Settings
from keyless.serving import bind, serve
from keyless.tasks import Tasks

if TYPE_CHECKING:
    from keyless.kube import Event

log = structlog.get_logger()


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve until cancelled. Calls EKS Auth with this process's own credentials: the node's role."""
    endpoints = {"eks-auth": settings.endpoint} if settings.endpoint else None
    session = Session.from_environment(environ, endpoints=endpoints)

    async def assume(token: str) -> PodCredentials:
        answer = await session.call(
            "eks-auth", "AssumeRoleForPodIdentity", clusterName=settings.cluster_name, token=token
        )
        return credentials_of(answer)

    async def own_arn() -> str:
        return (await caller_identity(session)).arn

    readiness = Readiness(own_arn, now=lambda: datetime.now(UTC))
    metrics = Metrics()
    hosts = tuple(host.strip().strip("[]") for host in settings.bind_hosts.split(",") if host.strip())
    cache = CredentialCache(
        readiness.watching(assume),
        retention=timedelta(seconds=settings.max_credential_retention_before_renewal),
        size=settings.max_cache_size,
        observe=metrics.cache,
    )
    agent = Agent(cache, hosts, metrics, readiness=readiness)
    listeners = [(agent.app, sock) for sock in _bind_each(hosts, settings.port)]
    if settings.probe_port >= 0:
        listeners.append((agent.probe_app, bind("127.0.0.1", settings.probe_port)))
    if settings.metrics_port >= 0:
        listeners.append((agent.metrics_app, bind(settings.metrics_address, settings.metrics_port)))
    async with Tasks() as tasks:
        for app, sock in listeners:
            tasks.create_task(serve(app, sock))
        if settings.node_name:
            tasks.create_task(_forget_pods(cache, settings.node_name, environ), name="pods")
        log.info("agent ready", hosts=hosts, port=settings.port, cluster=settings.cluster_name)


async def _forget_pods(cache: CredentialCache, node: str, environ: Mapping[str, str]) -> None:
    """What a pod was given goes with the pod."""
    # An agent that watches no pods speaks to no Kubernetes, and needs none of the memory for it.
    from keyless.kube import Informer, connect
    from keyless.kube.resources import PODS

    async with connect(environ) as kube:
        pods = Informer(kube, PODS, fields=f"spec.nodeName={node}", metadata_only=True)
        pods.on_change(lambda event: forget_gone(cache, event))
        await pods.run()


def forget_gone(cache: CredentialCache, event: Event) -> None:
    """Let go of a pod's credentials where the event says that it is gone."""
    if event.type == "DELETED":
        cache.forget(event.object["metadata"]["uid"])


def _bind_each(hosts: tuple[str, ...], port: int) -> list[socket.socket]:
    """Bind what can be bound: a node without IPv6 is no reason to serve nobody."""
    bound, faults = [], []
    for host in hosts:
        try:
            bound.append(bind(host, port))
        except Permanent as error:
            faults.append(str(error))
            log.warning("address not bound", host=host, error=str(error))
    if not bound:
        raise Permanent("; ".join(faults) or "no address to listen on: set --bind-hosts")
    return bound
