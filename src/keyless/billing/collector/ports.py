"""What the collector needs from outside, in its own words."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from keyless.billing.ledger.model import Gvk, Member


class Put(Enum):
    """How a conditional write ended; both mean that the bytes are there."""

    STORED = "stored"
    ALREADY_THERE = "already there"


class ObjectStore(Protocol):
    """A bucket that this collector may only add to."""

    async def put_new(self, key: str, body: bytes, content_type: str) -> Put:
        """Write unless the key is taken. Raises ``Transient`` or ``Permanent`` with AWS's ``code``."""

    async def identity(self) -> str:
        """The ARN of the session that writes. Raises as ``put_new`` does."""


class Counter(Protocol):
    """The managed resources of one control plane."""

    async def counts(self) -> dict[Gvk, int]:
        """How many there are of every kind, now and completely; raises ``Transient`` or ``Permanent``."""

    async def changed(self) -> None:
        """Return when a count has changed since the last :meth:`counts`."""


class Host(Protocol):
    """The Space's own API, as far as the collector looks at it."""

    async def census(self) -> tuple[Member, ...]:
        """The control planes that exist now."""

    async def report(self, *, stored: bool, reason: str, message: str) -> None:
        """Set the condition ``BillingStored`` on this collector's ControlPlane."""
