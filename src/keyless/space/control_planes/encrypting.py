"""Which keys of Secrets in etcd count: where they lie, and what kube-apiserver is told of them. Pure.

They are in the immutable Secret of keys until the first change, then in Secret ``control-plane-encryption``, and a
label on the first says so: where that is gone, the keys are what kube-apiserver is told, at most one step behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject
from keyless.space.control_planes.model import Facts, Plan, WriteEncryption, WriteRing
from keyless.space.items import Key
from keyless.space.kubernetes import files, issuing
from keyless.space.kubernetes.names import certificates_key, encryption_key, keys_key
from keyless.space.kubernetes.ring import Held, Ring, ring_of
from keyless.space.place import Place

ANNOTATION = "keyless.dev/rotate-encryption-key"
"""On a ControlPlane: each new value asks for one more change of the key."""
APART = "keyless.dev/encryption-keys"
"""On the Secret of keys: those that encrypt lie in a Secret of their own."""


def asked(facts: Facts) -> str:
    """What asks for a change of the key; empty: nothing."""
    return str((facts.control_plane["metadata"].get("annotations") or {}).get(ANNOTATION, "")).strip()


def is_apart(host: Mapping[Key, KubeObject], place: Place) -> bool:
    """Whether the keys lie in a Secret of their own."""
    metadata = host.get(keys_key(place), {}).get("metadata") or {}
    return bool((metadata.get("labels") or {}).get(APART))


def config(host: Mapping[Key, KubeObject], place: Place) -> str:
    """The EncryptionConfiguration that kube-apiserver has to be told; empty: its keys are not there."""
    ring = ring_of(host.get(encryption_key(place)))
    if ring is not None:
        return files.encryption(ring.sealers)
    if is_apart(host, place):
        return issuing.told_config(host.get(certificates_key(place)))
    keys = issuing.keys_of(host.get(keys_key(place)))
    return files.encryption(issuing.encrypting(keys)) if keys is not None else ""


def is_changing(host: Mapping[Key, KubeObject], place: Place) -> bool:
    """Whether a change of the keys is on its way."""
    ring = ring_of(host.get(encryption_key(place)))
    return ring is not None and ring.stage != "current"


def digest(text: str) -> str:
    """As kube-apiserver tells which configuration it has read."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def original(host: Mapping[Key, KubeObject], place: Place, now: datetime) -> Ring | None:
    """What the Secret of keys was made with; None where it is not whole."""
    secret = host.get(keys_key(place))
    keys = issuing.keys_of(secret)
    if secret is None or keys is None:
        return None
    made_at = datetime.fromisoformat(secret["metadata"]["creationTimestamp"])
    return Ring(tuple(Held.from_sealer(each, made_at) for each in issuing.encrypting(keys)), now)


def refusal(facts: Facts, place: Place) -> Refusal | None:
    """Where the keys are nowhere any more."""
    if not is_apart(facts.host, place) or config(facts.host, place):
        return None
    return Refusal(
        Reason.API_KEYS_LOST,
        f"{encryption_key(place)} is gone or not whole, and {certificates_key(place)} with it: Secrets of the control "
        "plane are encrypted with what they held; restore the first from a backup. To give up what the control plane "
        "holds, delete the ControlPlane",
    )


def keep(facts: Facts, place: Place) -> Plan:
    """Bring back the keys' own Secret where it was lost, and have kube-apiserver told what it holds."""
    host = facts.host
    certificates, wanted = host.get(certificates_key(place)), config(host, place)
    if is_apart(host, place) and ring_of(host.get(encryption_key(place))) is None:
        return Plan((WriteRing(_recovered(facts, place), _version(host.get(encryption_key(place)))),))
    if certificates is None or issuing.told_config(certificates) == wanted:
        return Plan()
    return Plan((WriteEncryption(wanted),))


def _recovered(facts: Facts, place: Place) -> Ring:
    """From what kube-apiserver is told. How far a change was is not known: all is written again with the first key."""
    host = facts.host
    known = original(host, place, facts.now)
    began = known.keys[0].made_at if known is not None else facts.now
    keys = tuple(Held.from_sealer(each, began) for each in issuing.told_keys(host.get(certificates_key(place))))
    return Ring(keys, facts.now, "first" if len(keys) > 1 else "current", asked=asked(facts))


def _version(secret: KubeObject | None) -> str:
    return str(secret["metadata"]["resourceVersion"]) if secret is not None else ""
