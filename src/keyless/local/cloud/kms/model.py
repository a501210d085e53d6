"""What KMS keeps: keys with their materials, aliases, grants. Values only; stored as JSON documents.

A document of an older version lacks members: each has a default, and :mod:`keyring` brings the rest forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DAY_SECONDS = 86400
SYMMETRIC = "SYMMETRIC_DEFAULT"


@dataclass(frozen=True, slots=True)
class Material:
    """What a key encrypts or signs with, wrapped under the root key (base64)."""

    id: str
    wrapped: str
    created: float
    #: why it is there: empty for the first one, else AUTOMATIC or ON_DEMAND
    rotation: str = ""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Automatic rotation, once enabled."""

    period_days: int
    next: float


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``materials``: the newest is last and encrypts; the older ones only open what they sealed."""

    id: str
    arn: str
    created: float
    policy: str
    materials: tuple[Material, ...]
    description: str = ""
    manager: str = "CUSTOMER"  # or AWS
    spec: str = SYMMETRIC
    usage: str = "ENCRYPT_DECRYPT"
    enabled: bool = True
    deletion: float | None = None
    rotation: Rotation | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """AWS's word for it."""
        if self.deletion is not None:
            return "PendingDeletion"
        return "Enabled" if self.enabled else "Disabled"


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a key; ``alias/aws/…`` are AWS's."""

    name: str
    key: str
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to use a key, given beside its policy. Constraints are pairs of the encryption context."""

    id: str
    grantee: str
    operations: tuple[str, ...]
    created: float
    name: str = ""
    retiring: str = ""
    subset: Mapping[str, str] | None = None
    equals: Mapping[str, str] | None = None


def key_of(document: Mapping[str, Any]) -> Key:
    """A key from its document."""
    read = dict(document)
    read["materials"] = tuple(Material(**material) for material in read["materials"])
    read["rotation"] = Rotation(**read["rotation"]) if read.get("rotation") else None
    return Key(**read)


def grant_of(document: Mapping[str, Any]) -> Grant:
    """A grant from its document."""
    return Grant(**{**document, "operations": tuple(document["operations"])})
