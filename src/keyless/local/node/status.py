"""The status of a pod, as a kubelet writes it. Pure.

Phases and conditions: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from keyless.kube import KubeObject, condition_of, set_condition, timestamp
from keyless.local.node import plan
from keyless.local.node.model import (
    ContainerRun,
    Exited,
    PodFacts,
    Running,
    Waiting,
    containers,
    init_containers,
    is_sidecar,
)

_OWN = ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")


def pod_status(
    facts: PodFacts, *, pod_ip: str, host_ip: str, started_at: datetime, written: KubeObject | None = None
) -> KubeObject:
    """The whole status; conditions that others wrote are kept.

    ``written``: the status that the node wrote last. The pod comes from a watch and may be older than that; times
    taken from it would be written back, seen late again, and so on for ever.
    """
    pod = facts.pod
    inits = [(c, facts.run(c)) for c in init_containers(pod)]
    mains = [(c, facts.run(c)) for c in containers(pod)]
    status: KubeObject = {
        "phase": phase(facts),
        "conditions": _conditions(facts, _newest(facts.pod, written)),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": timestamp(started_at),
        "qosClass": qos_class(pod),
        "containerStatuses": [_container_status(c, run, is_ready=run.ready) for c, run in mains],
    }
    if inits:
        status["initContainerStatuses"] = [
            _container_status(c, run, is_ready=run.ready if is_sidecar(c) else plan.has_passed(facts, c))
            for c, run in inits
        ]
    return status


def phase(facts: PodFacts) -> str:
    """Pending, Running, Succeeded or Failed."""
    if any(plan.init_has_failed(facts, init) for init in init_containers(facts.pod)):
        return "Failed"
    if not all(plan.has_passed(facts, init) or _has_run(facts, init) for init in init_containers(facts.pod)):
        return "Pending"
    if plan.is_finished(facts):
        states = [facts.run(c).state for c in containers(facts.pod)]
        return "Succeeded" if all(isinstance(s, Exited) and s.code == 0 for s in states) else "Failed"
    if any(not _has_run(facts, c) for c in containers(facts.pod)):
        return "Pending"
    return "Running"


def qos_class(pod: KubeObject) -> str:
    """BestEffort, Guaranteed or Burstable, from requests and limits."""
    every = [c.get("resources") or {} for c in (*init_containers(pod), *containers(pod))]
    if not any(r.get("requests") or r.get("limits") for r in every):
        return "BestEffort"
    return "Guaranteed" if all(_is_guaranteed(r) for r in every) else "Burstable"


def _is_guaranteed(resources: Mapping[str, Any]) -> bool:
    limits = resources.get("limits") or {}
    requests = {**limits, **(resources.get("requests") or {})}
    return all(limits.get(name) is not None and requests[name] == limits[name] for name in ("cpu", "memory"))


def _has_run(facts: PodFacts, container: Mapping[str, Any]) -> bool:
    run = facts.run(container)
    return not isinstance(run.state, Waiting) or run.last is not None


def _newest(pod: KubeObject, written: KubeObject | None) -> list[KubeObject]:
    """The conditions as they are: the node's own as it wrote them, others as the pod has them."""
    own = {c["type"]: c for c in (written or {}).get("conditions", ()) if c["type"] in _OWN}
    found = (pod.get("status") or {}).get("conditions") or ()
    kept = [own.pop(condition["type"], condition) for condition in found]
    return [*kept, *own.values()]


def _conditions(facts: PodFacts, found: Sequence[KubeObject]) -> list[KubeObject]:
    pod, now = facts.pod, facts.now
    is_over = phase(facts) in {"Succeeded", "Failed"}
    initialized = all(plan.has_passed(facts, init) for init in init_containers(pod))
    unready = [c["name"] for c in containers(pod) if not facts.run(c).ready]
    not_ready = (
        ("PodCompleted", "") if is_over else ("ContainersNotReady", _unready("containers with unready", unready))
    )
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    closed = [gate for gate in gates if (condition_of(found, gate) or {}).get("status") != "True"]
    has_started = any(run.attempts for run in facts.runs.values())

    wanted = [
        ("PodScheduled", True, "", ""),
        ("PodReadyToStartContainers", has_started and not is_over, "", ""),
        ("Initialized", initialized, *(("", "") if initialized else _uninitialized(facts))),
        ("ContainersReady", not unready, *(not_ready if unready else ("", ""))),
        ("Ready", not unready and not closed, *_ready_reason(not_ready if unready else None, closed)),
    ]
    conditions = list(found)
    for kind, holds, reason, message in wanted:
        conditions = set_condition(conditions, kind, holds, reason, message, now=now)
    return [_tidy(condition) for condition in conditions]


def _ready_reason(not_ready: tuple[str, str] | None, closed: Sequence[str]) -> tuple[str, str]:
    if not_ready:
        return not_ready
    return ("ReadinessGatesNotReady", _unready("readiness gates not ready", closed)) if closed else ("", "")


def _uninitialized(facts: PodFacts) -> tuple[str, str]:
    waiting = [c["name"] for c in init_containers(facts.pod) if not plan.has_passed(facts, c)]
    return "ContainersNotInitialized", _unready("containers with incomplete", waiting)


def _unready(what: str, names: Sequence[str]) -> str:
    status = " status" if what.startswith("containers") else ""
    return f"{what}{status}: [{' '.join(names)}]"


def _tidy(condition: KubeObject) -> KubeObject:
    """Kubelets leave an empty reason and message out and write a null probe time."""
    kept = {key: value for key, value in condition.items() if value != ""}
    return {"lastProbeTime": None, **kept}


def _container_status(container: Mapping[str, Any], run: ContainerRun, *, is_ready: bool) -> KubeObject:
    status: KubeObject = {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"local://{container['image']}" if run.attempts else "",
        "ready": is_ready,
        "started": run.is_running and run.started,
        "restartCount": run.restarts,
        "state": _state(run.state),
        "lastState": _state(run.last) if run.last else {},
    }
    if run.container_id:
        status["containerID"] = f"process://{run.container_id}"
    return status


def _state(state: Waiting | Running | Exited) -> KubeObject:
    if isinstance(state, Waiting):
        return {"waiting": {"reason": state.reason, **({"message": state.message} if state.message else {})}}
    if isinstance(state, Running):
        return {"running": {"startedAt": timestamp(state.started_at)}}
    terminated: KubeObject = {
        "exitCode": state.code,
        "reason": state.reason,
        "startedAt": timestamp(state.started_at),
        "finishedAt": timestamp(state.finished_at),
    }
    if state.signal:
        terminated["signal"] = state.signal
    if state.message:
        terminated["message"] = state.message
    if state.container_id:
        terminated["containerID"] = f"process://{state.container_id}"
    return {"terminated": terminated}
