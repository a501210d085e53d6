"""The Kubernetes API of the host cluster and of every logical cluster, in one object.

``app`` speaks HTTP (ASGI); ``call`` runs the same stack without a socket: authorisation, admission, validation,
storage. Only authentication differs: the caller says who it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from keyless.local.cluster.messages import JSON, Answer, Reply, Request
from keyless.local.cluster.settings import ClusterSettings
from keyless.local.cluster.store import Store
from keyless.local.cluster.users import SYSTEM, User


class Cluster:
    """All clusters of one local Space."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self.store = Store(settings.database)

    async def call(
        self,
        cluster: str,
        method: str,
        path: str,
        body: object = None,
        *,
        user: User = SYSTEM,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request as ``user``; refusals come back as an answer with a Status body, never as an exception."""
        raw = b"" if body is None else orjson.dumps(body)
        headers = {"content-type": content_type, "accept": JSON}
        reply = await self.answer(Request(cluster, method, path, user, params or {}, headers, raw))
        decoded: dict[str, Any] = orjson.loads(reply.body) if reply.body else {}
        return Answer(reply.status, decoded)

    async def answer(self, request: Request) -> Reply:
        """Answer an authenticated request."""
        raise NotImplementedError

    def ensure_cluster(self, name: str, owner: str | None = None) -> None:
        """Make the cluster (namespaces, RBAC) if it is missing; ``owner`` is a user of the host that is admin inside."""
        raise NotImplementedError

    def remove_cluster(self, name: str) -> None:
        """Remove the cluster and everything in it."""
        raise NotImplementedError
