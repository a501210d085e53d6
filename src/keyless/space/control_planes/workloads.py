"""Bringing components, and taking them away. Pure.

A component comes only when its service account is there and, where that names a role, when a dry run of its pod came
back with the identity: no pod misses it by a race. One that goes is flushed first: its pods end before the service
account, with which they store what they hold, and the volume.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyless.api import Reason
from keyless.kube import KubeObject, is_true
from keyless.kube.resources import PODS
from keyless.space import components
from keyless.space.components import BACKUP, EXTERNAL_SECRETS, VECTOR, Component
from keyless.space.control_planes import copies, holding, tenant
from keyless.space.control_planes.model import DropCondition, Facts, Finding, Plan, Remove, Step, way_of
from keyless.space.control_planes.writing import write
from keyless.space.items import Key, is_ours
from keyless.space.place import Place
from keyless.space.values import ROLE_ANNOTATION, Values

IDENTITY_SECONDS = 30.0
"""How long a component is held back for an identity that its service account promises."""
GRACE = timedelta(seconds=30)
"""What pods have to flush (``terminationGracePeriodSeconds``)."""
FLUSH_SLACK = timedelta(seconds=15)
"""After its grace period a pod that is still listed is waited for no longer."""
FLUSH_POLL_SECONDS = 0.5
CONDITIONS = {
    VECTOR: ("BillingStored", "BillingHealthy", "Billed"),
    EXTERNAL_SECRETS: ("SharedSecretsRead",),
    BACKUP: ("BackedUp", "Restored"),
}
"""What each component itself says on the ControlPlane; the first is whether its work succeeds."""


@dataclass(frozen=True, slots=True)
class Intent:
    """``kept`` are left as they are (they run, but how they should run is not known), ``gone`` are taken away."""

    wanted: tuple[Component, ...] = ()
    kept: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that run or shall run."""
        return tuple(component.name for component in self.wanted) + self.kept


def intent_of(facts: Facts, place: Place) -> Intent:
    """Which components the values ask for."""
    running = tuple(name for name in components.NAMES if components.deployment_key(name, place) in facts.host)
    if not isinstance(facts.values, Values):
        return Intent(kept=running)
    volume = facts.values.persistence.enabled
    if volume is None:
        volume = facts.default_storage_class or components.has_volume(facts.host.get(components.volume_key(place)))
    wanted = components.wanted(
        copies.stamped(facts.values, facts, place),
        place,
        volume=volume,
        own=way_of(facts) == "kubernetes",
        holds=holding.noted(facts, place),
    )
    held = set()
    if facts.values.backup.enabled and not facts.values.backup.serves:
        held.add(BACKUP)
    if facts.values.billing.enabled and (facts.values.billing.missing or facts.values.billing.faults):
        held.add(VECTOR)
    if foreign_definitions(facts):
        held.add(EXTERNAL_SECRETS)
    bring = tuple(component for component in wanted if component.name not in held)
    kept = tuple(name for name in running if name in held)
    asked = {component.name for component in wanted}
    return Intent(bring, kept, tuple(name for name in components.NAMES if name not in asked))


def foreign_definitions(facts: Facts) -> tuple[str, ...]:
    """The External Secrets API inside, where someone else installed it."""
    lives = [(facts.tenant or {}).get(each.key) for each in tenant.definitions()]
    return tuple(live["metadata"]["name"] for live in lives if live is not None and not is_ours(live))


def bring(facts: Facts, component: Component) -> Plan:
    """Apply what differs; the Deployment last, and only when its pods would be complete."""
    items = list(component.before)
    if component.volume is not None and component.volume.key not in facts.host:
        # Claims can hardly be changed: what exists is used.
        items.append(component.volume)
    live = facts.host.get(component.deployment.key)
    wait = None if live is not None else _wait_seconds(facts, component)
    if wait == 0 or live is not None:
        items.append(component.deployment)
        wait = None
    written = write(facts, items)
    waits = [each for each in (wait, written.again_seconds) if each is not None]
    return replace(written, again_seconds=min(waits, default=None))


def _wait_seconds(facts: Facts, component: Component) -> float | None:
    """0: its pods would be complete; None: what is missing is planned already; else when to try again."""
    account = facts.host.get(component.service_account)
    if account is None or component.kubeconfig not in facts.host:
        return None
    if not promises_role(account) or facts.injected.get(component.name):
        return 0
    if component.name not in facts.injected:
        return None
    return 0 if facts.waited_seconds.get(component.name, 0.0) >= IDENTITY_SECONDS else 1.0


def promises_role(account: KubeObject) -> bool:
    """Whether the service account is annotated with a role."""
    return bool((account["metadata"].get("annotations") or {}).get(ROLE_ANNOTATION))


def retire(facts: Facts, place: Place, name: str) -> Plan:
    """Take a component away: Deployment, pods, what they stood on, and at last what it said."""
    waiting = end_pods(facts, place, name)
    if waiting is not None:
        return waiting
    keys = [key for key in components.remains(name, place) if key in facts.host]
    inside = [key for key in tenant.identity_keys(name) if key in (facts.tenant or {})]
    steps: list[Step] = [*(Remove(key) for key in keys), *(Remove(key, "tenant") for key in inside)]
    volume = components.volume_key(place)
    if name == VECTOR and volume in facts.host:
        if not is_true(facts.control_plane, CONDITIONS[VECTOR][0]):
            return Plan(tuple(steps), (_unflushed(volume),))
        steps.append(Remove(volume))
    said = [each["type"] for each in facts.status.get("conditions") or () if each["type"] in CONDITIONS[name]]
    # One at a time: each writes the whole status.
    steps += [DropCondition(condition) for condition in said[:1]]
    return Plan(tuple(steps))


def end_pods(facts: Facts, place: Place, name: str) -> Plan | None:
    """End the Deployment, then its pods, which flush; None once they are gone or had their time."""
    key = components.deployment_key(name, place)
    deployment = facts.host.get(key)
    if deployment is not None and not _overdue(deployment, facts.now):
        if deployment["metadata"].get("deletionTimestamp"):
            return Plan(again_seconds=FLUSH_POLL_SECONDS)
        # Not its pods first: the ReplicaSet would make new ones.
        return Plan((Remove(key, with_dependents=True),))
    pods = [pod for pod in facts.pods.get(name, ()) if not _overdue(pod, facts.now)]
    if not pods:
        return None
    orphans = [pod["metadata"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    ends = [Remove(Key(PODS, metadata["name"], metadata["namespace"])) for metadata in orphans]
    return Plan(tuple(ends), again_seconds=FLUSH_POLL_SECONDS)


def _overdue(live: KubeObject, now: datetime) -> bool:
    """Whether a deleted object, with its grace period, should long be gone."""
    stamp = live["metadata"].get("deletionTimestamp")
    return bool(stamp) and now > datetime.fromisoformat(stamp) + GRACE + FLUSH_SLACK


def _unflushed(volume: Key) -> Finding:
    return Finding(
        "UsageFlushed",
        False,
        Reason.USAGE_NOT_FLUSHED,
        f"{volume} is kept: billing was turned off while usage on it could not be stored (see BillingStored); turn "
        "billing on again to store it, or delete the claim to give it up",
    )
