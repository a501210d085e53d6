"""What the node writes down about a pod, so that ``kill -9`` loses no restart count and leaves no orphan.

One JSON file for each pod, replaced as a whole. The first field is the version of the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from keyless.api import Permanent
from keyless.local.node.model import ContainerRun, Exited, Running, Waiting

VERSION = 1
FILE = "record.json"
_STATES = {"waiting": Waiting, "running": Running, "exited": Exited}
LOST_CODE = 255
"""What a kubelet reports for a container whose end nobody saw."""


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod as last known."""

    uid: str
    pod_ip: str
    started_at: datetime
    runs: Mapping[str, ContainerRun] = field(default_factory=dict)


def save(folder: Path, record: PodRecord) -> None:
    """Write the record into the pod's folder."""
    runs = {name: _run_out(run) for name, run in record.runs.items()}
    content = {
        "version": VERSION,
        "uid": record.uid,
        "podIP": record.pod_ip,
        "startedAt": record.started_at,
        "runs": runs,
    }
    partial = folder / f"{FILE}.partial"
    partial.write_text(json.dumps(content, default=_time_out), encoding="utf-8")
    partial.replace(folder / FILE)


def load(folder: Path) -> PodRecord | None:
    """The record in the pod's folder; None where there is none."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None  # the pod was never started, or the disk was full in the middle: it starts anew
    if content["version"] > VERSION:
        raise Permanent(f"{folder / FILE}: expected version {VERSION} or older, found {content['version']}")
    runs = {name: _run_in(run) for name, run in content["runs"].items()}
    return PodRecord(content["uid"], content["podIP"], datetime.fromisoformat(content["startedAt"]), runs)


def after_a_crash(run: ContainerRun, now: datetime) -> ContainerRun:
    """The run of a container whose node went away: a process that was running counts as lost, and starts at once."""
    settled = replace(run, retry_at=None, ready=False, started=False, unhealthy="", stopping=False)
    if not isinstance(run.state, Running):
        return settled
    lost = Exited(LOST_CODE, "Unknown", run.state.started_at, now, container_id=run.container_id)
    return replace(settled, state=lost, crashes=0)


def _run_out(run: ContainerRun) -> dict[str, Any]:
    return {**asdict(run), "state": _state_out(run.state), "last": _state_out(run.last) if run.last else None}


def _state_out(state: Waiting | Running | Exited) -> dict[str, Any]:
    kind = next(name for name, cls in _STATES.items() if isinstance(state, cls))
    return {"kind": kind, **asdict(state)}


def _run_in(content: dict[str, Any]) -> ContainerRun:
    last = _state_in(content["last"]) if content["last"] else None
    fields = {**content, "state": _state_in(content["state"]), "last": last}
    fields["retry_at"] = datetime.fromisoformat(content["retry_at"]) if content["retry_at"] else None
    return ContainerRun(**fields)


def _state_in(content: dict[str, Any]) -> Any:
    fields = {key: value for key, value in content.items() if key != "kind"}
    for key in ("started_at", "finished_at"):
        if key in fields:
            fields[key] = datetime.fromisoformat(fields[key])
    return _STATES[content["kind"]](**fields)


def _time_out(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot write {type(value).__name__}")
