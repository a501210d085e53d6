"""Where keys, aliases and grants are kept and found, and where material is unwrapped.

States of before had one material for each key, in plain base64: they are wrapped when the ring is made.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyless.local.cloud.database import Database
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.kms.model import (
    DAY_SECONDS,
    SYMMETRIC,
    Alias,
    Grant,
    Key,
    Material,
    Rotation,
    grant_of,
    key_of,
)
from keyless.local.cloud.kms.policies import MANAGED_BY, managed_policy
from keyless.local.cloud.kms.rootkey import RootKey

KIND, ALIAS, GRANTS = "kms-key", "kms-alias", "kms-grants"
_MANAGED_ALIAS = "alias/aws/"
_MANAGED_PERIOD_DAYS = 365
_ID = re.compile(r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Where(Protocol):
    """Where and when a key is asked for: a call, or :class:`Place` where there is none."""

    @property
    def account(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def now(self) -> float: ...

    def arn(self, resource: str, *, service: str = "") -> str:
        """An ARN there."""


@dataclass(frozen=True, slots=True)
class Place:
    """An account and region at a time, for work that no caller asked for."""

    account: str
    region: str
    now: float

    def arn(self, resource: str, *, service: str = "") -> str:
        """An ARN there."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is made from; ``material``: its secret bytes."""

    description: str
    policy: str
    material: bytes
    manager: str = "CUSTOMER"
    spec: str = SYMMETRIC
    usage: str = "ENCRYPT_DECRYPT"


class Keyring:
    """All keys of the account in this region."""

    def __init__(self, database: Database, root_key: bytes = b"") -> None:
        self._database = database
        self.connection = database.connection
        self._root = RootKey(database, root_key)
        self._bring_forward()

    # Finding

    def existing(self, where: Where, named: str) -> Key:
        """The key that an id, an ARN, an alias or an alias's ARN means; raises NotFoundException."""
        name = _local_name(where, named)
        if name.startswith("alias/"):
            alias = self.alias(name, where.now)
            if alias is None and name.removeprefix(_MANAGED_ALIAS) in MANAGED_BY:
                return self._managed(where, name)
            key = self.find(alias.key, where.now) if alias else None
            if key is None:
                raise AwsError("NotFoundException", f"Alias {where.arn(name, service='kms')} is not found.")
            return key
        key_id = name.removeprefix("key/")
        if not _ID.fullmatch(key_id):
            raise AwsError("NotFoundException", f"Invalid keyId '{named}'")
        if (found := self.find(key_id, where.now)) is None:
            raise AwsError("NotFoundException", f"Key '{where.arn(f'key/{key_id}', service='kms')}' does not exist")
        return found

    def find(self, key_id: str, now: float) -> Key | None:
        """The key as it is now: gone after its deletion's date, rotated where that is due."""
        document = self._database.get(KIND, key_id)
        if document is None:
            return None
        key = key_of(document)
        if key.deletion is not None and key.deletion <= now:
            return None
        if key.rotation is not None and key.rotation.next <= now and key.state == "Enabled":
            return self._rotated_when_due(key, now)
        return key

    def all(self, now: float) -> Iterator[Key]:
        """Every key by id; those whose date has come are forgotten for good on the way."""
        for document in self._database.all(KIND):
            if key := self.find(document["id"], now):
                yield key
            else:
                self._forget(document["id"])

    # Keys

    def make(self, where: Where, new: NewKey, tags: dict[str, str] | None = None) -> Key:
        """Keep a new key."""
        key_id = str(uuid4())
        key = Key(
            id=key_id,
            arn=where.arn(f"key/{key_id}", service="kms"),
            created=where.now,
            policy=new.policy,
            materials=(self._material(key_id, new.material, where.now),),
            description=new.description,
            manager=new.manager,
            spec=new.spec,
            usage=new.usage,
            tags=tags or {},
        )
        self.keep(key)
        return key

    def keep(self, key: Key) -> None:
        """Write a key."""
        self._database.put(KIND, key.id, key)

    def rotated(self, key: Key, now: float, kind: str) -> Key:
        """The key with a new material, kept; ``kind``: AUTOMATIC or ON_DEMAND."""
        material = self._material(key.id, AESGCM.generate_key(256), now, kind)
        rotated = replace(key, materials=(*key.materials, material))
        self.keep(rotated)
        return rotated

    def material(self, key: Key, number: int = -1) -> bytes | None:
        """The secret bytes of one material, the newest by default; None where there is no such number."""
        if number >= len(key.materials):
            return None
        return self._root.unwrap(key.materials[number].wrapped, key.id)

    # Aliases

    def alias(self, name: str, now: float) -> Alias | None:
        """The alias of that name (``alias/…``), as long as there is its key."""
        document = self._database.get(ALIAS, name)
        alias = Alias(**document) if document else None
        return alias if alias and self.find(alias.key, now) else None

    def aliases(self) -> list[Alias]:
        """Every alias by name, those of keys that are gone included."""
        return [Alias(**document) for document in self._database.all(ALIAS)]

    def names_of(self, key_id: str) -> tuple[str, ...]:
        """The names of a key's aliases."""
        rows = self._database.connection.execute(
            "SELECT key FROM cloud_document WHERE kind = ? AND json_extract(body, '$.key') = ?", (ALIAS, key_id)
        )
        return tuple(name for (name,) in rows)

    def keep_alias(self, alias: Alias) -> None:
        """Write an alias."""
        self._database.put(ALIAS, alias.name, alias)

    def forget_alias(self, name: str) -> None:
        """Remove an alias."""
        self._database.remove(ALIAS, name)

    # Grants

    def grants(self, key_id: str) -> tuple[Grant, ...]:
        """The grants on a key, oldest first."""
        return tuple(grant_of(document) for document in self._database.get(GRANTS, key_id) or ())

    def keep_grants(self, key_id: str, grants: Sequence[Grant]) -> None:
        """Write the grants on a key."""
        self._database.put(GRANTS, key_id, list(grants))

    # Inside

    def _managed(self, where: Where, name: str) -> Key:
        """The account's own key of a service, made when it is first used or described, as on AWS."""
        service = name.removeprefix(_MANAGED_ALIAS)
        new = NewKey(
            description=f"Default key that protects my {service} data when no other key is defined",
            policy=managed_policy(service, where.account, where.region),
            material=AESGCM.generate_key(256),
            manager="AWS",
        )
        key = replace(self.make(where, new), rotation=_yearly(where.now))
        self.keep(key)
        self.keep_alias(Alias(name, key.id, where.now, where.now))
        return key

    def _rotated_when_due(self, key: Key, now: float) -> Key:
        assert key.rotation is not None
        period = key.rotation.period_days * DAY_SECONDS
        # A Space that was off for years owes one rotation, not one for each year.
        rotation = replace(key.rotation, next=key.rotation.next + (now - key.rotation.next) // period * period + period)
        return self.rotated(replace(key, rotation=rotation), now, "AUTOMATIC")

    def _material(self, key_id: str, secret: bytes, now: float, rotation: str = "") -> Material:
        return Material(uuid4().hex + uuid4().hex, self._root.wrap(secret, key_id), now, rotation)

    def _forget(self, key_id: str) -> None:
        self._database.remove(KIND, key_id)
        self._database.remove(GRANTS, key_id)
        for name in self.names_of(key_id):
            self.forget_alias(name)

    def _bring_forward(self) -> None:
        old = [document for document in self._database.all(KIND) if "material" in document]
        if old:
            with self._database.rewriting():
                for document in old:
                    self.keep(self._forward(document))

    def _forward(self, old: dict[str, Any]) -> Key:
        """A key of version 1: one material in plain base64, and one policy for all, AWS's own keys too."""
        material = self._material(old["id"], b64decode(old.pop("material")), old["created"])
        key = key_of({**old, "materials": []})
        service = old["description"].removeprefix(f"Default key for {_MANAGED_ALIAS}")
        if key.manager == "AWS" and service in MANAGED_BY:
            _, _, _, region, account, _ = key.arn.split(":", 5)
            key = replace(key, policy=managed_policy(service, account, region))
        return replace(key, materials=(material,))


def _yearly(now: float) -> Rotation:
    return Rotation(_MANAGED_PERIOD_DAYS, now + _MANAGED_PERIOD_DAYS * DAY_SECONDS)


def _local_name(where: Where, named: str) -> str:
    """What follows the account in an ARN of this account and region; a name that is no ARN stays."""
    if not named.startswith("arn:"):
        return named
    segments = named.split(":", 5)
    if len(segments) != 6 or segments[2] != "kms":
        raise AwsError("InvalidArnException", f"Invalid arn {named}")
    _, _, _, region, account, name = segments
    if region != where.region:
        raise AwsError("NotFoundException", f"Invalid arn {region}")
    if account != where.account:
        raise AwsError("NotFoundException", f"Key '{named}' does not exist")
    return name
