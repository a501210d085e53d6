"""Where IAM's objects live: written at once, seen by decisions after the propagation delay.

``role()`` and the like answer reads and role checks with what was written; ``effective_role()`` and the like answer
decisions with what has taken effect. Pages, names without regard to case and "who uses this" come from indexes: an
account may have ten thousand roles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import orjson

from keyless.local.cloud.database import Database, EffectiveFacts
from keyless.local.cloud.iam.managed import AWS_MANAGED
from keyless.local.cloud.iam.model import (
    AccessKey,
    Group,
    InstanceProfile,
    ManagedPolicy,
    OidcProvider,
    PolicyVersion,
    Role,
    User,
    provider_resource,
)

STEPS = (
    """
    CREATE INDEX iam_name ON cloud_document (kind, lower(key));
    CREATE INDEX iam_policy_name ON cloud_document (lower(json_extract(body, '$.name'))) WHERE kind = 'iam-policy';
    CREATE INDEX iam_key_of ON cloud_document (json_extract(body, '$.user')) WHERE kind = 'iam-access-key';
    CREATE TABLE iam_unique_id (id TEXT PRIMARY KEY, arn TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE iam_use (
        used TEXT, how TEXT, kind TEXT, name TEXT, PRIMARY KEY (used, how, kind, name)
    ) WITHOUT ROWID;
    CREATE INDEX iam_user_of ON iam_use (kind, name);
    INSERT OR IGNORE INTO iam_unique_id
        SELECT json_extract(body, '$.id'), json_extract(body, '$.arn') FROM cloud_document
        WHERE kind IN ('iam-role', 'iam-user');
    INSERT OR IGNORE INTO iam_use
        SELECT value, 'attached', kind, cloud_document.key FROM cloud_document, json_each(body, '$.attached')
        WHERE kind IN ('iam-role', 'iam-user');
    INSERT OR IGNORE INTO iam_use
        SELECT json_extract(body, '$.boundary'), 'boundary', kind, key FROM cloud_document
        WHERE kind IN ('iam-role', 'iam-user') AND json_extract(body, '$.boundary') <> '';
    """,
)
Kind = Literal["iam-role", "iam-user", "iam-group", "iam-policy", "iam-provider", "iam-profile"]
How = Literal["attached", "boundary", "member", "role"]
Holder = Role | User | Group
_ROWS_AT_ONCE = 200


class Directory:
    """All of IAM of one account."""

    def __init__(
        self, database: Database, *, account: str, propagation_delay_seconds: float, now: Callable[[], float]
    ) -> None:
        database.migrate("iam", STEPS)
        self.database = database
        self.account = account
        self.propagation_delay_seconds = propagation_delay_seconds
        #: how much longer than that it takes on a bad day
        self.more_delay_seconds: Callable[[], float] = float
        self.now = now
        self.facts = EffectiveFacts(database)

    # Written: reads see it at once --------------------------------------------------------------------------------

    def role(self, name: str) -> Role | None:
        """The role as last written."""
        return _role(self.database.get("iam-role", name))

    def user(self, name: str) -> User | None:
        """The user as last written."""
        return _user(self.database.get("iam-user", name))

    def group(self, name: str) -> Group | None:
        """The group as last written."""
        return _group(self.database.get("iam-group", name))

    def profile(self, name: str) -> InstanceProfile | None:
        """The instance profile as last written."""
        return _profile(self.database.get("iam-profile", name))

    def policy(self, arn: str) -> ManagedPolicy | None:
        """The managed policy as last written; AWS's own are always there."""
        return AWS_MANAGED.get(arn) or _policy(self.database.get("iam-policy", arn))

    def provider(self, arn: str) -> OidcProvider | None:
        """The identity provider as last written."""
        return _provider(self.database.get("iam-provider", arn))

    def access_key(self, key_id: str) -> AccessKey | None:
        """The key of a user."""
        found = self.database.get("iam-access-key", key_id)
        return AccessKey(**found) if found else None

    def each(self, kind: Kind, *, after: str = "") -> Iterator[Any]:
        """The objects of a kind in the order of their keys, beginning behind the key ``after``; read as they are
        taken."""
        decode = _DECODERS[kind]
        while rows := self._rows(kind, after):
            for key, body in rows:
                after = key
                yield decode(body)

    def _rows(self, kind: Kind, after: str) -> list[tuple[str, Any]]:
        query = "SELECT key, body FROM cloud_document WHERE kind = ? AND key > ? ORDER BY key LIMIT ?"
        rows = self.database.connection.execute(query, (kind, after, _ROWS_AT_ONCE))
        return [(key, orjson.loads(body)) for key, body in rows]

    def providers(self) -> list[OidcProvider]:
        """All identity providers, by ARN."""
        return list(self.each("iam-provider"))

    def access_keys(self, user: str) -> list[AccessKey]:
        """The keys of one user."""
        query = "SELECT body FROM cloud_document WHERE kind = 'iam-access-key' AND json_extract(body, '$.user') = ?"
        rows = self.database.connection.execute(f"{query} ORDER BY key", (user,))
        return [AccessKey(**orjson.loads(row[0])) for row in rows]

    def taken(self, kind: Kind, name: str) -> bool:
        """Whether there is one of that name, without regard to case."""
        connection = self.database.connection
        if kind == "iam-policy":  # its key is the ARN, and a name is taken whatever its path
            query = "SELECT 1 FROM cloud_document WHERE kind = 'iam-policy' AND lower(json_extract(body, '$.name')) = ?"
            return connection.execute(query, (name.lower(),)).fetchone() is not None
        query = "SELECT 1 FROM cloud_document WHERE kind = ? AND lower(key) = ?"
        return connection.execute(query, (kind, name.lower())).fetchone() is not None

    def uses(self, used: str, how: How) -> list[tuple[str, str]]:
        """(kind, name) of all that use a policy (by ARN), a group or a role (by name), such as ("iam-role", "a")."""
        query = "SELECT kind, name FROM iam_use WHERE used = ? AND how = ? ORDER BY kind, name"
        return [(kind, name) for kind, name in self.database.connection.execute(query, (used, how))]

    def count_uses(self, used: str, how: How) -> int:
        """How many there are."""
        query = "SELECT count(*) FROM iam_use WHERE used = ? AND how = ?"
        return int(self.database.connection.execute(query, (used, how)).fetchone()[0])

    # Writing ------------------------------------------------------------------------------------------------------

    def save(self, holder: Holder, *, at_once: bool = False) -> None:
        """Write a role, user or group; decisions follow after the delay."""
        kind = _KINDS[type(holder)]
        with self.database.transaction() as connection:
            self._save(kind, holder.name, holder, at_once=at_once)
            if not isinstance(holder, Group):
                connection.execute("INSERT OR REPLACE INTO iam_unique_id VALUES (?, ?)", (holder.id, holder.arn))
            uses: list[tuple[str, How]] = [(arn, "attached") for arn in holder.attached]
            if not isinstance(holder, Group) and holder.boundary:
                uses.append((holder.boundary, "boundary"))
            if isinstance(holder, User):
                uses += [(group, "member") for group in holder.groups]
            self._use(kind, holder.name, uses)

    def save_profile(self, profile: InstanceProfile) -> None:
        """Write an instance profile."""
        with self.database.transaction():
            self.database.put("iam-profile", profile.name, profile)
            self._use("iam-profile", profile.name, [(profile.role, "role")] if profile.role else [])

    def save_policy(self, policy: ManagedPolicy) -> None:
        """Write a managed policy; decisions follow after the delay."""
        self._save("iam-policy", policy.arn, policy)

    def save_provider(self, provider: OidcProvider) -> None:
        """Write an identity provider; decisions follow after the delay."""
        self._save("iam-provider", provider.arn, provider)

    def save_access_key(self, key: AccessKey) -> None:
        """Write a user's key; it signs at once."""
        self.database.put("iam-access-key", key.id, key)

    def remove(self, kind: Kind, key: str) -> None:
        """Delete an object; decisions follow after the delay. Its unique id never comes again."""
        with self.database.transaction() as connection:
            body = self.database.get(kind, key)
            self.database.remove(kind, key)
            self._take_effect(f"{kind}/{key}", None)
            self._use(kind, key, [])
            if body and "id" in body:
                connection.execute("DELETE FROM iam_unique_id WHERE id = ?", (body["id"],))

    def _use(self, kind: str, name: str, uses: list[tuple[str, How]]) -> None:
        connection = self.database.connection
        connection.execute("DELETE FROM iam_use WHERE kind = ? AND name = ?", (kind, name))
        connection.executemany(
            "INSERT OR IGNORE INTO iam_use VALUES (?, ?, ?, ?)", [(used, how, kind, name) for used, how in uses]
        )

    def _save(self, kind: Kind, key: str, body: object, *, at_once: bool = False) -> None:
        with self.database.transaction():
            self.database.put(kind, key, body)
            self._take_effect(f"{kind}/{key}", body, delay=0.0 if at_once else None)

    def _take_effect(self, key: str, body: object | None, *, delay: float | None = None) -> None:
        now = self.now()
        wait = self.propagation_delay_seconds + self.more_delay_seconds() if delay is None else delay
        self.facts.write(key, body, at=now + wait, now=now)

    # In effect: what decisions see --------------------------------------------------------------------------------

    def effective_role(self, name: str) -> Role | None:
        """The role as decisions see it now."""
        return _role(self._effective("iam-role", name))

    def effective_user(self, name: str) -> User | None:
        """The user as decisions see it now."""
        return _user(self._effective("iam-user", name))

    def effective_group(self, name: str) -> Group | None:
        """The group as decisions see it now."""
        return _group(self._effective("iam-group", name))

    def effective_policy(self, arn: str) -> ManagedPolicy | None:
        """The managed policy as decisions see it now."""
        return AWS_MANAGED.get(arn) or _policy(self._effective("iam-policy", arn))

    def effective_provider(self, url: str) -> OidcProvider | None:
        """The identity provider at exactly ``url`` as decisions see it now, also while its deletion takes effect."""
        try:
            arn = f"arn:aws:iam::{self.account}:{provider_resource(url)}"
        except ValueError:
            return None
        found = _provider(self._effective("iam-provider", arn))
        return found if found and found.url == url else None

    def _effective(self, kind: Kind, key: str) -> Any | None:
        found = self.facts.read(f"{kind}/{key}", self.now())
        return found[1] if found else None


def _role(body: Any | None) -> Role | None:
    return Role(**{**body, "attached": tuple(body["attached"])}) if body else None


def _user(body: Any | None) -> User | None:
    if not body:
        return None
    return User(**{**body, "attached": tuple(body["attached"]), "groups": tuple(body.get("groups", ()))})


def _group(body: Any | None) -> Group | None:
    return Group(**{**body, "attached": tuple(body["attached"])}) if body else None


def _profile(body: Any | None) -> InstanceProfile | None:
    return InstanceProfile(**body) if body else None


def _policy(body: Any | None) -> ManagedPolicy | None:
    if not body:
        return None
    return ManagedPolicy(**{**body, "versions": tuple(PolicyVersion(**version) for version in body["versions"])})


def _provider(body: Any | None) -> OidcProvider | None:
    if not body:
        return None
    lists = {name: tuple(body[name]) for name in ("client_ids", "thumbprints")}
    return OidcProvider(**{**body, **lists})


_KINDS: dict[type, Kind] = {Role: "iam-role", User: "iam-user", Group: "iam-group"}
_DECODERS: dict[Kind, Callable[[Any | None], Any]] = {
    "iam-role": _role,
    "iam-user": _user,
    "iam-group": _group,
    "iam-profile": _profile,
    "iam-policy": _policy,
    "iam-provider": _provider,
}
