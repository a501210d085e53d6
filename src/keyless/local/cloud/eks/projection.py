"""What Kubernetes sees of EKS: the webhook's list of associations, the agent's DaemonSet, access policies as bindings.

Level-based: everything that should be is written again at the start, after each change, and every minute; what fails is
tried again, each time later. An operation waits a moment for its change to arrive, and does not fail when it has not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from keyless.api import KeylessError
from keyless.kube.errors import NotFound
from keyless.kube.resources import CONFIGMAPS, DAEMONSETS, KubeObject
from keyless.local.cloud.database import Database
from keyless.local.cloud.eks.access_policies import AssociatedPolicy
from keyless.local.cloud.eks.access_projection import AccessProjection
from keyless.local.cloud.eks.agent import AgentPlace, agent_manifest
from keyless.local.cloud.eks.kubernetes import Kubernetes

AGENT = "eks-pod-identity-agent"
LIST = "eks-pod-identity-associations"
NAMESPACE = "kube-system"
MANAGER = "eks"
_WANTED, _LEFT = "agent-wanted", "left"
_EVERY_SECONDS = 60.0
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 30.0
_SETTLE_SECONDS = 2.0
_FOLLOW_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Projection:
    """Keeps the cluster at what the state says."""

    database: Database
    kubernetes: Kubernetes
    cluster_name: str
    agent: AgentPlace
    #: whether the API server asks us who a bearer is: elsewhere access entries have no say
    authenticates: bool = True
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _followed_at: float = -_FOLLOW_SECONDS

    def want_agent(self, wanted: bool | None) -> None:
        """The agent should run (True), should not (False), or is no longer looked after (None)."""
        self.database.put("remembered", _WANTED, {True: "yes", False: "no", None: "ignored"}[wanted])

    def look_after_agent(self, wanted: bool) -> None:
        """At the start: the agent is the settings' affair (True), or nobody's, until somebody asks for an addon."""
        remembered = self.database.get("remembered", _WANTED)
        if not wanted and remembered is None:
            self.database.put("remembered", _WANTED, _LEFT)
        # What an earlier start without it left is nobody's wish.
        elif wanted and remembered == _LEFT:
            self.want_agent(True)

    async def settle(self) -> None:
        """Write what changed; give up quietly after a moment and leave the rest to :meth:`run`."""
        try:
            await asyncio.wait_for(self.reconcile(), _SETTLE_SECONDS)
        except (TimeoutError, KeylessError, OSError) as error:
            _LOG.warning("the cluster has not taken EKS's change yet: %s", error)
            self._changed.set()

    async def follow_namespaces(self, policies: Iterable[AssociatedPolicy]) -> None:
        """Before one with these policies is judged: bind them in namespaces that are new; once a second at most."""
        now = asyncio.get_running_loop().time()
        if now < self._followed_at + _FOLLOW_SECONDS or all(one.scope == "cluster" for one in policies):
            return
        self._followed_at = now
        await self.settle()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        delay = _FIRST_RETRY_SECONDS
        while True:
            self._changed.clear()
            try:
                await self.reconcile()
            except (KeylessError, OSError) as error:
                _LOG.warning("reconciling the cluster with EKS failed, next try in %.1f s: %s", delay, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LAST_RETRY_SECONDS)
                continue
            delay = _FIRST_RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _EVERY_SECONDS)

    async def reconcile(self) -> None:
        """Bring the cluster to what the state says now."""
        async with self._one_at_a_time:
            await self.kubernetes.apply(
                CONFIGMAPS, webhook_list(self.database.all("eks-association")), NAMESPACE, field_manager=MANAGER
            )
            wanted = self.database.get("remembered", _WANTED) or "yes"
            if wanted == "yes":
                manifest = agent_manifest(self.cluster_name, self.agent)
                await self.kubernetes.apply(DAEMONSETS, manifest, NAMESPACE, field_manager=MANAGER)
            elif wanted == "no":
                await self._remove_agent()
            if self.authenticates:
                await AccessProjection(self.database, self.kubernetes).reconcile()

    async def _remove_agent(self) -> None:
        with suppress(NotFound):
            await self.kubernetes.delete(DAEMONSETS, AGENT, NAMESPACE)


def webhook_list(associations: list[dict[str, Any]]) -> KubeObject:
    """The ConfigMap that the webhook reads: who has an association."""
    pairs = sorted({(one["namespace"], one["service_account"]) for one in associations})
    identities = [{"namespace": namespace, "serviceAccount": account} for namespace, account in pairs]
    return {
        "metadata": {"name": LIST, "namespace": NAMESPACE},
        "data": {"config.json": orjson.dumps({"identities": identities}).decode()},
    }
