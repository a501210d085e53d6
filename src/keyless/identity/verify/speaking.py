"""Whether a pod that runs said what a condition says: what the pod before it met is no verdict on this one. Pure.

A pod gets its identity when it is made, so another pod's success proves nothing for it, and another pod's failure needs
no mending. A component names its pod in its conditions, and no clock is asked; one of an older version names none, and
is believed only where it tried later than the pod started by more than clocks differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from keyless.identity.verify.model import Condition, ControlPlane, Facts, Link, Pod, State

SKEW = timedelta(seconds=5)
"""How far the clocks of a node and of the API server may differ; few clusters have more."""
WAIT = "5m"
"""How long the printed command waits: a component that is refused tries again within these."""
_LAST = re.compile(r"\blast at (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z)", re.ASCII)


def speakers(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """The pods that speak for the component: those of the newest template, while a rollout brings them.

    Pods of a Job under the same service account have no template's hash and speak for nobody. Where two templates'
    newest pods were made within one second nobody can tell which is newer: none speaks until one is gone.
    """
    found = [pod for pod in pods if pod.revision] or list(pods)
    latest = max((pod.created for pod in found), default="")
    newest = {pod.revision for pod in found if pod.created == latest}
    return tuple(pod for pod in found if pod.revision in newest) if len(newest) == 1 else ()


def is_current(seen: Condition, pods: Iterable[Pod]) -> bool:
    """Whether one of the pods that speak for the component has said it."""
    current = speakers(pods)
    if seen.pod:
        return seen.pod in {pod.name for pod in current}
    return bool(current) and all(_tried_after(seen, pod) for pod in current)


def _tried_after(seen: Condition, pod: Pod) -> bool:
    tried, started = tried_at(seen), _moment(pod.created)
    return tried is not None and started is not None and tried - started > SKEW


def tried_at(seen: Condition) -> datetime | None:
    """When it was tried last, as far as a condition without a pod's name tells."""
    last = _LAST.search(seen.message)
    return _moment(last["time"] if last else seen.since)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def of_a_pod_before(facts: Facts, name: str, link: str, expected: str) -> Link | None:
    """The link where what stands in the condition is not the running pod's; ``None`` where it is, or nothing stands."""
    plane = facts.control_plane
    seen = plane.conditions.get(name) if plane else None
    if plane is None or seen is None or is_current(seen, facts.pods):
        return None
    whose = f"pod {seen.pod}" if seen.pod else "a pod before"
    stands = f"{name}={seen.status} ({seen.reason}) is what {whose} said"
    if not facts.pods:
        return _of_nobody(facts, seen, link, expected, stands)
    current = speakers(facts.pods)
    if not current:
        advice = "a rollout is under way: ask again when it has ended"
        what = f"{facts.subject.kind} {facts.subject.deployment}"
        fix = f"kubectl rollout status {what} -n {facts.namespace} --timeout={WAIT}"
        return Link(
            link, State.UNKNOWN, expected, f"not tried since the rollout began; {stands}", fix=fix, advice=advice
        )
    pod = max(current, key=lambda each: (each.created, each.name))
    found = f"not tried since pod {pod.name} started{f' at {pod.created}' if pod.created else ''}; {stands}"
    if pod.waiting:
        advice = f"it waits: kubectl describe pod {pod.name} -n {facts.namespace} says why"
        return Link(link, State.UNKNOWN, expected, f"{found}; {pod.name} is {pod.waiting}", advice=advice)
    advice = "wait until the pod that runs has tried; what the one before it met says nothing of it"
    if not seen.pod:
        advice += (
            "; where that never comes, component or CRDs are of an older version, which names no pod: upgrade them"
        )
    return Link(link, State.UNKNOWN, expected, found, fix=until_said(plane, name, pod.name), advice=advice)


def _of_nobody(facts: Facts, seen: Condition, link: str, expected: str, stands: str) -> Link:
    if facts.paused and seen.status == "True":
        note = "said before the control plane was paused; the pod of its resumption says it anew"
        return Link(link, State.HELD, expected, stands, notes=(note,))
    why = "the control plane is paused" if facts.paused else "no pod of the component runs"
    return Link(link, State.UNKNOWN, expected, f"not tried: {why}; {stands}")


def until_said(plane: ControlPlane, name: str, pod: str) -> str:
    """The command that waits for a pod's word: the condition itself may hold already, by the pod before."""
    whose = f'{{.status.conditions[?(@.type=="{name}")].pod}}'
    place = f"controlplane/{plane.name} -n {plane.group}"
    return f"kubectl wait {place} --for=jsonpath='{whose}'={pod} --timeout={WAIT}"
