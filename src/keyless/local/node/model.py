"""What the node knows about the containers of one pod, and what it may decide to do. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keyless.kube import KubeObject


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running; ``reason`` is what ``kubectl get pods`` shows."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A process; ``ticks`` (its start time in /proc) tells it from a later process with the same id."""

    started_at: datetime
    pid: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A process that ended, or one that could not be started."""

    code: int
    reason: str
    started_at: datetime
    finished_at: datetime
    signal: int = 0
    message: str = ""
    container_id: str = ""


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """One container over all its attempts."""

    state: Waiting | Running | Exited = field(default_factory=Waiting)
    last: Exited | None = None
    restarts: int = 0
    attempts: int = 0
    crashes: int = 0  # consecutive ends, for the back-off
    retry_at: datetime | None = None
    container_id: str = ""
    started: bool = False  # the startup probe has succeeded, or there is none
    ready: bool = False
    unhealthy: str = ""  # why it must be restarted
    stopping: bool = False

    @property
    def is_running(self) -> bool:
        """Whether a process exists."""
        return isinstance(self.state, Running)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """Everything a decision about one pod is made from."""

    pod: KubeObject
    runs: Mapping[str, ContainerRun]
    unrunnable: Mapping[str, str]  # container → why its image cannot be run here
    now: datetime

    def run(self, container: Mapping[str, Any]) -> ContainerRun:
        """The run of a container; a new one where it has none."""
        return self.runs.get(container["name"], ContainerRun())

    @property
    def label(self) -> str:
        """``name_namespace(uid)``, as kubelet messages name a pod."""
        metadata = self.pod["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


@dataclass(frozen=True, slots=True)
class Start:
    """Make the container and start its process."""

    container: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process: preStop, SIGTERM, SIGKILL after the grace."""

    container: str
    grace_seconds: float
    message: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Do not start it yet, and say why; ``until`` is when to look again."""

    container: str
    reason: str
    message: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Remove:
    """Nothing runs any more: take the pod's files away and confirm its deletion."""


Action = Start | Stop | Hold | Remove


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in order, and when to ask again at the latest."""

    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None


def containers(pod: KubeObject) -> list[dict[str, Any]]:
    """The main containers."""
    return list(pod["spec"].get("containers") or ())


def init_containers(pod: KubeObject) -> list[dict[str, Any]]:
    """The init containers, sidecars included, in order."""
    return list(pod["spec"].get("initContainers") or ())


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """An init container that keeps running (restartPolicy Always)."""
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: KubeObject) -> str:
    """Always, OnFailure or Never."""
    return str(pod["spec"].get("restartPolicy") or "Always")
