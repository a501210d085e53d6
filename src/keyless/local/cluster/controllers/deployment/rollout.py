"""Decide the next numbers of pods of a Deployment's ReplicaSets. Pure.

Each function returns one round of :class:`Scale` steps; the ReplicaSets' own progress brings the next round.
"""

from __future__ import annotations

from collections.abc import Sequence

from keyless.kube import KubeObject
from keyless.local.cluster.controllers.deployment.model import (
    DESIRED,
    MAXIMUM,
    Scale,
    Sets,
    annotated,
    counted,
    is_rolling,
    max_surge,
    max_unavailable,
    replicas,
    total,
)


def new_replicas(deployment: KubeObject, others: Sequence[KubeObject], present: int) -> int:
    """How many pods the new ReplicaSet may have now, given what it has and what the others have."""
    wanted = replicas(deployment)
    if not is_rolling(deployment):
        return wanted
    # A set that was scaled down may not have removed its pods yet: count what is there.
    there = sum(max(replicas(rs), counted([rs], "replicas")) for rs in others)
    room = wanted + max_surge(deployment) - there - present
    if present > wanted:
        return wanted
    return present + max(0, min(room, wanted - present))


def roll_down(deployment: KubeObject, sets: Sets) -> list[Scale]:
    """Remove old pods as far as enough pods stay available; the broken ones first, they serve nobody."""
    old = [rs for rs in sets.old if replicas(rs)]
    minimum = replicas(deployment) - max_unavailable(deployment)
    new_missing = replicas(sets.new) - counted([sets.new], "availableReplicas") if sets.new else 0
    budget = total(sets.all) - minimum - new_missing
    if not old or budget <= 0:
        return []
    target = {rs["metadata"]["name"]: replicas(rs) for rs in old}
    for rs in old:
        broken = replicas(rs) - counted([rs], "availableReplicas")
        step = max(0, min(budget, broken))
        target[rs["metadata"]["name"]] -= step
        budget -= step
    spare = counted(sets.all, "availableReplicas") - minimum
    for rs in old:
        step = max(0, min(spare, target[rs["metadata"]["name"]]))
        target[rs["metadata"]["name"]] -= step
        spare -= step
    return [Scale(rs, target[rs["metadata"]["name"]]) for rs in old if target[rs["metadata"]["name"]] != replicas(rs)]


def was_scaled(deployment: KubeObject, sets: Sets) -> bool:
    """Whether the wanted number changed since the ReplicaSets were last sized."""
    return any(annotated(rs, DESIRED) not in {None, replicas(deployment)} for rs in sets.all if replicas(rs))


def rescale(deployment: KubeObject, sets: Sets) -> list[Scale]:
    """Follow a new wanted number without a rollout: all of it where one set is in use, else in proportion."""
    wanted = replicas(deployment)
    active = [rs for rs in sets.all if replicas(rs)]
    if len(active) <= 1:
        only = active[0] if active else sets.new or _latest(sets.old)
        return [Scale(only, wanted)] if only and not replicas(only) == annotated(only, DESIRED) == wanted else []
    if sets.new and _is_saturated(deployment, sets.new):
        return [Scale(rs, 0) for rs in sets.old if replicas(rs)]
    return _proportional(deployment, active) if is_rolling(deployment) else []


def _latest(replica_sets: Sequence[KubeObject]) -> KubeObject | None:
    return replica_sets[-1] if replica_sets else None


def _is_saturated(deployment: KubeObject, new: KubeObject) -> bool:
    wanted = replicas(deployment)
    return replicas(new) == annotated(new, DESIRED) == counted([new], "availableReplicas") == wanted


def _proportional(deployment: KubeObject, active: Sequence[KubeObject]) -> list[Scale]:
    """Share what is added or taken by the sizes of the sets; the largest takes what rounding leaves."""
    wanted = replicas(deployment)
    allowed = wanted + max_surge(deployment) if wanted else 0
    to_add = allowed - total(active)
    by_size = sorted(active, key=lambda rs: (replicas(rs), rs["metadata"]["creationTimestamp"]), reverse=True)
    added = 0
    result = []
    for rs in by_size:
        before = annotated(rs, MAXIMUM) or total(active)
        share = round(replicas(rs) * allowed / before) - replicas(rs) if to_add else 0
        left = to_add - added
        share = min(max(share, 0), left) if to_add > 0 else max(min(share, 0), left)
        added += share
        result.append(Scale(rs, max(0, replicas(rs) + share)))
    first = result[0]
    result[0] = Scale(first.replica_set, max(0, first.replicas + to_add - added))
    return result
