"""The webhook, a bare JSON echo and the agent, each on a listener of this process: ``python -m … KIND PORT CERT KEY``.

The echo stands on the same server with the same TLS: what it costs is what no webhook here can go below.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from keyless.identity.agent.app import Agent
from keyless.identity.agent.app import Metrics as AgentMetrics
from keyless.identity.agent.cache import CredentialCache
from keyless.identity.agent.model import PodCredentials
from keyless.identity.agent.readiness import Readiness
from keyless.identity.injection.app import Webhook
from keyless.identity.injection.directory import AssociationFile, Directory
from keyless.identity.injection.settings import Settings
from keyless.kube import NotFound
from keyless.serving import Tls, bind, serve
from keyless.serving.plain import App, Receive, Scope, Send, answer, body_untrusted

ROLE = "arn:aws:iam::111122223333:role/billing"
KNOWN = {"metadata": {"name": "vector", "annotations": {"eks.amazonaws.com/role-arn": ROLE}}}


class Accounts:
    """One service account that the informer holds; any other is not there, which the API server takes 2 ms to say."""

    def cached(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return it."""
        return KNOWN if name == "vector" else None

    async def fetch(self, namespace: str, name: str) -> dict[str, Any]:
        """Say that there is none."""
        await asyncio.sleep(0.002)
        raise NotFound({"message": f"{namespace}/{name}", "code": 404, "reason": "NotFound"})


def webhook() -> App:
    """As it is served in a cluster."""
    return Webhook(Directory(Accounts(), AssociationFile(""), lookup_seconds=3.0), Settings()).app


def echo() -> App:
    """Read JSON, answer the same; without a body, an empty object."""

    async def echoed(_scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 200, orjson.dumps(orjson.loads(await body_untrusted(receive) or b"{}")), b"application/json")

    return echoed


def agent() -> App:
    """With an EKS Auth that takes a while; the access key id says how often it was asked."""
    calls = itertools.count(1)

    async def granted(_token: str) -> PodCredentials:
        key = f"ASIA{next(calls)}"
        await asyncio.sleep(0.1)
        return PodCredentials(key, "secret", "session", datetime.now(UTC) + timedelta(hours=6), "111122223333")

    async def known() -> str:
        return "arn"

    metrics = AgentMetrics()
    cache = CredentialCache(granted, retention=timedelta(hours=3), size=2000, observe=metrics.cache)
    return Agent(cache, ("127.0.0.1",), metrics, readiness=Readiness(known, now=lambda: datetime.now(UTC))).app


def main(kind: str, port: str, certificate: str = "", key: str = "") -> None:
    """Serve until killed."""
    import uvloop

    made = {"webhook": webhook, "echo": echo, "agent": agent}[kind]()
    tls = Tls(certificate, key) if certificate else None
    uvloop.run(serve(made, bind("127.0.0.1", int(port)), tls=tls))


if __name__ == "__main__":
    main(*sys.argv[1:])
