"""A control plane's row of ``status.rotation``: which versions it holds, whether it does well with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from keyless.api import Reason
from keyless.kube import KubeObject, condition_of, is_true, set_condition, timestamp
from keyless.shared_secrets.staging.plan import Staging, held_of, is_new, revision_of, waits_for

ROTATED = "Rotated"
ALL_HELD = "it holds what the provider offers"
UNKNOWN = "what it holds carries no version that can be compared (or differs between namespaces): nothing is held back"


def row_of(
    staging: Staging,
    me: str,
    external_secrets: Sequence[KubeObject],
    shared: KubeObject,
    workloads: Iterable[str],
    now: datetime,
) -> KubeObject:
    """Return this control plane's row; ``workloads`` says which of them are not ready, and why."""
    status = shared.get("status") or {}
    rows = {row["controlPlane"]: row for row in status.get("rotation") or ()}
    before: KubeObject = rows.get(me, {})
    revision = _revision(external_secrets)
    since = before.get("since") if before.get("revision") == revision else None
    row: KubeObject = {"controlPlane": me, "revision": revision, "since": since or timestamp(now)}
    troubles = [f"ExternalSecret {_where(one)}" for one in external_secrets if not is_true(one, "Ready")]
    troubles += workloads
    row["ready"] = bool(revision) and not troubles
    if row["ready"]:
        row["readySince"] = (before.get("readySince") if before.get("ready") and since else None) or timestamp(now)
    elif troubles:
        row["message"] = "; ".join(troubles)[:500]
    said = _condition(staging, me, external_secrets, shared, {**rows, me: row}, now)
    row["conditions"] = _told(before.get("conditions"), staging, *said, now=now)
    return row


def _told(before: Any, staging: Staging, status: str, reason: str, message: str, *, now: datetime) -> list[KubeObject]:
    old = condition_of(before, ROTATED)
    # The word changes and the time does not: since when it waits is told by the transition.
    if reason == Reason.WAITING_FOR_STAGE and old and old.get("status") == status:
        since = datetime.fromisoformat(old["lastTransitionTime"])
        if now - since >= timedelta(seconds=staging.stuck_seconds):
            reason = Reason.ROTATION_STUCK
    return set_condition(before, ROTATED, status, reason, message, now=now)


def _condition(
    staging: Staging,
    me: str,
    external_secrets: Sequence[KubeObject],
    shared: KubeObject,
    rows: Mapping[str, KubeObject],
    now: datetime,
) -> tuple[str, str, str]:
    mine = rows[me]
    for one in external_secrets:
        sources = (one.get("status") or {}).get("sources")
        held, offered = held_of(sources), held_of(sources, offered=True)
        if held and offered and is_new(held, offered):
            waits = waits_for(staging, me, planes_of(shared), rows, revision_of(offered), now)
            text = waits.message if waits else "it may take what is offered, and reads it"
            return "False", Reason.WAITING_FOR_STAGE, text
    if not mine["revision"]:
        return "Unknown", Reason.REVISION_UNKNOWN, UNKNOWN
    if not mine["ready"]:
        return "False", Reason.WORKLOADS_NOT_READY, str(mine.get("message", ""))
    return "True", Reason.ROTATION_COMPLETE, ALL_HELD


def planes_of(shared: KubeObject) -> list[str]:
    """Return the control planes that have the shared secret: one that says what it holds is one of them already."""
    status = shared.get("status") or {}
    return sorted({row["controlPlane"] for field in ("provisioned", "rotation") for row in status.get(field) or ()})


def _revision(external_secrets: Iterable[KubeObject]) -> str:
    found = {_held_revision(one) for one in external_secrets}
    return found.pop() if len(found) == 1 else ""


def _held_revision(external_secret: KubeObject) -> str:
    held = held_of((external_secret.get("status") or {}).get("sources"))
    return revision_of(held) if held else ""


def _where(obj: KubeObject) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def unready(workload: KubeObject, kind: str) -> str:
    """Return why a Deployment, StatefulSet or DaemonSet does not run as its spec says; empty: it does."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    where = f"{kind} {_where(workload)}"
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return f"{where}: its last change was not seen yet"
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        have = min(status.get("numberAvailable", 0), status.get("updatedNumberScheduled", 0))
    else:
        wanted = 1 if spec.get("replicas") is None else spec["replicas"]
        have = min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
    return f"{where}: {have} of {wanted} available" if have < wanted else ""


def uses(workload: KubeObject, secret: str) -> bool:
    """Return whether its pods name the Secret."""
    pod = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return secret in set(_named(pod))


def _named(pod: KubeObject) -> Iterator[str]:
    yield from (one.get("name", "") for one in pod.get("imagePullSecrets") or ())
    for volume in pod.get("volumes") or ():
        yield (volume.get("secret") or {}).get("secretName", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield (source.get("secret") or {}).get("name", "")
    for container in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ())):
        yield from ((one.get("secretRef") or {}).get("name", "") for one in container.get("envFrom") or ())
        for variable in container.get("env") or ():
            yield ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name", "")
