"""What to do next about one control plane. Pure: facts in, steps and findings out.

The way is always the same: finalizer and id, host namespace, API, what lies inside, components. Each part is planned
only when the facts show the one before it, so a plan can stop after any step and the next one goes on.
"""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Reason, Refusal
from keyless.kube import condition_of, is_true
from keyless.kube.resources import NAMESPACES
from keyless.space import components
from keyless.space.control_planes import (
    admins,
    attached,
    belonging,
    beside,
    copies,
    findings,
    holding,
    inside,
    network,
    own,
    passing,
    pausing,
    protection,
    renewal,
    restoring,
    room,
    rotation,
    workloads,
)
from keyless.space.control_planes.api import api_of, logical_cluster
from keyless.space.control_planes.leaving import leave
from keyless.space.control_planes.model import (
    API,
    FINALIZER,
    GROUP_LABEL,
    MADE_HERE,
    Claim,
    Create,
    Facts,
    Finding,
    Label,
    Pending,
    Plan,
    Served,
    SetFinalizers,
    Step,
    way_of,
)
from keyless.space.control_planes.renewal import TERMS, Terms
from keyless.space.items import CONTROL_PLANE_LABEL, FIELD_MANAGER, Key, item
from keyless.space.kubernetes.names import service_key
from keyless.space.place import Place

SOON_SECONDS = 0.5
UNREACHABLE_SECONDS = 5.0
UNAVAILABLE_SECONDS = 10.0
"""Pods are not watched: why one does not start is looked up again while it does not."""
PASSING_SECONDS = 15.0
"""An API that is silent for less may be restarting: its control plane is not called broken for that."""
SEEN_INSIDE = (Reason.DATA_LOST, Reason.STORAGE_FULL, Reason.ALREADY_ATTACHED)
"""Why a control plane is not ready although its API answers: only a look inside tells that it is no longer so."""
RESERVED = ("default", "kube-system", "kube-public", "kube-node-lease")


def plan(facts: Facts, terms: Terms = TERMS) -> Plan:
    """The next steps; without steps and ``again_seconds`` nothing is left to do. ``terms``: of its authorities."""
    if facts.control_plane["metadata"].get("deletionTimestamp") and not protection.holds(facts):
        return leave(facts)
    alive = _alive(facts, terms)
    return replace(alive, findings=(*alive.findings, *protection.finding(facts)))


def _alive(facts: Facts, terms: Terms) -> Plan:
    refusal = _refusal(facts)
    if refusal is not None:
        return _stopped(facts, refusal)
    place = facts.place
    finalizers = _finalizers(facts)
    if FINALIZER not in finalizers:
        return _on_the_way(facts, SetFinalizers((*finalizers, FINALIZER)))
    if place is None:
        return _on_the_way(facts, _claim(facts))
    return (
        _namespace(facts, place)
        or _paused(facts, place)
        or pausing.resume(facts)
        or _api(facts, place)
        or _served(facts, place, terms)
    )


def _paused(facts: Facts, place: Place) -> Plan | None:
    held = pausing.hold(facts, place)
    return replace(held, findings=(*held.findings, *findings.not_managed(facts))) if held is not None else None


def _refusal(facts: Facts) -> Refusal | None:
    """Why nothing is begun. A control plane that is placed already is not stopped by values that cannot be read."""
    if (facts.group["metadata"].get("labels") or {}).get(GROUP_LABEL) != "true":
        group = facts.group["metadata"]["name"]
        return Refusal(
            Reason.GROUP_NOT_LABELLED,
            f"namespace {group} is no group: expected label {GROUP_LABEL}=true; "
            f"`kubectl label namespace {group} {GROUP_LABEL}=true`",
        )
    return facts.values if isinstance(facts.values, Refusal) and facts.place is None else None


def _claim(facts: Facts) -> Claim:
    wish = facts.spec.get("hostNamespace") or {}
    return Claim(facts.new_id, wish.get("name") or f"mxp-{facts.new_id}-system")


def _namespace(facts: Facts, place: Place) -> Plan | None:
    """Make the host namespace, or take over one that exists and belongs to nobody."""
    key = Key(NAMESPACES, place.host_namespace)
    live = facts.host.get(key)
    ours = {CONTROL_PLANE_LABEL: place.control_plane_id}
    if live is None:
        made = item(NAMESPACES, place.host_namespace, labels=ours, annotations={MADE_HERE: FIELD_MANAGER})
        return _on_the_way(facts, Create(made))
    labels = live["metadata"].get("labels") or {}
    owner = labels.get(CONTROL_PLANE_LABEL)
    if owner == place.control_plane_id:
        if live["metadata"].get("deletionTimestamp"):
            return _waiting(facts, f"{key} is being deleted; it is made again when it is gone")
        marks = protection.mark(facts, place, on=protection.is_protected(facts))
        return Plan((marks,), again_seconds=SOON_SECONDS, keeps=True) if marks is not None else None
    if owner or GROUP_LABEL in labels or place.host_namespace in RESERVED:
        whose = f"control plane {owner}" if owner else "the cluster or a group"
        return _stopped(
            facts,
            Refusal(
                Reason.HOST_NAMESPACE_TAKEN,
                f"{key} belongs to {whose}: a control plane needs a namespace of its own; "
                "delete this control plane and create it with another spec.hostNamespace.name",
            ),
        )
    return _on_the_way(facts, Label(key, ours, live["metadata"]["resourceVersion"]))


def _api(facts: Facts, place: Place) -> Plan | None:
    if (void := attached.refusal(facts)) is not None:
        return _stopped(facts, void)
    if restoring.asked(facts) and way_of(facts) != "kubernetes" and not facts.status.get("firstAvailableAt"):
        return _stopped(facts, restoring.elsewhere(facts))
    if way_of(facts) == "kubernetes":
        # Its pod, too, may need the copied pull secrets.
        steps = (*copies.bring(facts, place).steps, *own.keep(facts, place).steps)
        if steps:
            told = is_true(facts.control_plane, "Ready")
            return Plan(steps, again_seconds=SOON_SECONDS, keeps=True) if told else _on_the_way(facts, *steps)
    match api_of(facts):
        case None if way_of(facts) == "kubernetes":
            return _waiting(facts, f"waiting for {service_key(place)} to have an address")
        case None:
            return _on_the_way(facts, Create(logical_cluster(place)))
        case Pending(message):
            return _waiting(facts, message)
        case Refusal() as refusal:
            # A larger volume is what brings back one that is full.
            grown = room.grow(facts, place).steps if refusal.reason is Reason.VOLUME_FULL else ()
            return replace(_stopped(facts, refusal), steps=grown)
        case Served():
            return None


def _served(facts: Facts, place: Place, terms: Terms) -> Plan:
    served = api_of(facts)
    assert isinstance(served, Served)
    if facts.tenant is None:
        return _unanswered(facts)
    match holding.check(facts, place):
        case Refusal() as lost:
            # What it was must not be driven out of the bucket by snapshots of what it is.
            ended = workloads.end_pods(facts, place, components.BACKUP) or Plan()
            stopped = _stopped(facts, lost)
            return replace(stopped, steps=ended.steps, again_seconds=ended.again_seconds or stopped.again_seconds)
        case Label() as note:
            # With what makes it this control plane's, in that order: each look at all of it takes a while.
            owned = belonging.hold(facts, place)
            also = () if owned is None or isinstance(owned, Refusal) else (owned,)
            return Plan((note, *also), again_seconds=SOON_SECONDS, keeps=True)
    if (plan := _held(facts, place)) is not None:
        return plan
    narrow = attached.make_own(facts, place, served)
    if attached.is_borrowed(facts):
        # What was given is for this alone; all else is done with what comes of it.
        return replace(narrow, keeps=True)
    intent = workloads.intent_of(facts, place)
    parts = (
        narrow,
        *_kept(facts, place, terms),
        inside.prepare(facts, intent),
        inside.issue_tokens(facts, place, served, intent),
        inside.connect(facts, place, served),
        inside.disconnect(facts),
        admins.withdraw(facts),
        *beside.bring(facts, place, served, outgrown=attached.is_outgrown(facts)),
        copies.bring(facts, place),
        # Before the pods that it is for.
        network.bring(facts, place),
        passing.bring(facts, place),
        *(workloads.bring(facts, component) for component in intent.wanted),
        *(workloads.retire(facts, place, name) for name in intent.gone),
    )
    ready = Finding("Ready", True, Reason.AVAILABLE)
    told = (ready, *(finding for part in parts for finding in part.findings), *findings.of_workloads(facts, intent))
    waits = [part.again_seconds for part in parts if part.again_seconds is not None]
    if any(each.type == "ComponentsAvailable" and not each.status for each in told):
        waits.append(UNAVAILABLE_SECONDS)
    return Plan(
        steps=tuple(step for part in parts for step in part.steps),
        findings=(
            *told,
            *room.findings(facts, place),
            *attached.findings(facts),
            *pausing.refused(facts),
            *findings.not_managed(facts),
        ),
        again_seconds=min(waits, default=None),
        chains=tuple(part.steps for part in parts if part.steps),
    )


def _kept(facts: Facts, place: Place, terms: Terms) -> tuple[Plan, ...]:
    """What keeps an API server of our own as it should be."""
    if way_of(facts) != "kubernetes":
        return ()
    return (
        own.keep(facts, place),
        room.grow(facts, place),
        rotation.keep(facts, place),
        renewal.keep(facts, place, terms),
    )


def _held(facts: Facts, place: Place) -> Plan | None:
    """Make what is inside this control plane's; None where it is.

    Where it is another's, components that an older release brought go, and store what they hold: two would count the
    same resources. What is inside is not theirs to remove.
    """
    match belonging.hold(facts, place):
        case Refusal() as refusal:
            parts = [workloads.retire(replace(facts, tenant={}), place, name) for name in components.NAMES]
            waits = [part.again_seconds for part in parts if part.again_seconds is not None]
            told = _stopped(facts, refusal)
            steps = tuple(step for part in parts for step in part.steps)
            return replace(told, steps=steps, again_seconds=min(waits, default=told.again_seconds))
        case None if belonging.is_going(facts):
            return _waiting(facts, f"{belonging.KEY} inside is being deleted; it is made again when it is gone")
        case None:
            return None
        case step:
            return Plan((step,), again_seconds=SOON_SECONDS, keeps=True)


def _unanswered(facts: Facts) -> Plan:
    """What was true stays until it is known to be false: an operator that has just started has not looked yet."""
    ready = condition_of(facts.status.get("conditions"), "Ready") or {}
    if not facts.trouble and ready.get("reason") in SEEN_INSIDE:
        return Plan(again_seconds=SOON_SECONDS, keeps=True)
    if not is_true(facts.control_plane, "Ready"):
        why = f": {facts.trouble}" if facts.trouble else ""
        return _waiting(facts, f"waiting for the control plane's API to answer{why}")
    if not facts.trouble:
        return Plan(again_seconds=SOON_SECONDS, keeps=True)
    message = f"the control plane's API does not answer: {facts.trouble}"
    told = [Finding("Synced", False, Reason.API_UNREACHABLE, message)]
    if facts.waited_seconds.get(API, 0.0) >= PASSING_SECONDS:
        told.insert(0, Finding("Ready", False, Reason.API_UNREACHABLE, message))
    return Plan((), tuple(told), UNREACHABLE_SECONDS, keeps=True)


def _finalizers(facts: Facts) -> tuple[str, ...]:
    return tuple(facts.control_plane["metadata"].get("finalizers") or ())


def _on_the_way(facts: Facts, *steps: Step) -> Plan:
    ready = Finding("Ready", False, Reason.CREATING, "being set up")
    return Plan(steps, (ready, *findings.not_managed(facts)))


def _waiting(facts: Facts, message: str) -> Plan:
    ready = Finding("Ready", False, Reason.CREATING, message)
    return Plan((), (ready, *findings.not_managed(facts)), SOON_SECONDS)


def _stopped(facts: Facts, refusal: Refusal) -> Plan:
    """Nothing is done until someone changes something; attached Secrets and namespaces are looked at now and then."""
    ready = Finding("Ready", False, refusal.reason, refusal.detail)
    return Plan((), (ready, *findings.not_managed(facts)), 30.0)
