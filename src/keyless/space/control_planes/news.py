"""What changed about a control plane that its users should read as an event: identity, and why it is not ready. Pure.

Identity is told of in three places: the role that a service account names, how the pods came to it, and what the
component found out when it asked AWS who it is. An operator that has just started knows no earlier state and is silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyless.api import Reason
from keyless.kube import KubeObject, condition_of
from keyless.kube.events import EventLevel
from keyless.space import components
from keyless.space.control_planes.model import Facts
from keyless.space.control_planes.workloads import CONDITIONS
from keyless.space.items import Key
from keyless.space.values import ROLE_ANNOTATION

ROLE_VARIABLE, AGENT_VARIABLE = "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
NO_ROLE, NO_IDENTITY = "names no role", "run without an identity of their own"
ASKED = "asked AWS who it is:"
PROVEN = (Reason.IDENTITY_PROVEN, Reason.IDENTITY_OF_NODE, Reason.IDENTITY_OF_ANOTHER_ROLE)
PASSING = (Reason.CREATING, Reason.DELETING)
"""Stages of every control plane's life: no news."""


@dataclass(frozen=True, slots=True)
class News:
    """One event."""

    level: EventLevel
    reason: str
    message: str


def identity_of(facts: Facts) -> dict[str, str]:
    """Who the components are, as far as the cluster tells: subject to state."""
    place = facts.place
    if place is None or facts.control_plane["metadata"].get("deletionTimestamp"):
        return {}
    found: dict[str, str] = {}
    for name in components.NAMES:
        key = components.account_key(name, place)
        if (account := facts.host.get(key)) is not None:
            found[_subject(key)] = _role(account)
        if ways := sorted({_way(pod) for pod in facts.pods.get(name, ()) if _stays(pod)}):
            found[f"{name}'s pods"] = " and ".join(ways)
        for kind in CONDITIONS[name]:
            told = condition_of(facts.status.get("conditions"), kind)
            if told is not None and told.get("reason") in PROVEN:
                found[f"{name} {ASKED}"] = f"{told['reason']}: {told.get('message', '')}"
    return found


def identity_news(before: Mapping[str, str] | None, now: Mapping[str, str]) -> tuple[News, ...]:
    """What to tell of it: what is another than it was, and credentials that were proven for the first time."""
    if before is None:
        return ()
    told = [
        News("Normal", Reason.IDENTITY_CHANGED, f"{subject} {state} (before: {before[subject]})")
        for subject, state in now.items()
        if subject in before and before[subject] != state
    ]
    first = [
        News("Normal", Reason.IDENTITY_CHANGED, f"{subject} {state}")
        for subject, state in now.items()
        if subject not in before and subject.endswith(ASKED)
    ]
    return (*told, *first)


def ready_news(before: KubeObject, after: KubeObject) -> tuple[News, ...]:
    """That a control plane became ready, or why it is not: once for each reason, whatever its words."""
    old, new = (condition_of(status.get("conditions"), "Ready") for status in (before, after))
    if new is None or new["reason"] in PASSING or (old is not None and old.get("reason") == new["reason"]):
        return ()
    level: EventLevel = "Normal" if new["status"] == "True" or new["reason"] == Reason.PAUSED else "Warning"
    return (News(level, new["reason"], new.get("message") or "the control plane is ready"),)


def _subject(key: Key) -> str:
    return f"service account {key.name}"


def _role(account: KubeObject) -> str:
    role = (account["metadata"].get("annotations") or {}).get(ROLE_ANNOTATION)
    return f"names role {role}" if role else NO_ROLE


def _way(pod: KubeObject) -> str:
    """How the pod comes to credentials; of an association only the agent knows the role."""
    variables = {
        variable.get("name"): variable.get("value", "")
        for container in (pod.get("spec") or {}).get("containers") or ()
        for variable in container.get("env") or ()
    }
    if AGENT_VARIABLE in variables:
        return "have the role of a pod identity association"
    return f"have role {variables[ROLE_VARIABLE]}" if ROLE_VARIABLE in variables else NO_IDENTITY


def _stays(pod: KubeObject) -> bool:
    return not pod["metadata"].get("deletionTimestamp")
