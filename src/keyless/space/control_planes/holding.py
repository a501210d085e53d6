"""Whether etcd still holds what it held: a volume that was emptied, replaced or lost is told, not hidden. Pure.

An etcd that begins anew has the same cluster id (docs/reference/facts/etcd-snapshots.md), and kube-apiserver fills it
with the same namespaces; but their uids are new. That of ``kube-system`` is noted on the Secret of keys, and where
another one is found nothing is made inside: an empty control plane would look as if its users had deleted everything.
Where keys and volume went with the host namespace, the ControlPlane itself tells that it was available once.

In both cases no more snapshots are taken: those of an empty etcd would be the newest, and drive out the good ones.
"""

from __future__ import annotations

from keyless.api import Reason, Refusal
from keyless.kube.resources import NAMESPACES
from keyless.space.control_planes.model import Facts, Label, way_of
from keyless.space.items import Key
from keyless.space.kubernetes.names import claim_key, keys_key
from keyless.space.place import Place

KEY = Key(NAMESPACES, "kube-system")
HOLDS = "keyless.dev/holds"
"""On the Secret of keys: the uid of the namespace ``kube-system`` inside."""


def check(facts: Facts, place: Place) -> Label | Refusal | None:
    """What notes it at the first sight; a refusal where it is another one; None where it is as it was."""
    key, live = keys_key(place), (facts.tenant or {}).get(KEY)
    secret = facts.host.get(key)
    if way_of(facts) != "kubernetes" or live is None or secret is None:
        return None
    found, known = live["metadata"]["uid"], noted(facts, place)
    if not known:
        return Label(key, {HOLDS: found}, secret["metadata"]["resourceVersion"])
    return None if known == found else Refusal(Reason.DATA_LOST, _told(facts, place, known, found))


def noted(facts: Facts, place: Place) -> str:
    """The uid that was noted; empty: none yet."""
    secret = facts.host.get(keys_key(place)) or {}
    return str(((secret.get("metadata") or {}).get("labels") or {}).get(HOLDS, ""))


def lost(facts: Facts, place: Place) -> Refusal | None:
    """Whether keys and volume of a control plane that was available are both gone, as with its host namespace."""
    there = keys_key(place) in facts.host or claim_key(place) in facts.host
    if there or not facts.status.get("firstAvailableAt"):
        return None
    return Refusal(
        Reason.DATA_LOST,
        f"{keys_key(place)} and {claim_key(place)} are gone, and all that the control plane held with them; nothing is "
        f"made anew in its stead; {_back(facts)}; to begin anew with nothing, delete this ControlPlane and create it "
        "again",
    )


def _told(facts: Facts, place: Place, known: str, found: str) -> str:
    return (
        f"etcd began anew: expected namespace kube-system inside with uid {known}, found {found}; its volume was lost "
        f"or replaced, and nothing is made inside; {_back(facts)}; to begin anew with nothing "
        f"`kubectl label secret {keys_key(place).name} -n {place.host_namespace} {HOLDS}-`"
    )


def _back(facts: Facts) -> str:
    last = (facts.status.get("backup") or {}).get("snapshot")
    if not last:
        return "no snapshot of it is known"
    return f"a new ControlPlane with annotation keyless.dev/restore-from: {last} brings it back"
