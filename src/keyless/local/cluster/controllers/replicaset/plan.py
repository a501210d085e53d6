"""Decide which pods a ReplicaSet takes over, lets go, makes and removes, and what its status says. Pure.

Rules: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keyless.kube import KubeObject, set_condition
from keyless.kube.selectors import matches
from keyless.local.cluster.controllers.owners import Claim, claim, is_leaving
from keyless.local.cluster.controllers.pods import first_to_go, is_active, is_available, ready_since

_BURST = 500
"""Pods made or removed in one pass, as in Kubernetes: others get their turn in between."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Take over and let go first, so that the counts hold; then make or remove."""

    claim: Claim
    create: int
    delete: tuple[KubeObject, ...]


def plan(replica_set: KubeObject, pods: Sequence[KubeObject]) -> Plan:
    """What brings the number of active pods to the number wanted."""
    claimed = claim(replica_set, [pod for pod in pods if is_active(pod)])
    if is_leaving(replica_set):
        return Plan(claimed, 0, ())
    surplus = len(claimed.all) - int(replica_set["spec"].get("replicas", 1))
    if surplus <= 0:
        return Plan(claimed, min(-surplus, _BURST), ())
    return Plan(claimed, 0, tuple(first_to_go(claimed.all)[: min(surplus, _BURST)]))


def status(
    replica_set: KubeObject, pods: Sequence[KubeObject], failure: tuple[str, str] | None, now: datetime
) -> KubeObject:
    """The status after ``plan``; ``failure`` is the reason and message of a create or delete that did not work."""
    spec, old = replica_set["spec"], replica_set.get("status") or {}
    active = [pod for pod in claim(replica_set, pods).owned if is_active(pod)]
    wanted = {"matchLabels": ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}}
    seconds = int(spec.get("minReadySeconds") or 0)
    counts = {
        "fullyLabeledReplicas": sum(matches(wanted, pod["metadata"].get("labels")) for pod in active),
        "readyReplicas": sum(ready_since(pod) is not None for pod in active),
        "availableReplicas": sum(is_available(pod, seconds, now) for pod in active),
    }
    new: KubeObject = {"replicas": len(active), "observedGeneration": replica_set["metadata"].get("generation", 1)}
    new |= {key: value for key, value in counts.items() if value}  # zeros are left out, as Go does
    conditions = [one for one in old.get("conditions") or () if one["type"] != "ReplicaFailure"]
    if failure:
        conditions = set_condition(old.get("conditions"), "ReplicaFailure", True, *failure, now=now)
    return {**new, "conditions": conditions} if conditions else new
