"""The keys that Secrets in etcd are encrypted with, and how far a change of them is. Pure.

Until the first change the key is the one in the immutable Secret of keys. From then on Secret
``control-plane-encryption`` has all of them, in the order in which kube-apiserver is told them: the first one writes,
all of them read. A step on the way is a stage; what each waits for: ``space/control_planes/rotation.py``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

from keyless.api.sealed_by import KmsKey, Sealer, kms_key
from keyless.backup.sealing import name_of, number_of
from keyless.kube import KubeObject, timestamp
from keyless.space.items import CONTROL_PLANE_LABEL, Item, item
from keyless.space.kubernetes.names import encryption_key
from keyless.space.place import Place

Stage = Literal["current", "added", "first", "settling", "rewriting", "removed"]
"""``added``: the new key reads. ``first``: it writes. ``settling``: what was being written with the old one ends.
``rewriting``: what was written before is written again. ``removed``: the old one is taken from kube-apiserver."""
_DATA = "ring"


@dataclass(frozen=True, slots=True)
class Held:
    """A key of 32 bytes in base64, or a KMS key; what lies in etcd names it."""

    name: str
    secret: str = field(repr=False)
    made_at: datetime
    kms: str = ""
    """The ``KeyId`` of a KMS key, which has no secret here."""
    of: str = ""
    """The control plane for which that encrypts."""

    @classmethod
    def from_sealer(cls, sealer: Sealer, made_at: datetime) -> Held:
        """Of what an EncryptionConfiguration names."""
        if isinstance(sealer, KmsKey):
            return cls(sealer.name, "", made_at, sealer.key_id, sealer.control_plane_id)
        return cls(*sealer, made_at)

    @property
    def sealer(self) -> Sealer:
        """As an EncryptionConfiguration names it."""
        return KmsKey(self.name, self.kms, self.of) if self.kms else (self.name, self.secret)


@dataclass(frozen=True, slots=True)
class Ring:
    """``mark``: the resourceVersion up to which Secrets may be encrypted with an older key than the first."""

    keys: tuple[Held, ...]
    since: datetime
    """When the stage began."""
    stage: Stage = "current"
    mark: int = 0
    asked: str = ""
    """What was asked for last, so that it is done once."""

    @property
    def sealers(self) -> tuple[Sealer, ...]:
        """The one that is written with first."""
        return tuple(each.sealer for each in self.keys)

    def at(self, stage: Stage, now: datetime, *, mark: int = 0) -> Ring:
        """The same keys, one stage on or back."""
        return replace(self, stage=stage, since=now, mark=mark)

    def adding(self, key: Held, asked: str) -> Ring:
        """With a new key that reads; the one that writes stays the first."""
        first, *older = self.keys
        return Ring((first, key, *older), key.made_at, "added", asked=asked)

    def turned(self, now: datetime) -> Ring:
        """The new key writes; all others read."""
        first, new, *older = self.keys
        return replace(self, keys=(new, first, *older), stage="first", since=now)

    def dropped(self, now: datetime) -> Ring:
        """Without the new key, with which nothing was written yet."""
        first, _new, *older = self.keys
        return replace(self, keys=(first, *older), stage="removed", since=now)

    def reduced(self, now: datetime) -> Ring:
        """Only the key that writes."""
        return replace(self, keys=self.keys[:1], stage="removed", since=now, mark=0)


def next_name(keys: Iterable[Held], control_plane_id: str) -> str:
    """A name that no key of this or another control plane ever had: what lies in etcd finds its key by it."""
    known = max((number_of(each.name, control_plane_id) for each in keys), default=0)
    return name_of(control_plane_id, max(known, 1) + 1)


def ring_item(place: Place, ring: Ring) -> Item:
    """The Secret that holds them. Not immutable; whoever writes it shows the version that was read."""
    keys = [_written(each) for each in ring.keys]
    document = {
        "keys": keys,
        "stage": ring.stage,
        "since": timestamp(ring.since),
        "mark": ring.mark,
        "asked": ring.asked,
    }
    key = encryption_key(place)
    data = {_DATA: base64.b64encode(json.dumps(document).encode()).decode()}
    labels = {CONTROL_PLANE_LABEL: place.control_plane_id}
    return item(key.resource, key.name, key.namespace, labels=labels, type="Opaque", data=data)


def ring_of(secret: KubeObject | None) -> Ring | None:
    """What a Secret holds; None where it is not there or not whole."""
    try:
        document = json.loads(base64.b64decode(((secret or {}).get("data") or {})[_DATA], validate=True))
        keys = tuple(_held(each) for each in document["keys"])
        stage, mark, asked = document["stage"], document["mark"], document["asked"]
        since = datetime.fromisoformat(document["since"])
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    whole = keys and stage in get_args(Stage) and isinstance(mark, int) and isinstance(asked, str) and since.tzinfo
    names = {each.name for each in keys}
    # A stage on the way has an old key and a new one.
    fits = len(names) == len(keys) and (len(keys) > 1 or stage in ("current", "removed"))
    return Ring(keys, since, stage, mark, asked) if whole and fits else None


def _written(key: Held) -> dict[str, str]:
    what = {"kms": key.kms, "of": key.of} if key.kms else {"secret": key.secret}
    return {"name": key.name, **what, "madeAt": timestamp(key.made_at)}


def _held(told: Mapping[str, object]) -> Held:
    name, made_at = told["name"], told["madeAt"]
    if not isinstance(made_at, str):
        raise TypeError(made_at)
    at = datetime.fromisoformat(made_at)
    if at.tzinfo is None:
        raise ValueError(made_at)
    if "kms" in told:
        return Held.from_sealer(kms_key({"name": name, "key": told["kms"], "of": told["of"]}), at)
    secret = told["secret"]
    if not (isinstance(name, str) and isinstance(secret, str) and name and secret):
        raise TypeError(name)
    return Held(name, secret, at)
