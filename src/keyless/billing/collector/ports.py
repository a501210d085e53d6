"""What the collector needs from outside, in its own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from keyless.billing.ledger.capacity_used import Used
from keyless.billing.ledger.model import ChainHead, Gvk, HeadSignature, Member, Metered, Polled, Unknown


@dataclass(frozen=True, slots=True)
class Put:
    """A write after which the bytes are there.

    ``request_id`` is S3's own of the request that stored them; empty where they were there already, or may have been.
    ``at`` is the answer's ``Date``, None where it had none.
    """

    request_id: str = ""
    at: datetime | None = None


class ObjectStore(Protocol):
    """A bucket that this collector may add to."""

    async def put_new(self, key: str, body: bytes, content_type: str) -> Put:
        """Write unless the key is taken. Raises ``Transient`` or ``Permanent`` with AWS's ``code``."""

    async def identity(self) -> str:
        """The ARN of the session that writes. Raises as ``put_new`` does."""

    async def learn_time(self) -> None:
        """Ask for nothing but the time, without credentials; no answer is no failure."""

    async def last(self, prefixes: Sequence[str]) -> tuple[str, bytes] | None:
        """The greatest key below the first of ``prefixes`` that holds any, and its bytes.

        Needs rights that a collector may lack: raises as ``put_new`` does.
        """


@dataclass(frozen=True, slots=True)
class Counts:
    """What is known at this moment, without asking anybody.

    ``peaks`` are, by the hour in which they were seen, the most that there were since the last counts, where that is
    more than before and after. ``failure`` (one word, then a text) says that nothing at all is known.
    """

    counts: Mapping[Gvk, int] = field(default_factory=dict)
    peaks: Mapping[datetime, Mapping[Gvk, int]] = field(default_factory=dict)
    unknown: Mapping[Gvk, Unknown] = field(default_factory=dict)
    polled: Polled | None = None
    failure: tuple[str, str] | None = None


class Counter(Protocol):
    """The managed resources of one control plane."""

    def counts(self) -> Counts:
        """How many there are of every kind; peaks begin anew."""

    def metered(self, at: datetime, *, whole: bool) -> Metered | None:
        """The dimensions of the counts told last: what has changed since the last call, or ``whole``."""

    async def settled(self) -> None:
        """Return when every kind was counted once, or had its time."""

    async def changed(self) -> None:
        """Return when a count has changed since the last :meth:`counts`."""


@dataclass(frozen=True, slots=True)
class Said:
    """A condition of this collector's ControlPlane."""

    type: str
    status: bool
    reason: str
    message: str


class HeadSigner(Protocol):
    """The key that signs manifests."""

    async def sign(self, sha256: str) -> HeadSignature:
        """The signature of a manifest's SHA-256. Raises ``Transient`` or ``Permanent``."""


class Host(Protocol):
    """The Space's own API, as far as the collector looks at it."""

    def census(self) -> tuple[Member, ...]:
        """The control planes that exist, and those that went not long ago."""

    def heads(self) -> tuple[ChainHead, ...]:
        """The ends of the chains of a few other control planes, as their collectors told them."""

    def own(self) -> Member:
        """This collector's control plane."""

    def labels(self) -> Mapping[str, str]:
        """The labels of this collector's ControlPlane."""

    def stored(self, head: ChainHead, used: Used | None = None, signature: HeadSignature | None = None) -> None:
        """Keep this head of the own chain, what was used of a capacity up to it, and its signature."""

    def used(self, since: str) -> Used | None:
        """What an earlier pod told of the capacity that began on the day ``since``."""

    async def report(self, *said: Said) -> None:
        """Set conditions on this collector's ControlPlane; the others of ours stay."""
