"""The authorities of a control plane, and how far the change from one to the next is. Pure.

Until the first change there is one, in the immutable Secret of keys. From then on Secret ``control-plane-authority``
has all that count: the first one signs, all of them are trusted. What each stage waits for:
``space/control_planes/renewal.py``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keyless.kube import KubeObject, timestamp
from keyless.serving.certificates import SLACK
from keyless.space.items import CONTROL_PLANE_LABEL, Item, item
from keyless.space.kubernetes.names import authority_key
from keyless.space.place import Place

Stage = Literal["current", "added", "signing", "dropped"]
"""``added``: the new one is trusted beside the old one, which signs. ``signing``: the new one signs, the old one is
trusted. ``dropped``: the old one is trusted no more, and whoever still does has to read that."""
Why = Literal["", "ended", "lost"]
"""Why the last change was none that could be waited for."""
_DATA = "authorities"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and its key, as PEM; the key is empty where it was lost."""

    certificate: str
    key: str = field(repr=False)

    @property
    def begins(self) -> datetime:
        """From when on it counts."""
        return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_before_utc

    @property
    def ends(self) -> datetime:
        """Until when what it signed is believed."""
        return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc

    def holds(self, now: datetime) -> bool:
        """Whether anybody believes what it signs now."""
        return bool(self.key) and self.begins <= now + SLACK and now < self.ends


@dataclass(frozen=True, slots=True)
class Authorities:
    """``quick``: the change was asked for, and the old one goes before its end."""

    all: tuple[Authority, ...]
    since: datetime
    """When the stage began."""
    stage: Stage = "current"
    asked: str = ""
    """What was asked for last, so that it is done once."""
    quick: bool = False
    restart: str = ""
    """What the pod's template carries: with another one it begins anew, for what reads its files at a start alone."""
    why: Why = ""

    @property
    def first(self) -> Authority:
        """The one that signs."""
        return self.all[0]

    @property
    def bundle(self) -> str:
        """All that are trusted, as PEM, the one that signs first."""
        kept = self.all[:1] if self.stage == "dropped" else self.all
        return "".join(f"{each.certificate.strip()}\n" for each in kept)

    @property
    def mark(self) -> str:
        """What says which are trusted, whatever their order."""
        kept = self.all[:1] if self.stage == "dropped" else self.all
        return hashlib.sha256("".join(sorted(each.certificate for each in kept)).encode()).hexdigest()[:16]

    def at(self, stage: Stage, now: datetime) -> Authorities:
        """The same ones, one stage on."""
        return replace(self, stage=stage, since=now)

    def adding(self, new: Authority, now: datetime) -> Authorities:
        """With a new one that is trusted; the one that signs stays the first."""
        return Authorities((self.first, new), now, "added", self.asked, self.quick, self.restart)

    def led_by(self, new: Authority, now: datetime, why: Why) -> Authorities:
        """A new one signs at once, for nothing else can; what was trusted stays so, and everybody begins anew."""
        stage: Stage = "signing" if self.all else "current"
        made = Authorities((new, *self.all), now, stage, self.asked, quick=bool(self.all), why=why)
        return made.restarting()

    def turned(self, now: datetime) -> Authorities:
        """The new one signs."""
        first, new = self.all
        return replace(self, all=(new, first), stage="signing", since=now)

    def forced(self, now: datetime) -> Authorities:
        """The new one signs at once, for the old one has ended, and everybody begins anew."""
        return replace(self.turned(now), quick=True, why="ended").restarting()

    def reduced(self, now: datetime) -> Authorities:
        """Only the one that signs."""
        return replace(self, all=self.all[:1], stage="current", since=now, quick=False)

    def restarting(self) -> Authorities:
        """The pod begins anew with what is trusted now."""
        return replace(self, restart=self.mark)


def authorities_item(place: Place, found: Authorities) -> Item:
    """The Secret that holds them. Not immutable; whoever writes it shows the version that was read."""
    document = {
        "authorities": [{"certificate": each.certificate, "key": each.key} for each in found.all],
        "stage": found.stage,
        "since": timestamp(found.since),
        "asked": found.asked,
        "quick": found.quick,
        "restart": found.restart,
        "why": found.why,
    }
    key = authority_key(place)
    data = {_DATA: base64.b64encode(json.dumps(document).encode()).decode()}
    labels = {CONTROL_PLANE_LABEL: place.control_plane_id}
    return item(key.resource, key.name, key.namespace, labels=labels, type="Opaque", data=data)


def authorities_of(secret: KubeObject | None) -> Authorities | None:
    """What a Secret holds; None where it is not there or not whole."""
    try:
        document = json.loads(base64.b64decode(((secret or {}).get("data") or {})[_DATA], validate=True))
        every = tuple(_authority(each) for each in document["authorities"])
        stage, why, quick = document["stage"], document["why"], document["quick"]
        asked, restart = document["asked"], document["restart"]
        since = datetime.fromisoformat(document["since"])
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError, UnsupportedAlgorithm):
        return None
    texts = all(isinstance(each, str) for each in (asked, restart))
    words = stage in get_args(Stage) and why in get_args(Why) and isinstance(quick, bool) and texts
    # At rest there is one, on the way an old one and a new one; more only where the Secret itself was lost.
    fits = len(every) == 1 if stage == "current" else len(every) == 2 if stage == "added" else len(every) > 1
    if not (words and fits and since.tzinfo):
        return None
    return Authorities(every, since, stage, asked, quick, restart, why)


def certificates_in(bundle: str) -> tuple[str, ...]:
    """Each certificate of a bundle, as PEM; none where it cannot be read."""
    end = "-----END CERTIFICATE-----\n"
    parts = tuple(f"{each.strip()}\n{end}" for each in bundle.split(end.strip()) if each.strip())
    try:
        for each in parts:
            x509.load_pem_x509_certificate(each.encode())
    except ValueError:
        return ()
    return parts


def _authority(told: Mapping[str, object]) -> Authority:
    certificate, key = told["certificate"], told["key"]
    if not (isinstance(certificate, str) and isinstance(key, str)):
        raise TypeError(certificate)
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if key and load_pem_private_key(key.encode(), None).public_key() != public:
        raise ValueError("expected the certificate's own key")  # nobody would believe what it signs
    return Authority(certificate, key)
