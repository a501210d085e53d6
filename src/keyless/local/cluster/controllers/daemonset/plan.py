"""Decide which pods a DaemonSet makes and removes, and what its status says. Pure.

A pod's revision is a hash of the template in the label ``controller-revision-hash``; there are no ControllerRevision
objects, so ``kubectl rollout undo daemonset`` finds no history.

Rules: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keyless.kube import KubeObject, is_true
from keyless.kube.resources import DAEMONSETS
from keyless.local.cluster.controllers.deployment.model import scaled
from keyless.local.cluster.controllers.owners import Claim, claim, controller_reference, is_leaving
from keyless.local.cluster.controllers.pods import is_active, is_available, pod_from, ready_since, template_hash

HASH_LABEL = "controller-revision-hash"
_ALWAYS_TOLERATED = ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
_NETWORK = "network-unavailable"  # tolerated by pods on the host's network alone


@dataclass(frozen=True, slots=True)
class Plan:
    """Take over and let go, remove, then make."""

    claim: Claim
    create: tuple[KubeObject, ...]
    delete: tuple[KubeObject, ...]


def plan(daemon_set: KubeObject, pods: Sequence[KubeObject], nodes: Sequence[KubeObject], now: datetime) -> Plan:
    """One pod for each fitting node; a finished pod is replaced, an outdated one when the strategy allows."""
    claimed = claim(daemon_set, pods)
    if is_leaving(daemon_set):
        return Plan(claimed, (), ())
    placed = _by_node(claimed.all)
    create: list[KubeObject] = []
    delete: list[KubeObject] = []
    for node in nodes:
        here = placed.pop(node["metadata"]["name"], [])
        alive = [pod for pod in here if is_active(pod)]
        if not fits(daemon_set, node):
            delete += [pod for pod in here if not is_leaving(pod)]
            continue
        delete += [pod for pod in here if not is_active(pod) and not is_leaving(pod)]
        delete += sorted(alive, key=lambda pod: pod["metadata"]["creationTimestamp"])[1:]
        # The real controller asks no readiness; but a node that is not ready could start nothing here.
        if not here and is_true(node, "Ready"):
            create.append(_pod(daemon_set, node["metadata"]["name"]))
    delete += [pod for gone in placed.values() for pod in gone if not is_leaving(pod)]
    if not create and not delete:
        delete = _outdated(daemon_set, claimed.all, nodes, now)
    return Plan(claimed, tuple(create), tuple(delete))


def status(
    daemon_set: KubeObject, pods: Sequence[KubeObject], nodes: Sequence[KubeObject], now: datetime
) -> KubeObject:
    """The counts."""
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    fitting = {node["metadata"]["name"] for node in nodes if fits(daemon_set, node)}
    owned = [pod for pod in claim(daemon_set, pods).owned if is_active(pod)]
    right = {node: alive[0] for node, alive in _by_node(owned).items() if node in fitting}
    available = sum(is_available(pod, seconds, now) for pod in right.values())
    updated = sum(_is_current(daemon_set, pod) for pod in right.values())
    optional = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": len(fitting) - available,
    }
    return {
        "currentNumberScheduled": len(right),
        "numberMisscheduled": len({node_of(pod) for pod in owned} - fitting),
        "desiredNumberScheduled": len(fitting),
        "numberReady": sum(ready_since(pod) is not None for pod in right.values()),
        "observedGeneration": daemon_set["metadata"].get("generation", 1),
        **{key: value for key, value in optional.items() if value},
    }


def fits(daemon_set: KubeObject, node: KubeObject) -> bool:
    """Whether the node's labels and taints let the pod in. Pods that are there stay when a node turns unready."""
    spec = daemon_set["spec"]["template"]["spec"]
    labels = node["metadata"].get("labels") or {}
    chosen = all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())
    named = spec.get("nodeName") in {None, "", node["metadata"]["name"]}
    taints = [t for t in (node.get("spec") or {}).get("taints") or () if t["effect"] in {"NoSchedule", "NoExecute"}]
    return chosen and named and all(_tolerates(spec, taint) for taint in taints)


def node_of(pod: KubeObject) -> str:
    """The node a pod is on, or meant for."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name":
                return str(field["values"][0])
    return ""


def _by_node(pods: Sequence[KubeObject]) -> dict[str, list[KubeObject]]:
    placed: dict[str, list[KubeObject]] = defaultdict(list)
    for pod in pods:
        placed[node_of(pod)].append(pod)
    return placed


def _is_current(daemon_set: KubeObject, pod: KubeObject) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(HASH_LABEL) == template_hash(daemon_set["spec"]["template"]))


def _outdated(
    daemon_set: KubeObject, pods: Sequence[KubeObject], nodes: Sequence[KubeObject], now: datetime
) -> list[KubeObject]:
    """Old pods that may go now: those that serve nobody, and as many others as may be missing."""
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return []
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    wanted = sum(fits(daemon_set, node) for node in nodes)
    allowed = max(1, scaled((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), wanted, up=True))
    working = {pod["metadata"]["name"] for pod in pods if is_active(pod) and is_available(pod, seconds, now)}
    old = [pod for pod in pods if is_active(pod) and not _is_current(daemon_set, pod)]
    idle = [pod for pod in old if pod["metadata"]["name"] not in working]
    budget = max(0, allowed - (wanted - len(working)))
    return [*idle, *[pod for pod in old if pod["metadata"]["name"] in working][:budget]]


def _pod(daemon_set: KubeObject, node: str) -> KubeObject:
    """A pod that only ``node`` may run."""
    pod = pod_from(daemon_set["spec"]["template"], daemon_set, controller_reference(daemon_set, DAEMONSETS))
    labels = {
        **(pod["metadata"].get("labels") or {}),
        HASH_LABEL: template_hash(daemon_set["spec"]["template"]),
        "pod-template-generation": str(daemon_set["metadata"].get("generation", 1)),
    }
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = pod["spec"].get("affinity") or {}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    nodes = {**(affinity.get("nodeAffinity") or {}), "requiredDuringSchedulingIgnoredDuringExecution": required}
    spec = {**pod["spec"], "affinity": {**affinity, "nodeAffinity": nodes}, "tolerations": _tolerations(pod["spec"])}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": spec}


def _tolerations(spec: KubeObject) -> list[KubeObject]:
    names = (*_ALWAYS_TOLERATED, _NETWORK) if spec.get("hostNetwork") else _ALWAYS_TOLERATED
    added = [
        {
            "key": f"node.kubernetes.io/{name}",
            "operator": "Exists",
            "effect": "NoExecute" if name in {"not-ready", "unreachable"} else "NoSchedule",
        }
        for name in names
    ]
    return [*(spec.get("tolerations") or ()), *[one for one in added if one not in (spec.get("tolerations") or ())]]


def _tolerates(spec: KubeObject, taint: KubeObject) -> bool:
    for toleration in _tolerations(spec):
        effect = toleration.get("effect") in {None, "", taint["effect"]}
        if toleration.get("operator") == "Exists":
            matched = toleration.get("key") in {None, "", taint["key"]}
        else:
            matched = toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", "")
        if effect and matched:
            return True
    return False
