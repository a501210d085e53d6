"""The agent as a process: EKS Auth behind the cache, listeners on every address that can be bound."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import timedelta

import structlog

from keyless.api import Permanent
from keyless.aws import Session
from keyless.identity.agent.app import Agent, Metrics
from keyless.identity.agent.cache import CredentialCache
from keyless.identity.agent.model import PodCredentials, credentials_of
from keyless.identity.agent.settings import Settings
from keyless.serving import bind, serve
from keyless.tasks import Tasks

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

    metrics = Metrics()
    hosts = tuple(host.strip().strip("[]") for host in settings.bind_hosts.split(",") if host.strip())
    cache = CredentialCache(
        assume,
        retention=timedelta(seconds=settings.max_credential_retention_before_renewal),
        size=settings.max_cache_size,
        observe=metrics.cache,
    )
    agent = Agent(cache, hosts, metrics)
    listeners = [(agent.app, sock) for sock in _bind_each(hosts, settings.port)]
    if settings.probe_port >= 0:
        listeners.append((agent.probe_app, bind("127.0.0.1", settings.probe_port)))
    if settings.metrics_port >= 0:
        listeners.append((agent.metrics_app, bind(settings.metrics_address, settings.metrics_port)))
    async with Tasks() as tasks:
        for app, sock in listeners:
            tasks.create_task(serve(app, sock))
        log.info("agent ready", hosts=hosts, port=settings.port, cluster=settings.cluster_name)


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
