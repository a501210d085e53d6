"""Binds pods that have no node to this one. There is one node, so the only question is whether it fits."""

from __future__ import annotations

from keyless.kube import Event, Informer, Kube, KubeObject, NotFound, Rejected
from keyless.kube.controller import Controller
from keyless.kube.model import Name, name_of
from keyless.kube.resources import PODS
from keyless.local.node.configuration import NodeConfiguration, Storyteller

SCHEDULER = "default-scheduler"


def mismatch(pod: KubeObject, node_labels: dict[str, str], node_name: str) -> str:
    """Why the pod does not fit; empty when it does. Pure."""
    wanted = pod["spec"].get("nodeSelector") or {}
    if any(node_labels.get(key) != value for key, value in wanted.items()):
        return f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector ({node_name})."
    return ""


def is_ours(pod: KubeObject, asked_by: str = "") -> bool:
    """Whether this scheduler must find a node for the pod now; with ``asked_by``, only for those that ask. Pure."""
    spec, metadata = pod["spec"], pod["metadata"]
    return (
        not spec.get("nodeName")
        and not metadata.get("deletionTimestamp")
        and (spec.get("schedulerName") or SCHEDULER) == SCHEDULER
        and not spec.get("schedulingGates")
        and (not asked_by or asked_by in (spec.get("nodeSelector") or {}))
    )


class Scheduler:
    """Follows unbound pods and binds them."""

    def __init__(
        self, kube: Kube, configuration: NodeConfiguration, labels: dict[str, str], stories: Storyteller
    ) -> None:
        self._kube = kube
        self._node = configuration.name
        self._labels = labels
        self._asked_by = configuration.asked_by
        self._stories = stories
        self.informer = Informer(kube, PODS, fields="spec.nodeName=")
        self.controller = Controller("scheduler", self._reconcile)
        self.informer.on_change(self._changed)

    def _changed(self, event: Event) -> None:
        if event.type != "DELETED" and is_ours(event.object, self._asked_by):
            self.controller.enqueue(name_of(event.object))

    async def _reconcile(self, key: Name) -> float | None:
        pod = self.informer.get(key.name, key.namespace)
        if pod is None or not is_ours(pod, self._asked_by):
            return None
        if why := mismatch(pod, self._labels, self._node):
            self._stories.tell(pod, "FailedScheduling", why, level="Warning")
            return None
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self._node},
        }
        try:
            await self._kube.request("POST", PODS.path(key.namespace, key.name, "binding"), body=binding)
        except (NotFound, Rejected):
            return None  # deleted or bound meanwhile: the watch tells
        self._stories.tell(pod, "Scheduled", f"Successfully assigned {key.namespace}/{key.name} to {self._node}")
        return None
