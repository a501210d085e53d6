"""Taking a control plane away. Pure.

First the components are flushed, with their identity still there; then what they stood on goes, then the API and the
host namespace. A collector that is refused by its bucket is given a while more, for what it holds goes with it. Each
wait has an end: what does not go in time is named in an event and left to Kubernetes.

An ``attached`` API outlives its control plane: our identities in it and their namespace go, cluster-admin's binding
among them. Definitions of External Secrets stay, for with them would go every object that users made of them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, condition_of, timestamp
from keyless.kube.resources import CLUSTERROLEBINDINGS, NAMESPACES
from keyless.space import components
from keyless.space.components import VECTOR, deployment_key
from keyless.space.control_planes import belonging, beside, copies, network, own, pausing, protection, tenant
from keyless.space.control_planes.api import api_of
from keyless.space.control_planes.model import (
    API,
    FINALIZER,
    MADE_HERE,
    Facts,
    Finding,
    Plan,
    Remove,
    Served,
    SetFinalizers,
    Step,
    Tell,
    logical_cluster_key,
    own_key,
    way_of,
)
from keyless.space.control_planes.workloads import CONDITIONS, end_pods, retire
from keyless.space.items import CONTROL_PLANE_LABEL, Key, is_ours
from keyless.space.kubernetes.names import keys_key, workload_key
from keyless.space.place import Place

LIMIT = timedelta(seconds=60)
"""How long the API and the namespace may each take to go."""
FLUSH_LIMIT = timedelta(seconds=60)
"""How long usage that is refused is waited for: time to mend a policy, before what holds it goes."""
INSIDE_LIMIT = timedelta(seconds=180)
"""How long after the deletion an attached API may be silent: longer than the components before it may take."""


def leave(facts: Facts) -> Plan:
    """The next steps of a deleted control plane; the last one lets it go."""
    place = facts.place
    if FINALIZER not in (facts.control_plane["metadata"].get("finalizers") or ()):
        return Plan()
    if place is None:
        return _let_go(facts)
    if (unmark := protection.mark(facts, place, on=False)) is not None:
        return Plan((unmark,), _deleting("taking the protection off the host namespace"))
    refused = _refused(facts)
    plan = (
        _wait_for_usage(facts, place, refused)
        or _end_components(facts, place, refused, components.INSIDE)
        or _end_components(facts, place, refused, (components.BACKUP,))
        or _remove_remains(facts, place)
        or _remove_inside(facts, place)
        or _remove_places(facts, place)
    )
    return plan if refused is None else replace(plan, findings=(*plan.findings, _unflushed(facts, refused)))


def release(facts: Facts) -> Plan:
    """The next steps of a control plane whose operator goes for good: it stays, and can be deleted by anybody.

    Its components go, with their rights; a volume stays that holds what could not be stored. The API that the host
    serves for it stays as volumes do, for it holds its users' objects.
    """
    if facts.control_plane["metadata"].get("deletionTimestamp") and not protection.holds(facts):
        return leave(facts)
    if FINALIZER not in (facts.control_plane["metadata"].get("finalizers") or ()):
        return Plan()
    place = facts.place
    if place is None:
        return _let_go(facts)
    if (unmark := protection.mark(facts, place, on=False)) is not None:
        return Plan(
            (unmark,), _deleting("the Space is being uninstalled: taking the protection off the host namespace")
        )
    parts = [*(retire(facts, place, name) for name in components.NAMES), beside.retire(facts, place)]
    steps = tuple(step for part in parts for step in part.steps)
    waits = [part.again_seconds for part in parts if part.again_seconds is not None]
    if steps or waits:
        return Plan(
            steps, _deleting("the Space is being uninstalled: removing the components"), min(waits, default=None)
        )
    return _release_inside(facts, place) or _release_places(facts, place)


def _release_inside(facts: Facts, place: Place) -> Plan | None:
    """What is ours in an API that was brought; None once it is gone, or cannot be reached for a minute."""
    if way_of(facts) != "attached" or not isinstance(api_of(facts), Served):
        return None
    if facts.tenant is None:
        late = facts.waited_seconds.get(API, 0.0) >= LIMIT.total_seconds()
        return None if late else Plan((), _deleting(f"waiting for its API: {facts.trouble}"), 1.0)
    steps = _empty_inside(facts, place)
    why = _deleting("the Space is being uninstalled: removing what the operator made inside")
    return Plan(steps, why) if steps else None


def _release_places(facts: Facts, place: Place) -> Plan:
    """The host namespace stays where it holds a volume or belongs to an API that stays."""
    key = Key(NAMESPACES, place.host_namespace)
    live = facts.host.get(key)
    before: list[Step] = [*_left_inside(facts)]
    holds = (components.volume_key(place), logical_cluster_key(place), workload_key(place), keys_key(place))
    empty = not any(_exists(facts, each) for each in holds)
    before += [Remove(policy) for policy in network.existing(facts, place)]
    if live is not None and empty and _goes(facts, live, place, key):
        before.append(Remove(key))
    elif _exists(facts, own_key(place)):
        before.append(Remove(own_key(place)))
    return _let_go(facts, *before)


def _refused(facts: Facts) -> KubeObject | None:
    """What the collector says of usage that it could not store."""
    stored = condition_of(facts.status.get("conditions"), CONDITIONS[VECTOR][0])
    return stored if stored is not None and stored.get("status") == "False" else None


def _flush_until(facts: Facts) -> datetime:
    return datetime.fromisoformat(facts.control_plane["metadata"]["deletionTimestamp"]) + FLUSH_LIMIT


def _wait_for_usage(facts: Facts, place: Place, refused: KubeObject | None) -> Plan | None:
    if refused is None or facts.now >= _flush_until(facts) or not _exists(facts, deployment_key(VECTOR, place)):
        return None
    return Plan((), _deleting("waiting for usage to be stored (see UsageFlushed)"), 1.0)


def _unflushed(facts: Facts, refused: KubeObject) -> Finding:
    until, said = _flush_until(facts), refused.get("message", "")
    ends = "it is waited for until" if facts.now < until else "it was given up at"
    message = (
        f"{refused.get('reason', '')}: {said}; {ends} {timestamp(until)}, then the collector goes with its identity"
    )
    return Finding("UsageFlushed", False, Reason.USAGE_NOT_FLUSHED, message)


def _end_components(facts: Facts, place: Place, refused: KubeObject | None, names: tuple[str, ...]) -> Plan | None:
    plans = {name: plan for name in names if (plan := end_pods(facts, place, name)) is not None}
    if not plans:
        return None
    steps = tuple(step for plan in plans.values() for step in plan.steps)
    if refused is not None and Remove(deployment_key(VECTOR, place), with_dependents=True) in steps:
        steps = (Tell(Reason.USAGE_NOT_FLUSHED, _unflushed(facts, refused).message), *steps)
    return Plan(steps, _deleting(f"waiting for {' and '.join(plans)} to store what they hold and end"), 0.5)


def _remove_remains(facts: Facts, place: Place) -> Plan | None:
    keys = [key for name in components.NAMES for key in components.remains(name, place)]
    left = (*keys, components.volume_key(place), *copies.existing(facts, place), *network.existing(facts, place))
    left += beside.left_on_host(facts, place)
    due = [key for key in left if _exists(facts, key)]
    told: tuple[Tell, ...] = _unsaved(facts) if components.account_key(components.BACKUP, place) in due else ()
    if components.volume_key(place) in due:
        told += pausing.lost_at_deletion(facts, place)
    return Plan((*told, *(Remove(key) for key in due)), _deleting("removing the components")) if due else None


def _unsaved(facts: Facts) -> tuple[Tell, ...]:
    """Said once: that the last snapshot is missing, and which one there is."""
    stored = facts.status.get("backup") or {}
    if stored.get("takenAt", "") >= _last_change(facts):
        return ()
    said = condition_of(facts.status.get("conditions"), CONDITIONS[components.BACKUP][0]) or {}
    last = f"the last one is {stored['snapshot']}" if stored.get("snapshot") else "there is none"
    message = f"no snapshot of what was deleted could be stored: {last}; {said.get('message', '')}".rstrip("; ")
    return (Tell(Reason.SNAPSHOT_NOT_STORED, message),)


def _last_change(facts: Facts) -> str:
    """From when on a snapshot holds all that there is: the deletion, or the pause, after which nothing was written."""
    paused = pausing.since(facts)
    if paused is not None:
        return timestamp(paused - pausing.LAST_SNAPSHOT)
    return str(facts.control_plane["metadata"]["deletionTimestamp"])


def _inside_keys(facts: Facts) -> tuple[Key, ...]:
    """All that the operator makes inside and takes away, rights before the accounts that hold them."""
    names = (tenant.CONNECTION, *components.NAMES)
    return (
        *(key for name in names for key in tenant.identity_keys(name)),
        *(key for name in beside.names(facts.control_plane) for key in beside.inside_keys(name)),
        *tenant.operator_keys(),
        belonging.KEY,
    )


def _removable(facts: Facts) -> tuple[Key, ...]:
    """Of those, what may go: an account that removed its own rights could remove nothing more.

    So where only the narrow credential is left, its rights go with the namespace, which owns them.
    """
    if facts.entered is None or facts.entered.given:
        return _inside_keys(facts)
    return tuple(key for key in _inside_keys(facts) if key not in tenant.operator_keys())


def _remove_inside(facts: Facts, place: Place) -> Plan | None:
    """What is ours in an attached API; None once it is gone, or cannot be reached for too long."""
    if not _exists(facts, Key(NAMESPACES, place.host_namespace)):
        return None  # that comes after, and the credential went with it
    if way_of(facts) != "attached" or not isinstance(api_of(facts), Served):
        return None
    if facts.tenant is None:
        why = f": {facts.trouble}" if facts.trouble else ""
        waiting = _deleting(f"waiting for the control plane's API, to remove what the operator made inside{why}")
        return None if facts.now >= _inside_until(facts) else Plan((), waiting, 1.0)
    if steps := _empty_inside(facts, place):
        return Plan(steps, _deleting("removing what the operator made inside"))
    # The namespace is not waited for: what gave rights is gone, the rest is that API server's own work.
    return None


def _empty_inside(facts: Facts, place: Place) -> tuple[Step, ...]:
    """What takes away all that is this control plane's inside, and nothing of another that is attached there."""
    lives = {key: live for key in _removable(facts) if (live := (facts.tenant or {}).get(key)) is not None}
    due = [key for key, live in lives.items() if _goes_inside(live)]
    if not due:
        return ()
    hold = belonging.hold(facts, place)
    if hold is not None:
        # Where the mark was taken away from outside it is set first: another may be attached at this very moment.
        return () if isinstance(hold, Refusal) else (hold,)
    return tuple(Remove(key, "tenant") for key in due)


def _goes_inside(live: KubeObject) -> bool:
    return is_ours(live) and not live["metadata"].get("deletionTimestamp")


def _inside_until(facts: Facts) -> datetime:
    return datetime.fromisoformat(facts.control_plane["metadata"]["deletionTimestamp"]) + INSIDE_LIMIT


def _left_inside(facts: Facts) -> tuple[Tell, ...]:
    """Said once, when the control plane is let go without a look inside: rights that nobody takes away any more."""
    if way_of(facts) != "attached" or facts.tenant is not None:
        return ()
    bindings = " ".join(key.name for key in _inside_keys(facts) if key.resource == CLUSTERROLEBINDINGS)
    message = (
        "the control plane's API could not be entered, so what the operator made inside is left; there, "
        f"`kubectl delete --ignore-not-found clusterrolebinding {bindings}` and "
        f"`kubectl delete --ignore-not-found namespace {tenant.SYSTEM_NAMESPACE}` remove it"
    )
    return (Tell(Reason.DELETION_TIMED_OUT, message),)


def _remove_places(facts: Facts, place: Place) -> Plan:
    """The API, then the namespace; both at once would cost nothing but a clear message."""
    stuck: list[Step] = []
    namespace = Key(NAMESPACES, place.host_namespace)
    for key in (logical_cluster_key(place), namespace):
        if key == namespace and (due := own.remains(facts, place)):
            return Plan(tuple(Remove(each) for each in due), _deleting("removing the control plane's API"))
        live = facts.host.get(key)
        if live is None or not _goes(facts, live, place, key):
            continue
        if not live["metadata"].get("deletionTimestamp"):
            # With the namespace goes the credential: what is left inside is told before, or nobody knows it any more.
            left = _left_inside(facts) if key.resource == NAMESPACES else ()
            return Plan((*stuck, *left, Remove(key)), _deleting(f"removing {key}"))
        if not _late(live, facts.now):
            return Plan(tuple(stuck), _deleting(f"waiting for {key} to go"), 0.5)
        stuck.append(Tell(Reason.DELETION_TIMED_OUT, f"{key} is still there; it is no longer waited for"))
    if _stays(facts, place):
        narrow = (Remove(own_key(place)),) if _exists(facts, own_key(place)) else ()
        stuck += [*_left_inside(facts), *narrow]
    return _let_go(facts, *stuck)


def _stays(facts: Facts, place: Place) -> bool:
    """Whether the host namespace outlives its control plane."""
    key = Key(NAMESPACES, place.host_namespace)
    live = facts.host.get(key)
    return live is not None and not _goes(facts, live, place, key)


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
