"""A new key for the Secrets in etcd, and an end of the old one. Pure.

As Kubernetes says (docs/reference/facts/encryption-at-rest.md): the new key reads, then writes, then all Secrets are
written again, and only then the old one goes. kube-apiserver reads the changed file by itself and says which one it has
read; nothing restarts. Each stage is stored before what it allows is done, so an operator may end after any write.

That a Secret was written again is told by its resourceVersion: above the one at which nothing was written with the old
key any more, it is encrypted with the new one, whoever wrote it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from keyless.api import Reason
from keyless.api.numbers import is_digits
from keyless.api.words import counted
from keyless.kube import KubeObject, timestamp
from keyless.space.control_planes import encrypting, keyed
from keyless.space.control_planes.model import (
    Create,
    Facts,
    Finding,
    Label,
    Plan,
    Rewrite,
    WriteRing,
    Written,
)
from keyless.space.kubernetes.names import NAME, encryption_key, keys_key
from keyless.space.kubernetes.ring import Held, Ring, next_name, ring_item, ring_of
from keyless.space.place import Place
from keyless.space.values import Values

CONDITION = "EncryptionKeyCurrent"
SETTLE = timedelta(seconds=75)
"""Longer than kube-apiserver lets a request live (60 s): what it began to write with the old key has ended."""
KMS_SECONDS = 60.0
"""How often kube-apiserver is asked how its KMS key is: it asks the plugin as often."""
READ_WITHIN = timedelta(minutes=5)
"""The kubelet needs up to two minutes for a changed Secret, kube-apiserver looks each minute."""
BATCH = 250
"""Writes in a row before anything else of the control plane has its turn; one at a time, for tenants write too."""
ASK_SECONDS = 10.0
REFUSED_SECONDS = 30.0
_STEPS = ("added", "first", "settling", "rewriting", "removed")
METRIC = "apiserver_encryption_config_controller_last_config_info"


def keep(facts: Facts, place: Place) -> Plan:
    """The next step on the way, and how it stands."""
    secret = facts.host.get(encryption_key(place))
    ring = ring_of(secret)
    if ring is None or secret is None:
        return _begin(facts, place)
    if not encrypting.is_apart(facts.host, place):
        # Before a key is in there that is nowhere else: from here on its loss is noticed.
        keys = facts.host[keys_key(place)]
        return Plan((Label(keys_key(place), {encrypting.APART: "apart"}, keys["metadata"]["resourceVersion"]),))
    match ring.stage:
        case "current":
            return _rest(facts, place, ring, secret)
        case "settling":
            return _settle(facts, place, ring, secret)
        case "rewriting":
            return _rewrite(facts, place, ring, secret)
        case _:
            return _read(facts, place, ring, secret)


def _begin(facts: Facts, place: Place) -> Plan:
    """A Secret of their own for the keys as they are, once one is due to change."""
    ring = encrypting.original(facts.host, place, facts.now)
    if ring is None or encrypting.is_apart(facts.host, place):
        return Plan()  # told, or brought back, before anything else is done
    if _is_due(facts, ring):
        return Plan((Create(ring_item(place, ring)),))
    return _resting(facts, ring)


def _rest(facts: Facts, place: Place, ring: Ring, secret: KubeObject) -> Plan:
    if not _is_due(facts, ring):
        return _resting(facts, ring)
    new = next_name(ring.keys, place.control_plane_id)
    kms = _wanted(facts, ring)
    step = WriteRing(ring, _version(secret), new, encrypting.asked(facts), kms)
    return Plan((step,), (_told(ring, f"KMS key {kms} shall encrypt" if kms else "a new key is made"),))


def _read(facts: Facts, place: Place, ring: Ring, secret: KubeObject) -> Plan:
    """kube-apiserver has to have read the file before the next stage, and to encrypt with a KMS key in it."""
    if ring.stage == "added" and ring.keys[1].kms != _wanted(facts, ring, ring.keys[1]):
        # It was mistyped, or KMS refuses it, and the values name another: nothing was written with it.
        return _on(ring, ring.dropped(facts.now), secret)
    if not _is_loaded(facts, place):
        return _waiting(facts, place, ring)
    match ring.stage:
        case "added":
            after = ring.turned(facts.now)
        case "first":
            after = ring.at("settling", facts.now)
        case _:
            after = ring.at("current", facts.now)
    return _on(ring, after, secret)


def _settle(facts: Facts, place: Place, ring: Ring, secret: KubeObject) -> Plan:
    if _settles(facts, ring):
        left = (ring.since + SETTLE - facts.now).total_seconds()
        return Plan((), (_told(ring, "writes that began with the old key end"),), left)
    return _listed(facts, place, ring, secret) or _on(
        ring, ring.at("rewriting", facts.now, mark=facts.etcd.revision if facts.etcd else 0), secret
    )


def _rewrite(facts: Facts, place: Place, ring: Ring, secret: KubeObject) -> Plan:
    if (waits := _listed(facts, place, ring, secret)) is not None:
        return waits
    every = facts.etcd.secrets if facts.etcd else ()
    # A write that changed nothing made no new version: it was encrypted with the new key already.
    old = [each for each in every if _is_old(each, ring.mark) and facts.rewritten.get(each) != ""]
    if not old:
        return _on(ring, ring.reduced(facts.now), secret)
    refused = [each for each in old if each in facts.rewritten]
    # Those that were refused come last, so that they keep no other waiting.
    batch = sorted(old, key=lambda each: each in facts.rewritten)[:BATCH]
    told = _told(ring, f"{counted(len(old), 'Secret')} of {len(every)} left to write with the new key")
    if refused:
        told = _refused(facts, refused, len(old))
    return Plan((Rewrite(tuple(batch)),), (told,), REFUSED_SECONDS if len(refused) == len(old) else 1.0)


def _listed(facts: Facts, place: Place, ring: Ring, secret: KubeObject) -> Plan | None:
    """None where Secrets are listed, and kube-apiserver writes with the new key."""
    if facts.etcd is None or not facts.etcd.revision or not facts.etcd.loaded:
        return Plan((), (_told(ring, "Secrets are listed"),), ASK_SECONDS)
    if not _is_loaded(facts, place):
        # Somebody changed the file: what was written meanwhile may be encrypted with the old key, above the mark.
        return _on(ring, ring.at("first", facts.now), secret)
    return None


def _is_old(each: Written, mark: int) -> bool:
    """A version that is no number is nobody's that we know: such a Secret is never taken for a new one."""
    return not is_digits(each.version) or int(each.version) <= mark


def _is_loaded(facts: Facts, place: Place) -> bool:
    wanted = (encrypting.digest(encrypting.config(facts.host, place)),)
    if facts.etcd is None or facts.etcd.loaded != wanted:
        return False
    # A file is read at a start whether KMS lets it encrypt or not. Where it shall write, that must be known.
    return facts.etcd.kms == "" or not wants_kms(facts, place)


def _wanted(facts: Facts, ring: Ring, instead: Held | None = None) -> str:
    """The KMS key that the values name; where they cannot be read, what is there."""
    found = keyed.wanted(facts)
    return found if found is not None else (instead or ring.keys[0]).kms


def _on(before: Ring, after: Ring, secret: KubeObject) -> Plan:
    return Plan((WriteRing(after, _version(secret)),), (_told(before, "done"),))


def _version(secret: KubeObject) -> str:
    return str(secret["metadata"]["resourceVersion"])


def _is_due(facts: Facts, ring: Ring) -> bool:
    wish, left = encrypting.asked(facts), _due_in(facts, ring)
    return (
        bool(wish and wish != ring.asked)
        or (left is not None and left <= 0)
        or _wanted(facts, ring) != ring.keys[0].kms
    )


def _due_in(facts: Facts, ring: Ring) -> float | None:
    """Seconds until its age asks for another; None: nothing does. Values that cannot be read change nothing."""
    days = facts.values.api_server.rotate_after_days if isinstance(facts.values, Values) else None
    if not days:
        return None
    return (ring.keys[0].made_at + timedelta(days=days) - facts.now).total_seconds()


def _resting(facts: Facts, ring: Ring) -> Plan:
    key, left = ring.keys[0], _due_in(facts, ring)
    days = max(0, (facts.now - key.made_at).days)
    others = f", and {counted(len(ring.keys) - 1, 'older key')} can still read" if len(ring.keys) > 1 else ""
    again = f"; the next one is due in {counted(int(left // 86400) + 1, 'day')}" if left is not None else ""
    named = f"KMS key {key.kms}, as {key.name}," if key.kms else f"key {key.name}"
    message = f"Secrets in etcd are written with {named} of {timestamp(key.made_at)}, {counted(days, 'day')} old"
    told = Finding(CONDITION, True, Reason.ENCRYPTION_KEY_IN_USE, f"{message}{others}{again}")
    if not any(each.kms for each in ring.keys):
        return Plan((), (told,), left)
    if trouble := facts.etcd.kms if facts.etcd is not None else None:
        told = replace(told, status=False, reason=Reason.KEY_NOT_USABLE, message=f"{trouble}; {message}")
    return Plan((), (told,), min(KMS_SECONDS, left) if left is not None else KMS_SECONDS)


def _told(ring: Ring, what: str) -> Finding:
    number = _STEPS.index(ring.stage) + 1 if ring.stage in _STEPS else 0
    message = f"the key of Secrets in etcd changes, step {number} of {len(_STEPS)}: {what}; Secrets stay readable"
    return Finding(CONDITION, True, Reason.ENCRYPTION_KEY_ROTATING, message)


def _waiting(facts: Facts, place: Place, ring: Ring) -> Plan:
    what = {"added": "the new key", "first": "that the new key writes"}.get(ring.stage, "that the old key is gone")
    message = f"kube-apiserver has to read {what}"
    if facts.now - ring.since < READ_WITHIN:
        return Plan((), (_told(ring, f"{message}, since {timestamp(ring.since)}"),), ASK_SECONDS)
    says = facts.etcd is not None and bool(facts.etcd.loaded)
    if facts.etcd is not None and facts.etcd.kms and wants_kms(facts, place):
        # Its own words, which are the plugin's: with which code KMS refuses, and what allows it.
        told = f"{message}, and does not encrypt with the KMS key: {facts.etcd.kms}; {_back(ring)}"
        return Plan((), (Finding(CONDITION, False, Reason.KEY_NOT_USABLE, told),), ASK_SECONDS)
    step = (
        f"`kubectl rollout restart statefulset {NAME} -n {place.host_namespace}` makes it read the file at once"
        if says
        else f"it does not say what it has read (metric {METRIC}): kube-apiserver 1.36 does"
    )
    told = f"{message}, and has not since {timestamp(ring.since)}; both keys read meanwhile, nothing is lost; {step}"
    return Plan((), (Finding(CONDITION, False, Reason.ENCRYPTION_CONFIG_NOT_READ, told),), ASK_SECONDS)


def _back(ring: Ring) -> str:
    """What helps where the key cannot be mended."""
    if ring.stage == "added":
        value = "controlPlanes.kubernetes.encryption.kmsKeyId"
        return f"nothing is written with it yet: another {value}, or null, takes it back"
    return "what it encrypted needs it: it goes on once KMS allows it again"


def _refused(facts: Facts, refused: list[Written], left: int) -> Finding:
    named = sorted(f"{each.name.namespace}/{each.name.name} ({facts.rewritten[each]})" for each in refused)
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    message = (
        f"{counted(left, 'Secret')} left to write with the new key, of which refused: {', '.join(named[:3])}{more}; "
        f"tried again each {REFUSED_SECONDS:.0f} seconds, and the old key stays so long; a webhook or a policy inside "
        "that refuses updates of Secrets that change nothing has to admit them"
    )
    return Finding(CONDITION, False, Reason.SECRETS_NOT_REWRITTEN, message)


def wants_loaded(facts: Facts, place: Place) -> bool:
    """Whether the next step needs to know what kube-apiserver has read."""
    ring = ring_of(facts.host.get(encryption_key(place)))
    return ring is not None and ring.stage != "current" and not (ring.stage == "settling" and _settles(facts, ring))


def wants_kms(facts: Facts, place: Place) -> bool:
    """Whether a KMS key takes part in what kube-apiserver is told."""
    ring = ring_of(facts.host.get(encryption_key(place)))
    return ring is not None and any(each.kms for each in ring.keys)


def wants_met(facts: Facts, place: Place) -> bool:
    """Whether kube-apiserver has read its last file of a change to a KMS key, and has data keys to learn anew."""
    ring = ring_of(facts.host.get(encryption_key(place)))
    return ring is not None and ring.stage == "removed" and bool(ring.keys[0].kms) and _is_loaded(facts, place)


def wants_secrets(facts: Facts, place: Place) -> bool:
    """Whether the next step needs to know all Secrets inside."""
    ring = ring_of(facts.host.get(encryption_key(place)))
    return ring is not None and (ring.stage == "rewriting" or (ring.stage == "settling" and not _settles(facts, ring)))


def _settles(facts: Facts, ring: Ring) -> bool:
    return facts.now < ring.since + SETTLE
