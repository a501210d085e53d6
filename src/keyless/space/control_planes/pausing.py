"""``spec.crossplane.state: Paused``: nothing of a control plane runs, and nothing of it is lost. Pure.

First the components end and store what they hold, a last snapshot among it; the collector last; then the API server
stops. Volumes, keys, accounts and rights stay. ``status.pauses`` says from when to when nothing ran: it is begun
when the last pod is gone and ended before the first one comes, so that no time in which anything could be made is left
out of what is owed.

Only an API server that the operator runs can be stopped by it. One that somebody else serves would go on without being
counted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from keyless.api import Reason
from keyless.kube import KubeObject, condition_of, timestamp
from keyless.space import components
from keyless.space.components import VECTOR, deployment_key
from keyless.space.control_planes import beside, lost_nodes, own
from keyless.space.control_planes.model import Facts, Finding, Plan, SetPauses, Tell, way_of
from keyless.space.control_planes.workloads import CONDITIONS, end_pods
from keyless.space.kubernetes.names import NAME, workload_key
from keyless.space.place import Place
from keyless.space.values import Values

PAUSED = "Paused"
FIELD = "spec.crossplane.state"
KEPT = 20
"""How many pauses a status holds: manifests tell of each within minutes of its end."""
POLL_SECONDS = 0.5
LAST_SNAPSHOT = timedelta(seconds=150)
"""How long before the last pod is gone the last snapshot may have been taken: both pods have their grace period."""


def asked(facts: Facts) -> bool:
    """Whether it shall not run."""
    return bool((facts.spec.get("crossplane") or {}).get("state") == PAUSED)


def since(facts: Facts) -> datetime | None:
    """Since when nothing of it runs; None: something does, or may."""
    pauses = facts.status.get("pauses") or ()
    return datetime.fromisoformat(pauses[-1]["from"]) if pauses and not pauses[-1].get("to") else None


def is_stopped(facts: Facts) -> bool:
    """Whether its API server was told to stop and not to run again."""
    place = facts.place
    live = facts.host.get(workload_key(place)) if place is not None else None
    return live is not None and (live.get("spec") or {}).get("replicas") == 0


def hold(facts: Facts, place: Place) -> Plan | None:
    """Bring it to rest and keep it there; None where it shall run, or must, since something else is wrong."""
    if not asked(facts) or way_of(facts) != "kubernetes" or own.refusal(facts, place) is not None:
        return None
    if workload_key(place) not in facts.host:
        return _told(f"{FIELD} is {PAUSED}: nothing of it was made yet; {_resume(place)}")
    if not is_stopped(facts):
        if not isinstance(facts.values, Values):
            return None  # that is told, and what runs goes on
        if (ending := _end_components(facts, place)) is not None:
            return ending
    kept = own.keep(facts, place, stopped=True)
    if kept.steps:
        return Plan(kept.steps, _told("its API server is being stopped").findings, POLL_SECONDS)
    if facts.pods.get(NAME) or ((facts.host[workload_key(place)].get("status") or {}).get("replicas") or 0) > 0:
        lost = lost_nodes.told(facts.pods.get(NAME, ()), facts.nodes)
        return _told(f"waiting for its API server to stop{f': {lost}' if lost else ''}", POLL_SECONDS)
    begun = since(facts)
    if begun is None:
        return Plan((_begin(facts),), _told("its API server has stopped").findings)
    message = (
        f"paused since {timestamp(begun)}: nothing of it runs, its volume and its keys stay, no usage is owed and no "
        f"snapshot is taken meanwhile{_unstored(facts, place)}{beside.told_while_paused(facts)}; {_resume(place)}"
    )
    return _told(message, kept.again_seconds)


def resume(facts: Facts) -> Plan | None:
    """End the pause before anything runs; None: there is none to end."""
    begun = since(facts)
    if asked(facts) or begun is None:
        return None
    if not isinstance(facts.values, Values):
        message = f"paused since {timestamp(begun)}, and not resumed with values that cannot be read: "
        return Plan((), (Finding("Ready", False, facts.values.reason, message + facts.values.detail),), 30.0)
    *before, last = facts.status["pauses"]
    ended = SetPauses((*before, {**last, "to": timestamp(max(facts.now, begun))}))
    return Plan((ended,), (Finding("Ready", False, Reason.CREATING, "being resumed"),), POLL_SECONDS)


def refused(facts: Facts) -> tuple[Finding, ...]:
    """Said of a control plane that the operator cannot stop; all of it goes on."""
    place = facts.place
    if not asked(facts) or place is None or way_of(facts) == "kubernetes":
        return ()
    why = {
        "attached": "its API was brought, and goes on without the operator: what is made there would not be counted",
        "logical": "its API is served by the host, which cannot stop one of them alone",
    }
    message = (
        f"{FIELD}: expected Running, found {PAUSED}: {why.get(str(way_of(facts)), 'its API is not known yet')}; "
        f"all of it goes on; {_resume(place, 'take it back')}"
    )
    return (Finding("Synced", False, Reason.PAUSE_REFUSED, message),)


def lost_at_deletion(facts: Facts, place: Place) -> tuple[Tell, ...]:
    """Said once of a control plane that goes while it is paused, with usage on its volume that was refused before."""
    stored = condition_of(facts.status.get("conditions"), CONDITIONS[VECTOR][0])
    if not asked(facts) or stored is None or stored.get("status") != "False":
        return ()
    if components.volume_key(place) not in facts.host:
        return ()
    message = (
        f"deleted while it is paused: {stored.get('reason', '')}: {stored.get('message', '')}; nothing runs that could "
        "store it, and it goes with its volume"
    )
    return (Tell(Reason.USAGE_NOT_FLUSHED, message),)


def _end_components(facts: Facts, place: Place) -> Plan | None:
    """The collector last: no more of the time in which the API still serves goes uncounted than must."""
    if why := _holds_usage(facts, place):
        return _told(why, 1.0)
    for names in ((*(name for name in components.NAMES if name != VECTOR),), (VECTOR,)):
        plans = {name: plan for name in names if (plan := end_pods(facts, place, name)) is not None}
        if plans:
            steps = tuple(step for plan in plans.values() for step in plan.steps)
            waits = f"waiting for {' and '.join(plans)} to store what they hold and end"
            return Plan(steps, _told(waits).findings, POLL_SECONDS)
    return None


def _holds_usage(facts: Facts, place: Place) -> str:
    """Why the collector may not end: what it could not store would go with its pod."""
    stored = condition_of(facts.status.get("conditions"), CONDITIONS[VECTOR][0])
    if stored is None or stored.get("status") != "False" or components.volume_key(place) in facts.host:
        return ""
    if deployment_key(VECTOR, place) not in facts.host:
        return ""
    said = f"{stored.get('reason', '')}: {stored.get('message', '')}"
    return f"not paused yet: usage that is not stored would be lost with its pod, which has no volume: {said}"


def _unstored(facts: Facts, place: Place) -> str:
    stored = condition_of(facts.status.get("conditions"), CONDITIONS[VECTOR][0])
    if stored is None or stored.get("status") != "False" or components.volume_key(place) not in facts.host:
        return ""
    return "; usage from before that could not be stored lies on its volume and is stored when it is resumed"


def _begin(facts: Facts) -> SetPauses:
    before: tuple[KubeObject, ...] = tuple(facts.status.get("pauses") or ())
    # A stamp is of whole seconds, and nothing is called paused in which it still ran.
    whole = facts.now + timedelta(microseconds=-facts.now.microsecond % 1_000_000)
    return SetPauses((*before, {"from": timestamp(whole)})[-KEPT:])


def _resume(place: Place, what: str = "it runs again") -> str:
    patch = '{"spec":{"crossplane":{"state":"Running"}}}'
    return f"`kubectl patch controlplane {place.name} -n {place.group} --type merge -p '{patch}'`: {what}"


def _told(message: str, again_seconds: float | None = None) -> Plan:
    return Plan((), (Finding("Ready", False, Reason.PAUSED, message),), again_seconds)
