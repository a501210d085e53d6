"""What a Deployment's status says: counts, Available, Progressing, ReplicaFailure. Pure.

``kubectl rollout status`` and ``helm --wait`` read exactly these words.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from keyless.kube import KubeObject, condition_of, timestamp
from keyless.local.cluster.controllers.deployment.model import (
    NO_DEADLINE,
    Sets,
    counted,
    max_unavailable,
    replicas,
)
from keyless.local.cluster.controllers.pods import moment

COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"

Said = tuple[str, str, str]
"""A condition's status, reason and message."""


def counts(deployment: KubeObject, sets: Sets, collisions: int | None) -> KubeObject:
    """The numbers."""
    everything = counted(sets.all, "replicas")
    available = counted(sets.all, "availableReplicas")
    numbers = {
        "replicas": everything,
        "updatedReplicas": counted([sets.new], "replicas") if sets.new else 0,
        "readyReplicas": counted(sets.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total_missing(sets, available)),
        "collisionCount": collisions or 0,
    }
    generation = deployment["metadata"].get("generation", 1)
    return {"observedGeneration": generation, **{key: value for key, value in numbers.items() if value}}


def total_missing(sets: Sets, available: int) -> int:
    """How many wanted pods are not available."""
    return sum(replicas(rs) for rs in sets.all) - available


def is_complete(deployment: KubeObject, status: KubeObject) -> bool:
    """Whether every pod is new and available, and no other is left."""
    wanted = replicas(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(name, 0) == wanted for name in names)


def availability(deployment: KubeObject, status: KubeObject) -> Said:
    """The condition Available."""
    enough = replicas(deployment) - max_unavailable(deployment)
    if status.get("availableReplicas", 0) >= enough:
        return "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    return "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."


def progress(deployment: KubeObject, sets: Sets, status: KubeObject, now: datetime) -> Said | None:
    """The condition Progressing after a rollout's pass; None leaves it as it is."""
    old = deployment.get("status") or {}
    before = condition_of(old.get("conditions"), "Progressing")
    subject = f'ReplicaSet "{sets.new["metadata"]["name"]}"' if sets.new else f'Deployment "{_name(deployment)}"'
    settled = status.get("replicas", 0) == status.get("updatedReplicas", 0) and before and before["reason"] == COMPLETE
    if settled:
        return None
    if is_complete(deployment, status):
        return "True", COMPLETE, f"{subject} has successfully progressed."
    if _has_moved(old, status):
        return "True", "ReplicaSetUpdated", f"{subject} is progressing."
    if before and has_timed_out(deployment, before, now):
        return "False", TIMED_OUT, f"{subject} has timed out progressing."
    return None


def _name(deployment: KubeObject) -> str:
    return str(deployment["metadata"]["name"])


def _has_moved(old: KubeObject, new: KubeObject) -> bool:
    def rest(status: KubeObject) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    names = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return any(new.get(name, 0) > old.get(name, 0) for name in names) or rest(new) < rest(old)


def has_timed_out(deployment: KubeObject, condition: KubeObject, now: datetime) -> bool:
    """Whether nothing moved for the deadline's time."""
    if condition["reason"] in {COMPLETE, TIMED_OUT}:
        return bool(condition["reason"] == TIMED_OUT)
    left = seconds_left(deployment, condition, now)
    return left is not None and left < 0


def seconds_left(deployment: KubeObject, condition: KubeObject | None, now: datetime) -> float | None:
    """The time until the deadline; None where there is none."""
    deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
    if deadline in {None, NO_DEADLINE} or condition is None or condition["reason"] in {COMPLETE, TIMED_OUT}:
        return None
    if condition["status"] == "Unknown":  # paused: the clock stands still
        return None
    since = moment(condition.get("lastUpdateTime") or condition["lastTransitionTime"])
    return (since + timedelta(seconds=int(deadline)) - now).total_seconds()


def with_condition(
    conditions: list[KubeObject],
    type: str,  # noqa: A002 - its name in the API
    said: Said,
    now: datetime,
) -> list[KubeObject]:
    """Deployments keep two times: of the last change of status, and of the last word at all."""
    status, reason, message = said
    old = condition_of(conditions, type)
    if old and (old["status"], old["reason"], old.get("message")) == said:
        return conditions
    same = old is not None and old["status"] == status
    changed = old["lastTransitionTime"] if same and old else timestamp(now)
    new = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": timestamp(now),
        "lastTransitionTime": changed,
    }
    return [*[one for one in conditions if one is not old], new]


def failure(sets: Sets) -> Said | None:
    """ReplicaFailure of the new ReplicaSet, else of an old one."""
    for rs in (sets.new, *sets.old):
        condition = condition_of((rs.get("status") or {}).get("conditions") if rs else None, "ReplicaFailure")
        if condition:
            return condition["status"], condition["reason"], condition["message"]
    return None
