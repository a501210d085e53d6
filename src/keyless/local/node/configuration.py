"""What the node is told, and what it shares between the workers of its pods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from keyless.api import KeylessError
from keyless.kube import Kube, KubeObject, record
from keyless.kube.events import EventLevel
from keyless.local.node.images import ImageMap
from keyless.local.node.objects import Objects
from keyless.local.node.processes import Processes

log = structlog.get_logger("keyless.node")


@dataclass(frozen=True, slots=True)
class NodeConfiguration:
    """``environment`` is what every container gets as configuration of the node, under whatever the pod itself sets."""

    name: str
    folder: Path
    images: ImageMap
    kubelet_port: int
    kubelet_token: str = field(repr=False)
    server_url: str
    environment: Mapping[str, str]
    now: Callable[[], datetime]
    host_ip: str = "127.0.0.1"
    labels: Mapping[str, str] = field(default_factory=dict)
    asked_by: str = ""
    """A label of the node: only pods whose ``nodeSelector`` names it are taken, and a taint of this key keeps others'
    schedulers from it. Empty: every pod."""


@dataclass(frozen=True, slots=True)
class Storyteller:
    """Tells events without making anyone wait; an event that cannot be stored is logged and forgotten."""

    kube: Kube
    component: str
    queue: asyncio.Queue[tuple[KubeObject, EventLevel, str, str]] = field(default_factory=asyncio.Queue)

    def tell(self, pod: KubeObject, reason: str, message: str, *, level: EventLevel = "Normal") -> None:
        """Tell that something happened to a pod."""
        self.queue.put_nowait(({"apiVersion": "v1", "kind": "Pod", **pod}, level, reason, message))

    async def run(self) -> None:
        """Store events, in order, until cancelled."""
        while True:
            pod, level, reason, message = await self.queue.get()
            try:
                await record(self.kube, pod, type=level, reason=reason, message=message, component=self.component)
            except KeylessError as error:
                log.info("event not stored", pod=pod["metadata"]["name"], reason=reason, error=str(error))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything a pod's worker needs from outside."""

    configuration: NodeConfiguration
    kube: Kube
    processes: Processes
    objects: Objects
    stories: Storyteller
    own_views: bool  # processes get a file system view of their own; else paths are rewritten

    def now(self) -> datetime:
        """The time."""
        return self.configuration.now()

    @property
    def pods_folder(self) -> Path:
        """Where the pods' folders are, one for each uid."""
        return self.configuration.folder / "pods"
