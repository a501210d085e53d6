"""Taking a control plane away. Pure.

First the components are flushed, with their identity still there; then what they stood on goes, then the API and the
host namespace. Each wait has an end: what does not go in time is named in an event and left to Kubernetes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.kube.resources import NAMESPACES
from keyless.space import components
from keyless.space.control_planes.model import (
    FINALIZER,
    MADE_HERE,
    Facts,
    Finding,
    Plan,
    Remove,
    SetFinalizers,
    Step,
    Tell,
    logical_cluster_key,
)
from keyless.space.control_planes.workloads import end_pods
from keyless.space.items import CONTROL_PLANE_LABEL, Key
from keyless.space.place import Place

LIMIT = timedelta(seconds=60)
"""How long the API and the namespace may each take to go."""


def leave(facts: Facts) -> Plan:
    """The next steps of a deleted control plane; the last one lets it go."""
    place = facts.place
    if FINALIZER not in (facts.control_plane["metadata"].get("finalizers") or ()):
        return Plan()
    if place is None:
        return _let_go(facts)
    return _end_components(facts, place) or _remove_remains(facts, place) or _remove_places(facts, place)


def _end_components(facts: Facts, place: Place) -> Plan | None:
    plans = {name: plan for name in components.NAMES if (plan := end_pods(facts, place, name)) is not None}
    if not plans:
        return None
    steps = tuple(step for plan in plans.values() for step in plan.steps)
    return Plan(steps, _deleting(f"waiting for {' and '.join(plans)} to store what they hold and end"), 0.5)


def _remove_remains(facts: Facts, place: Place) -> Plan | None:
    keys = [key for name in components.NAMES for key in components.remains(name, place)]
    due = [key for key in (*keys, components.volume_key(place)) if _exists(facts, key)]
    return Plan(tuple(Remove(key) for key in due), _deleting("removing the components")) if due else None


def _remove_places(facts: Facts, place: Place) -> Plan:
    """The API, then the namespace; both at once would cost nothing but a clear message."""
    stuck: list[Step] = []
    for key in (logical_cluster_key(place), Key(NAMESPACES, place.host_namespace)):
        live = facts.host.get(key)
        if live is None or not _goes(facts, live, place, key):
            continue
        if not live["metadata"].get("deletionTimestamp"):
            return Plan((*stuck, Remove(key)), _deleting(f"removing {key}"))
        if not _late(live, facts.now):
            return Plan(tuple(stuck), _deleting(f"waiting for {key} to go"), 0.5)
        stuck.append(Tell(Reason.DELETION_TIMED_OUT, f"{key} is still there; it is no longer waited for"))
    return _let_go(facts, *stuck)


def _goes(facts: Facts, live: KubeObject, place: Place, key: Key) -> bool:
    """Only what was made for this control plane; a namespace that was there before stays."""
    metadata = live["metadata"]
    if (metadata.get("labels") or {}).get(CONTROL_PLANE_LABEL) != place.control_plane_id:
        return False
    if key.resource != NAMESPACES:
        return True
    kept = (facts.spec.get("hostNamespace") or {}).get("deletionPolicy") == "Orphan"
    return MADE_HERE in (metadata.get("annotations") or {}) and not kept


def _exists(facts: Facts, key: Key) -> bool:
    live = facts.host.get(key)
    return live is not None and not live["metadata"].get("deletionTimestamp")


def _late(live: KubeObject, now: datetime) -> bool:
    return now > datetime.fromisoformat(live["metadata"]["deletionTimestamp"]) + LIMIT


def _let_go(facts: Facts, *before: Step) -> Plan:
    finalizers = facts.control_plane["metadata"].get("finalizers") or ()
    rest = tuple(each for each in finalizers if each != FINALIZER)
    return Plan((*before, SetFinalizers(rest)), _deleting("removed"))


def _deleting(message: str) -> tuple[Finding, ...]:
    return (Finding("Ready", False, Reason.DELETING, message),)
