"""What the component itself reports: whether its work is whole, and that it reached AWS as its role. Pure."""

from __future__ import annotations

from dataclasses import replace

from keyless.api import Reason
from keyless.identity.verify.model import Condition, Facts, Link, State
from keyless.identity.verify.permission_fix import needed
from keyless.identity.verify.saying import meaning, node_role
from keyless.identity.verify.speaking import of_a_pod_before

# What a component says while it could call AWS as its role but had nothing to do there.
_IDENTITY_ONLY = "IdentityProven"


def work_is_whole(facts: Facts) -> Link | None:
    """What reaches AWS may be a part: whether it is all only the component knows. Before it does, nothing is said."""
    name = facts.subject.health
    seen = facts.control_plane.conditions.get(name) if name and facts.control_plane else None
    if seen is None or not facts.enabled:
        return None
    expected, found = f"condition {name} is True", f"{name}={seen.status} ({seen.reason}): {seen.message}"
    if before := of_a_pod_before(facts, name, "health", expected):
        return before
    if seen.status == "True":
        return Link("health", State.HELD, expected, found)
    advice = "the message names what is not counted or stored, and why: mend that, the condition follows within minutes"
    return Link("health", State.BROKEN, expected, found, Reason.NOT_HEALTHY, advice=advice)


def probe_succeeded(facts: Facts) -> Link:
    """The component did its work as the role: it says so on the ControlPlane, with its session or with AWS's code."""
    name = facts.subject.condition
    role = facts.role_arn.rpartition("/")[2]
    expected = f"condition {name} is True, by a session of {role or 'the role'}"
    seen = facts.control_plane.conditions.get(name) if facts.control_plane else None
    if seen is None:
        return Link("probe", State.UNKNOWN, expected, f"the component has not set {name} yet")
    if before := of_a_pod_before(facts, name, "probe", expected):
        return before
    since = f" since {seen.since}" if seen.since else ""
    found = f"{name}={seen.status} ({seen.reason}){since}: {seen.message}"
    proven = seen.status != "False" and seen.reason == _IDENTITY_ONLY
    if node := node_role(seen.message, role):
        return _as_the_node(facts, expected, f"{found}: {node} is the role of its node")
    if seen.status != "True" and not proven:
        return _refused(facts, seen, expected, found)
    if not role:
        return Link("probe", State.SKIPPED, expected, f"no role is named; {found}")
    if "assumed-role/" in seen.message and f":assumed-role/{role}/" not in seen.message:
        return Link("probe", State.BROKEN, expected, found, Reason.PROBE_BY_ANOTHER_ROLE, facts.restart)
    unproven = ("the identity is proven; the pod has had no data to read or write yet",) if proven else ()
    return Link("probe", State.HELD, expected, found, notes=unproven)


def _as_the_node(facts: Facts, expected: str, found: str) -> Link:
    """Without an identity of its own an SDK goes on to the node's, which all pods of the node would share."""
    advice = "a pod without identity takes its node's role; a hop limit of 1 on the node's metadata keeps pods from it"
    link = Link("probe", State.BROKEN, expected, found, Reason.NODE_ROLE_USED, advice=advice)
    return replace(link, fix=facts.restart) if facts.role_arn else link


def _refused(facts: Facts, seen: Condition, expected: str, found: str) -> Link:
    if told := meaning(seen.message):
        return Link("probe", State.BROKEN, expected, found, told.reason, advice=told.advice)
    return Link("probe", State.BROKEN, expected, found, Reason.PROBE_REFUSED, advice=_advice(facts, seen))


def _advice(facts: Facts, seen: Condition) -> str:
    """The question whose answer names the statement, where there is one; a log only where nothing better is known."""
    if not facts.role_arn:
        return "the service account names no role: mend that link first, the condition follows within minutes"
    if "kms:" in seen.message and (asked := _of_key(facts)):
        return f"the key behind it refuses: `{asked}` says which policy does, and what mends it"
    if "AccessDenied" in seen.message and (asked := _of_key(facts)):
        return f"mend the links above first; `{asked}` says which statement decides"
    if "AccessDenied" in seen.message or "InvalidIdentityToken" in seen.message:
        return "the links above are what it depends on: mend the first that failed, it tries again within minutes"
    pods = f"{facts.subject.kind}/{facts.subject.deployment} -n {facts.namespace}"
    return f"the message is the component's own; kubectl describe {pods} shows its pods, kubectl logs {pods} its log"


def _of_key(facts: Facts) -> str:
    """The question whose answer has the key's own policies and grants in it; empty where no one resource is known."""
    access = facts.access
    asked = [] if access is None else [resource for action, resource in needed(access) if action == access.probe]
    if access is None or not asked or "?" in asked[0]:
        return ""
    account = f"{facts.namespace}/{facts.subject.service_account}"
    return f"keyless explain {account} {access.probe} {asked[0].replace('*', 'keyless')}"
