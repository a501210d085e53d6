"""How full a control plane's etcd and its volume are: what is done about it, and what is said. Pure.

An etcd that is as large as its quota raises NOSPACE: it goes on answering and deleting, and refuses every other write
until the alarm is taken back, also when there is room again (docs/reference/facts/etcd-space.md). kube-apiserver
compacts every five minutes, but by a write, so not then. What was deleted is made room of here, and the alarm taken
back. A volume that is full ends etcd, which nobody but its last words tells.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import Enum

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, condition_of
from keyless.kube.resources import PERSISTENTVOLUMECLAIMS
from keyless.space.control_planes.model import Facts, Finding, Plan, Room, way_of
from keyless.space.control_planes.writing import write
from keyless.space.items import Item, item
from keyless.space.kubernetes.names import CLAIM, NAME, claim_key
from keyless.space.kubernetes.sizes import bytes_of, told
from keyless.space.place import Place
from keyless.space.values import Values

TYPE = "StorageAvailable"
NEARLY = 0.8
"""Of the quota: from here on it is told, and a file with many free pages is written anew."""
ENOUGH = 0.9
"""Below it an alarm is taken back: with less room the next writes would raise it again."""
WORTH = 0.1
"""Of the quota: etcd answers nobody while it writes its file anew, so not for less."""
STEP = 10
"""Percent: what is said changes no more often than that."""
FULL = "no space left on device"
RECENT = timedelta(minutes=10)
"""Longer than a container that crashes waits for its next start."""
VALUE = "controlPlanes.kubernetes.persistence.size"


class Mend(Enum):
    """What makes room in an etcd."""

    COMPACT = "compact"
    DEFRAGMENT = "defragment"
    DISARM = "disarm"


def next_mend(room: Room, done: Collection[Mend]) -> Mend | None:
    """What to do next in one look; nothing is done twice in it, so it comes to an end."""
    if room.full and Mend.COMPACT not in done:
        return Mend.COMPACT
    pressed = room.full or room.used >= NEARLY * room.quota
    if pressed and Mend.DEFRAGMENT not in done and room.used - room.in_use >= WORTH * room.quota:
        return Mend.DEFRAGMENT
    if room.full and Mend.DISARM not in done and room.used < ENOUGH * room.quota:
        return Mend.DISARM
    return None


def percent(room: Room) -> int:
    """How full it is, up to the next ten."""
    return -(-100 * room.used // (STEP * max(room.quota, 1))) * STEP


def is_news(before: Room | None, now: Room) -> bool:
    """Whether something else is to be said."""
    return before is None or (before.full, before.quota, percent(before)) != (now.full, now.quota, percent(now))


def findings(facts: Facts, place: Place) -> tuple[Finding, ...]:
    """How full it is. ``Ready`` is False where no write is taken."""
    return (*_of_etcd(facts, place), *_of_growth(facts, place))


def _of_etcd(facts: Facts, place: Place) -> tuple[Finding, ...]:
    room = facts.room
    if way_of(facts) != "kubernetes":
        return ()
    if room is None:
        return _as_before(facts)
    full = f"etcd holds {told(room.used)} of the {told(room.quota)} that it may"
    if room.full:
        message = (
            f"{full} and takes no more writes (NOSPACE), reads and deletions go on; delete what is not needed: within "
            f"a minute the operator makes room of it and writes go on; or {_grow(facts, place)}"
        )
        return (
            Finding("Ready", False, Reason.STORAGE_FULL, message),
            Finding(TYPE, False, Reason.STORAGE_FULL, message),
        )
    if room.used >= NEARLY * room.quota:
        about = f"etcd holds more than {percent(room) - STEP} % of the {told(room.quota)} that it may"
        message = f"{about}; at its end it takes no more writes: delete what is not needed, or {_grow(facts, place)}"
        return (Finding(TYPE, False, Reason.STORAGE_NEARLY_FULL, message),)
    message = f"etcd holds less than {percent(room)} % of the {told(room.quota)} that it may"
    return (Finding(TYPE, True, Reason.STORAGE_AVAILABLE, message),)


def _as_before(facts: Facts) -> tuple[Finding, ...]:
    """What was said stays until etcd was asked: an operator that has just started has not yet."""
    said = condition_of(facts.status.get("conditions"), TYPE) or {}
    about = {Reason.STORAGE_AVAILABLE, Reason.STORAGE_NEARLY_FULL, Reason.STORAGE_FULL}
    reason = next((each for each in about if each == said.get("reason")), None)
    if reason is None:
        return ()
    types = ("Ready", TYPE) if reason is Reason.STORAGE_FULL else (TYPE,)
    holds = reason is Reason.STORAGE_AVAILABLE
    return tuple(Finding(each, holds, reason, str(said.get("message", ""))) for each in types)


def _of_growth(facts: Facts, place: Place) -> tuple[Finding, ...]:
    if not facts.growth_refused:
        return ()
    message = (
        f"{claim_key(place)} stays as large as it is: {facts.growth_refused}; a storage class with "
        f"allowVolumeExpansion: true lets it grow; else set {VALUE} back"
    )
    return (Finding(TYPE, False, Reason.VOLUME_NOT_GROWN, message),)


def volume_full(facts: Facts, place: Place) -> Refusal | None:
    """Where etcd's last words were that its volume is full, and it is not well since."""
    for pod in facts.pods.get(NAME, ()):
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            if container.get("name") == "etcd" and _died_of_it(container, facts.now):
                size = _size(facts, place) or "of unknown size"
                return Refusal(
                    Reason.VOLUME_FULL,
                    f"its volume is full ({claim_key(place)}, {size}), which ends etcd: {_grow(facts, place)}; what "
                    "else lies on that disk can be removed, never a file of etcd's; it goes on by itself",
                )
    return None


def _died_of_it(container: KubeObject, now: datetime) -> bool:
    states = (container.get(name) or {} for name in ("state", "lastState"))
    for ended in (state.get("terminated") or {} for state in states):
        if FULL in str(ended.get("message", "")):
            try:
                return now - datetime.fromisoformat(str(ended.get("finishedAt"))) < RECENT
            except (ValueError, TypeError):
                return True
    return False


def growth(facts: Facts, place: Place) -> Item | None:
    """The claim as large as the values ask for, where that is larger than it was asked to be."""
    live, values = facts.host.get(claim_key(place)), facts.values
    if live is None or not isinstance(values, Values) or live["metadata"].get("deletionTimestamp"):
        return None
    wanted, found = bytes_of(values.api_server.size), bytes_of(_size(facts, place))
    if wanted is None or found is None or wanted <= found:
        return None
    # The request alone: all else of a claim is its maker's, and cannot be changed.
    requests = {"resources": {"requests": {"storage": values.api_server.size}}}
    return item(PERSISTENTVOLUMECLAIMS, CLAIM, place.host_namespace, spec=requests)


def grow(facts: Facts, place: Place) -> Plan:
    """Let the volume grow, where the host lets it."""
    wanted = growth(facts, place)
    if wanted is None or facts.growth_refused:
        return Plan()
    return write(facts, (wanted,))


def _size(facts: Facts, place: Place) -> str:
    spec = (facts.host.get(claim_key(place)) or {}).get("spec") or {}
    return str(((spec.get("resources") or {}).get("requests") or {}).get("storage", ""))


def _grow(facts: Facts, place: Place) -> str:
    size = bytes_of(_size(facts, place)) or 0
    larger = f"{max(2 * size // 1024**2, 1)}Mi"
    return (
        f"let its volume grow, where its storage class can: `helm upgrade spaces spaces-helm-chart -n "
        f"{facts.release_namespace} --reuse-values --set {VALUE}={larger}`"
    )
