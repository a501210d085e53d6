"""Decide what a Deployment does next. Pure.

One pass yields at most one kind of move: make the new ReplicaSet, bring it up to date, scale, or clean up. What
follows is decided again from what is then there, so a plan that was interrupted anywhere is simply continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keyless.kube import KubeObject, condition_of
from keyless.kube.resources import DEPLOYMENTS, REPLICASETS
from keyless.local.cluster.controllers.deployment.model import (
    REVISION,
    REVISION_HISTORY,
    Scale,
    Sets,
    copied_annotations,
    is_rolling,
    replicas,
    revision,
    sets_of,
    size_annotations,
)
from keyless.local.cluster.controllers.deployment.rollout import new_replicas, rescale, roll_down, was_scaled
from keyless.local.cluster.controllers.deployment.status import (
    Said,
    availability,
    counts,
    failure,
    is_complete,
    progress,
    with_condition,
)
from keyless.local.cluster.controllers.owners import controller_reference, is_leaving
from keyless.local.cluster.controllers.pods import HASH_LABEL, is_active, template_hash

_HISTORY = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order: annotate, create, scale, delete; then the status."""

    sets: Sets
    annotate_set: dict[str, str]
    annotate_deployment: dict[str, str]
    create: KubeObject | None = None
    scale: tuple[Scale, ...] = ()
    delete: tuple[KubeObject, ...] = ()
    progressing: Said | None = None


def plan(deployment: KubeObject, replica_sets: Sequence[KubeObject], pods: Sequence[KubeObject]) -> Plan:
    """The next moves; ``pods`` are all of the namespace, for Recreate waits for the old ones to be gone."""
    sets = sets_of(deployment, replica_sets)
    if is_leaving(deployment):
        return Plan(sets, {}, {})
    number = str(_revision(sets))
    ours, theirs = _annotations(deployment, sets, number)
    paused = bool(deployment["spec"].get("paused"))
    if paused or (is_rolling(deployment) and was_scaled(deployment, sets)):
        return Plan(
            sets, ours if not paused else {}, {}, scale=tuple(rescale(deployment, sets)), progressing=_pause(deployment)
        )
    moves = _rolling(deployment, sets) if is_rolling(deployment) else _recreate(deployment, sets, pods)
    create = moves is None
    return Plan(
        sets,
        ours,
        theirs,
        create=_new_set(deployment, sets, number) if create else None,
        scale=tuple(moves or ()),
        delete=() if moves is None or moves else _outlived(deployment, sets),
        progressing=_found(deployment, sets) or _pause(deployment),
    )


def status(deployment: KubeObject, sets: Sets, said: Said | None, collisions: int | None, now: datetime) -> KubeObject:
    """The status; ``said`` is what this pass itself has to say about Progressing."""
    new = counts(deployment, sets, collisions)
    conditions = list((deployment.get("status") or {}).get("conditions") or ())
    conditions = with_condition(conditions, "Available", availability(deployment, new), now)
    if deployment["spec"].get("progressDeadlineSeconds", 600) is None:
        conditions = [one for one in conditions if one["type"] != "Progressing"]
    elif said := said or (None if deployment["spec"].get("paused") else progress(deployment, sets, new, now)):
        conditions = with_condition(conditions, "Progressing", said, now)
    broken = failure(sets)
    if broken:
        conditions = with_condition(conditions, "ReplicaFailure", broken, now)
    else:
        conditions = [one for one in conditions if one["type"] != "ReplicaFailure"]
    return {**new, "conditions": conditions}


def _revision(sets: Sets) -> int:
    """One more than any old one had; going back to an old template makes it the newest again."""
    highest = max((revision(rs) for rs in sets.old), default=0)
    return max(highest + 1, revision(sets.new) if sets.new else 0)


def _annotations(deployment: KubeObject, sets: Sets, number: str) -> tuple[dict[str, str], dict[str, str]]:
    """What the new ReplicaSet and the Deployment still lack."""
    if sets.new is None:
        return {}, {}
    wanted = {**copied_annotations(deployment), REVISION: number}
    before = revision(sets.new)
    if before and str(before) != number:
        history = (sets.new["metadata"].get("annotations") or {}).get(REVISION_HISTORY, "")
        wanted[REVISION_HISTORY] = f"{history},{before}" if history else str(before)
    return _lacking(sets.new, wanted), _lacking(deployment, {REVISION: number})


def _lacking(obj: KubeObject, wanted: dict[str, str]) -> dict[str, str]:
    have = obj["metadata"].get("annotations") or {}
    return {key: value for key, value in wanted.items() if have.get(key) != value}


def _rolling(deployment: KubeObject, sets: Sets) -> list[Scale] | None:
    """The next scale steps, or None to create the new ReplicaSet first."""
    if sets.new is None:
        return None
    target = new_replicas(deployment, sets.old, replicas(sets.new))
    if target != replicas(sets.new):
        return [Scale(sets.new, target)]
    return roll_down(deployment, sets)


def _recreate(deployment: KubeObject, sets: Sets, pods: Sequence[KubeObject]) -> list[Scale] | None:
    """All old pods go, and are gone, before the first new one comes: they may share a volume."""
    down = [Scale(rs, 0) for rs in sets.old if replicas(rs)]
    if down or (_old_pods_remain(sets, pods) and (sets.new is None or not replicas(sets.new))):
        return down
    if sets.new is None:
        return None
    wanted = replicas(deployment)
    return [Scale(sets.new, wanted)] if replicas(sets.new) != wanted else []


def _old_pods_remain(sets: Sets, pods: Sequence[KubeObject]) -> bool:
    """A pod that is on its way out still holds its volumes, hence it counts."""
    uids = {rs["metadata"]["uid"] for rs in sets.old}
    return any(
        any(ref["uid"] in uids for ref in pod["metadata"].get("ownerReferences") or ())
        for pod in pods
        if is_active(pod) or (is_leaving(pod) and (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"})
    )


def _new_set(deployment: KubeObject, sets: Sets, number: str) -> KubeObject:
    """The ReplicaSet for the present template."""
    spec, metadata = deployment["spec"], deployment["metadata"]
    hashed = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount"))
    template = spec["template"]
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: hashed}
    selector = spec["selector"]
    annotations = {**copied_annotations(deployment), REVISION: number, **size_annotations(deployment)}
    return {
        "metadata": {
            "name": f"{metadata['name']}-{hashed}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [controller_reference(deployment, DEPLOYMENTS)],
        },
        "spec": {
            "replicas": new_replicas(deployment, sets.old, 0),
            **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: hashed}},
            "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
        },
    }


def _outlived(deployment: KubeObject, sets: Sets) -> tuple[KubeObject, ...]:
    """Old ReplicaSets beyond the history limit, once the rollout is complete."""
    if not is_complete(deployment, counts(deployment, sets, None)):
        return ()
    limit = deployment["spec"].get("revisionHistoryLimit", _HISTORY)
    empty = [rs for rs in sets.old if not replicas(rs) and not (rs.get("status") or {}).get("replicas")]
    idle = sorted((rs for rs in empty if not is_leaving(rs)), key=revision)
    return tuple(idle[: max(0, len(sets.old) - int(limit))])


def _found(deployment: KubeObject, sets: Sets) -> Said | None:
    if sets.new is None or condition_of((deployment.get("status") or {}).get("conditions"), "Progressing"):
        return None
    return "True", "FoundNewReplicaSet", f'Found new {REPLICASETS.kind} "{sets.new["metadata"]["name"]}"'


def _pause(deployment: KubeObject) -> Said | None:
    """Pausing and resuming stop and start the deadline's clock."""
    condition = condition_of((deployment.get("status") or {}).get("conditions"), "Progressing")
    paused = bool(deployment["spec"].get("paused"))
    was_paused = condition is not None and condition["reason"] == "DeploymentPaused"
    if paused and not was_paused and not (condition and condition["reason"] == "ProgressDeadlineExceeded"):
        return "Unknown", "DeploymentPaused", "Deployment is paused"
    if was_paused and not paused:
        return "Unknown", "DeploymentResumed", "Deployment is resumed"
    return None
