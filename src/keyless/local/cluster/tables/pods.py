"""The row of a pod: readiness, the one word for its state, restarts.

The word is the phase unless something tells more: a waiting or failed container, an init container at work, deletion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.local.cluster.tables.ages import moment, since

FINISHED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


@dataclass(slots=True)
class _Tally:
    """What is counted while the containers are looked at."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last: str = ""

    def count(self, status: Mapping[str, Any]) -> None:
        self.restarts += status.get("restartCount", 0)
        finished = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, finished)


def row_conditions(pod: Mapping[str, Any]) -> list[dict[str, str]] | None:
    """kubectl greys finished pods by this."""
    phase = (pod.get("status") or {}).get("phase", "")
    if phase not in FINISHED:
        return None
    return [{"type": "Completed", "status": "True", "reason": phase, "message": FINISHED[phase]}]


def pod_cells(pod: Mapping[str, Any], now: datetime) -> list[Any]:
    """Name, ready, status, restarts, age; then IP, node, nominated node, readiness gates."""
    spec, status, metadata = pod.get("spec") or {}, pod.get("status") or {}, pod["metadata"]
    tally, total = _look(pod)
    restarts = str(tally.restarts)
    if tally.restarts and moment(tally.last):
        restarts = f"{tally.restarts} ({since(tally.last, now)} ago)"
    addresses = [entry.get("ip", "") for entry in status.get("podIPs") or ()]
    return [
        metadata.get("name", ""),
        f"{tally.ready}/{total}",
        _word(pod, tally.reason),
        restarts,
        since(metadata.get("creationTimestamp"), now),
        (addresses[0] if addresses else "") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        _gates(spec, status),
    ]


def _look(pod: Mapping[str, Any]) -> tuple[_Tally, int]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {
        container.get("name")
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    reason = status.get("reason") or status.get("phase", "")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    everything, lasting = _Tally(reason), _Tally(reason)
    initializing = _init_containers(status, spec, sidecars, everything, lasting)
    total = len(spec.get("containers") or ()) + len(sidecars)
    if initializing and not _true(status, "Initialized"):
        return everything, total
    lasting.reason, lasting.ready = everything.reason, everything.ready
    _containers(status, lasting)
    return lasting, total


def _init_containers(
    status: Mapping[str, Any], spec: Mapping[str, Any], sidecars: set[Any], everything: _Tally, lasting: _Tally
) -> bool:
    """Look at the init containers up to the first that is not done; answers whether there is one."""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        everything.count(container)
        sidecar = container.get("name") in sidecars
        if sidecar:
            lasting.count(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if sidecar and container.get("started"):
            everything.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            everything.reason = f"Init:{terminated.get('reason') or _exit(terminated)}"
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            everything.reason = f"Init:{waiting['reason']}"
        else:
            everything.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return True
    return False


def _containers(status: Mapping[str, Any], tally: _Tally) -> None:
    running = False
    # The first container has the last word.
    for container in reversed(status.get("containerStatuses") or []):
        tally.count(container)
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            tally.reason = waiting["reason"]
        elif terminated is not None:
            tally.reason = terminated.get("reason") or _exit(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed" and running:
        tally.reason = "Running" if _true(status, "Ready") else "NotReady"


def _word(pod: Mapping[str, Any], reason: str) -> str:
    status = pod.get("status") or {}
    if not pod["metadata"].get("deletionTimestamp"):
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in FINISHED else "Terminating"


def _exit(terminated: Mapping[str, Any]) -> str:
    signal = terminated.get("signal", 0)
    return f"Signal:{signal}" if signal else f"ExitCode:{terminated.get('exitCode', 0)}"


def _true(status: Mapping[str, Any], kind: str) -> bool:
    return any(
        condition.get("type") == kind and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )


def _gates(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    gates = spec.get("readinessGates") or []
    if not gates:
        return "<none>"
    return f"{sum(_true(status, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"
