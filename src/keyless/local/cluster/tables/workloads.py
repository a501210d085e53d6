"""The cells of the kinds that make pods: Deployments, ReplicaSets, DaemonSets, StatefulSets, Jobs and their kin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keyless.local.cluster.tables import text
from keyless.local.cluster.tables.ages import UNKNOWN, human, moment, since
from keyless.local.cluster.tables.text import NONE, UNSET, Cells, Object, age, parts


def _template(spec: Object) -> Object:
    found: Object = (spec.get("template") or {}).get("spec") or {}
    return found


def _deployment(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    return [
        name,
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(obj, now),
        *text.containers(_template(spec)),
        text.selector(spec.get("selector")),
    ]


def _replica_set(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    plain = obj.get("kind") == "ReplicationController"
    return [
        name,
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(obj, now),
        *text.containers(_template(spec)),
        text.labels(spec.get("selector")) if plain else text.selector(spec.get("selector")),
    ]


def _daemon_set(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    counts = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    return [
        name,
        *(status.get(count, 0) for count in counts),
        text.labels(_template(spec).get("nodeSelector")),
        age(obj, now),
        *text.containers(_template(spec)),
        text.selector(spec.get("selector")),
    ]


def _stateful_set(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name, ready, age(obj, now), *text.containers(_template(spec))]


def _job(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    done, wanted = status.get("succeeded", 0), spec.get("completions")
    parallel = spec.get("parallelism") or 0
    completions = (
        f"{done}/{wanted}" if wanted is not None else f"{done}/1" + (f" of {parallel}" if parallel > 1 else "")
    )
    start, end = moment(status.get("startTime")), moment(status.get("completionTime"))
    return [
        name,
        _job_state(obj, status),
        completions,
        human(((end or now) - start).total_seconds()) if start else "",
        age(obj, now),
        *text.containers(_template(spec)),
        text.selector(spec.get("selector")),
    ]


def _job_state(obj: Object, status: Object) -> str:
    true = {item.get("type") for item in status.get("conditions") or () if item.get("status") == "True"}
    for word in ("Complete", "Failed"):
        if word in true:
            return word
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for word in ("Suspended", "FailureTarget"):
        if word in true:
            return word
    return "Running"


def _cron_job(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    last = status.get("lastScheduleTime")
    return [
        name,
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(spec["suspend"]) if spec.get("suspend") is not None else UNSET,
        len(status.get("active") or ()),
        since(last, now) if last else NONE,
        age(obj, now),
        *text.containers(_template(job)),
        text.selector(job.get("selector")),
    ]


def _revision(obj: Object, now: datetime) -> list[Any]:
    owner = next((ref for ref in obj["metadata"].get("ownerReferences") or () if ref.get("controller")), None)
    shown = NONE
    if owner:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        shown = f"{owner.get('kind', '').lower()}{'.' + group if group else ''}/{owner.get('name', '')}"
    return [parts(obj)[0], shown, obj.get("revision", 0), age(obj, now)]


def _pod_template(obj: Object, now: datetime) -> list[Any]:  # noqa: ARG001 - a Cells function
    template = obj.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    return [parts(obj)[0], *text.containers(template.get("spec")), text.labels(labels)]


def _autoscaler(obj: Object, now: datetime) -> list[Any]:
    name, spec, status = parts(obj)
    target = spec.get("scaleTargetRef") or {}
    low = spec.get("minReplicas")
    # Nothing here measures, so no target has a current value.
    metrics = [_metric(metric.get("resource") or {}, metric.get("type", "")) for metric in spec.get("metrics") or ()]
    return [
        name,
        f"{target.get('kind', '')}/{target.get('name', '')}",
        ", ".join(metrics) or NONE,
        str(low) if low is not None else UNSET,
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(obj, now),
    ]


def _metric(resource: Object, kind: str) -> str:
    target = resource.get("target") or {}
    wanted = target.get("averageUtilization")
    goal = f"{wanted}%" if wanted is not None else target.get("averageValue", "")
    return f"{resource.get('name') or kind}: {UNKNOWN}{'/' + goal if goal else ''}"


WORKLOADS: Mapping[str, Cells] = {
    "/podtemplates": _pod_template,
    "/replicationcontrollers": _replica_set,
    "apps/controllerrevisions": _revision,
    "apps/daemonsets": _daemon_set,
    "apps/deployments": _deployment,
    "apps/replicasets": _replica_set,
    "apps/statefulsets": _stateful_set,
    "autoscaling/horizontalpodautoscalers": _autoscaler,
    "batch/cronjobs": _cron_job,
    "batch/jobs": _job,
}
