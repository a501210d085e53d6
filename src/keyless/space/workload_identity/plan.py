"""What a WorkloadIdentity's status says, from what was asked, done and probed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keyless.api import Reason
from keyless.api.words import counted
from keyless.kube import KubeObject
from keyless.kube.conditions import set_condition
from keyless.space.workload_identity.model import PODS, Host, Row, Spec

SLOW = timedelta(minutes=2)
"""AWS shows a change everywhere within seconds; what takes longer has another cause."""
ASSOCIATIONS = 5000
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""What ``kubectl rollout restart`` writes into a pod template."""
RESTARTED_FOR = "keyless.dev/restarted-for"
"""On the Deployment: the identity that our last restart was for."""
_WARN = 0.8


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why AWS is not as it should be."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe found, by host namespace: whom AWS gave the role, and who runs without it."""

    effective: Collection[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    bare: Collection[str] = ()


def rows(
    spec: Spec,
    hosts: Iterable[Host],
    roles: Mapping[str, str],
    before: Mapping[str, Row],
    seen: Seen,
    trouble: Trouble | None,
    now: datetime,
) -> tuple[Row, ...]:
    """A row per control plane, in order of group and name. ``roles``: host namespace → ARN of those that AWS has."""
    made = []
    for host in hosts:
        role, old = roles.get(host.namespace, ""), before.get(host.namespace)
        made.append(_row(spec, host, role, old, seen, trouble, now))
    return tuple(sorted(made, key=lambda row: (row.group, row.name)))


def _row(
    spec: Spec,
    host: Host,
    role: str,
    before: Row | None,
    seen: Seen,
    trouble: Trouble | None,
    now: datetime,
) -> Row:
    same = before is not None and before.role == role
    reason, message = _state(spec, host, role, before if same else None, seen, trouble, now)
    since = before.since if before is not None and same and before.reason == reason else now
    return Row(host.group, host.name, host.namespace, role, reason, message, since)


def _state(
    spec: Spec,
    host: Host,
    role: str,
    before: Row | None,
    seen: Seen,
    trouble: Trouble | None,
    now: datetime,
) -> tuple[str, str]:
    if not role:
        found = trouble or Trouble(Reason.PROPAGATING, "not written to AWS yet")
        return found.reason, found.message
    if host.leaving:
        # Usage that is not stored yet needs the role; the operator lets go of the control plane when it is.
        return Reason.IDENTITY_KEPT, "the control plane is being deleted: it keeps its identity until it is gone"
    if host.namespace in seen.bare:
        restart = f"kubectl rollout restart deployment {spec.deployment} -n {host.namespace}"
        return Reason.POD_NOT_RESTARTED, f"the pod is older than its identity: {restart}"
    was_effective = before is not None and before.is_effective
    if host.namespace in seen.effective or (was_effective and host.namespace not in seen.refused):
        return Reason.EFFECTIVE, "AWS gives the role to this service account"
    refused = seen.refused.get(host.namespace)
    since = before.since if before is not None and before.reason == Reason.PROPAGATING else now
    if now - since > SLOW or (before is not None and before.reason == Reason.NOT_EFFECTIVE):
        why = refused or "no component has shown it yet"
        return Reason.NOT_EFFECTIVE, f"not effective after {SLOW.seconds // 60} minutes: {why}; see keyless verify"
    return Reason.PROPAGATING, f"written; {f'AWS says still: {refused}' if refused else 'AWS shows it within seconds'}"


def forecast(spec: Spec, roles: Mapping[str, str], per_role: int) -> str:
    """How much of AWS's quotas is used, and a word when it comes near."""
    count = len(roles)
    if spec.mode == PODS:
        near = ", near the quota, which AWS does not raise" if count >= ASSOCIATIONS * _WARN else ""
        return f"{count} of {ASSOCIATIONS} associations of the cluster{near}"
    shards = len(set(roles.values())) or 1
    room = shards * per_role
    more = f"; the next role begins at {room + 1}" if count >= room * _WARN else ""
    return f"{count} of about {counted(room, 'subject')} in {counted(shards, 'role')}{more}"


def status(
    obj: KubeObject, spec: Spec, made: tuple[Row, ...], trouble: Trouble | None, extra: Mapping[str, str], now: datetime
) -> KubeObject:
    """The status to be written."""
    generation = obj["metadata"].get("generation", 1)
    old = (obj.get("status") or {}).get("conditions")
    effective = sum(row.is_effective for row in made)
    found = trouble or _summary(spec, made, effective)
    ready = found.reason == Reason.EFFECTIVE
    conditions = set_condition(
        old, "Ready", ready, found.reason, found.message[:1000], now=now, observed_generation=generation
    )
    return {
        "observedGeneration": generation,
        "effective": f"{effective}/{len(made)}" if spec.manage else "",
        **extra,
        "conditions": conditions,
        "controlPlanes": [row.written() for row in made],
    }


def _summary(spec: Spec, made: tuple[Row, ...], effective: int) -> Trouble:
    if not spec.manage:
        return Trouble(Reason.NOT_MANAGED, "spec.manage is not true: nothing is read from AWS or written to it")
    waiting = [row for row in made if not row.is_effective and row.reason != Reason.IDENTITY_KEPT]
    if not waiting:
        return Trouble(Reason.EFFECTIVE, f"{effective} of {counted(len(made), 'control plane')} with their identity")
    worst = max(waiting, key=lambda row: row.reason != Reason.PROPAGATING)
    return Trouble(Reason(worst.reason), f"{worst.group}/{worst.name}: {worst.message}")


def placed(spec: Spec, places: Mapping[str, str], roles_of: Mapping[str, str], hosts: Iterable[Host]) -> dict[str, str]:
    """Host namespace → role's ARN, from a plan's places (sub → role's name) and ARNs by name."""
    found = {}
    for host in hosts:
        name = places.get(f"system:serviceaccount:{host.namespace}:{spec.service_account}", "")
        if name in roles_of:
            found[host.namespace] = roles_of[name]
    return found


def settled(row: Row) -> bool:
    """Whether there is nothing to look for soon."""
    return row.is_effective or row.reason == Reason.IDENTITY_KEPT


def unprobed(made: Iterable[Row], most: int, probed: Mapping[str, datetime]) -> list[Row]:
    """Whom to probe now, not too many at once, since STS's quota is everybody's.

    ``probed``: when each host namespace was probed last. Who was never comes first: those that nothing helps wait
    longest, and would keep all others from their turn.
    """
    waiting = [row for row in made if row.role and not settled(row)]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(waiting, key=lambda row: (probed.get(row.namespace, never), row.since))[:most]


def identity(spec: Spec, row: Row) -> str:
    """What a pod lacks that is to be made anew: the way and the role."""
    return f"{spec.mode} {row.role}"


def was_restarted(deployment: KubeObject, now: datetime, within: timedelta, wanted: str) -> bool:
    """Whether its pods were told to be made anew for ``wanted`` not long ago; a moment that cannot be read is none.

    A restart of ours for another identity does not count: those pods lack the new one, however young they are.
    """
    noted = ((deployment.get("metadata") or {}).get("annotations") or {}).get(RESTARTED_FOR, wanted)
    template = (deployment.get("spec") or {}).get("template") or {}
    text = ((template.get("metadata") or {}).get("annotations") or {}).get(RESTARTED_AT)
    try:
        # One that lies ahead by more than clocks differ says nothing.
        near = text is not None and abs(now - datetime.fromisoformat(str(text))) < within
    except (ValueError, TypeError):
        return False
    return near and noted == wanted
