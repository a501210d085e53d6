"""Where IAM's objects live: written at once, seen by decisions after the propagation delay.

``role()`` and the like answer reads and role checks with what was written; ``effective_role()`` and the like answer
decisions with what has taken effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyless.local.cloud.database import Database, EffectiveFacts
from keyless.local.cloud.iam.managed import AWS_MANAGED
from keyless.local.cloud.iam.model import AccessKey, ManagedPolicy, OidcProvider, PolicyVersion, Role, User


class Directory:
    """All of IAM of one account."""

    def __init__(
        self, database: Database, *, account: str, propagation_delay_seconds: float, now: Callable[[], float]
    ) -> None:
        self.database = database
        self.account = account
        self.propagation_delay_seconds = propagation_delay_seconds
        self.now = now
        self.facts = EffectiveFacts(database)

    # Written: reads see it at once --------------------------------------------------------------------------------

    def role(self, name: str) -> Role | None:
        """The role as last written."""
        return _role(self.database.get("iam-role", name))

    def user(self, name: str) -> User | None:
        """The user as last written."""
        return _user(self.database.get("iam-user", name))

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

    def roles(self) -> list[Role]:
        """All roles, by name."""
        return [role for body in self.database.all("iam-role") if (role := _role(body))]

    def users(self) -> list[User]:
        """All users, by name."""
        return [user for body in self.database.all("iam-user") if (user := _user(body))]

    def policies(self) -> list[ManagedPolicy]:
        """The customer's managed policies, by ARN."""
        return [policy for body in self.database.all("iam-policy") if (policy := _policy(body))]

    def providers(self) -> list[OidcProvider]:
        """All identity providers, by ARN."""
        return [provider for body in self.database.all("iam-provider") if (provider := _provider(body))]

    def access_keys(self, user: str) -> list[AccessKey]:
        """The keys of one user."""
        return [AccessKey(**body) for body in self.database.all("iam-access-key") if body["user"] == user]

    # Writing ------------------------------------------------------------------------------------------------------

    def save_role(self, role: Role, *, at_once: bool = False) -> None:
        """Write a role; decisions follow after the delay."""
        self._save("iam-role", role.name, role, at_once=at_once)

    def save_user(self, user: User, *, at_once: bool = False) -> None:
        """Write a user; decisions follow after the delay."""
        self._save("iam-user", user.name, user, at_once=at_once)

    def save_policy(self, policy: ManagedPolicy) -> None:
        """Write a managed policy; decisions follow after the delay."""
        self._save("iam-policy", policy.arn, policy)

    def save_provider(self, provider: OidcProvider) -> None:
        """Write an identity provider; decisions follow after the delay."""
        self._save("iam-provider", provider.arn, provider)

    def save_access_key(self, key: AccessKey) -> None:
        """Write a user's key; it signs at once."""
        self.database.put("iam-access-key", key.id, key)

    def remove(self, kind: str, key: str) -> None:
        """Delete an object of ``iam-role``, ``iam-user``, …; decisions follow after the delay."""
        with self.database.transaction():
            self.database.remove(kind, key)
            self._take_effect(f"{kind}/{key}", None)

    def _save(self, kind: str, key: str, body: object, *, at_once: bool = False) -> None:
        with self.database.transaction():
            self.database.put(kind, key, body)
            self._take_effect(f"{kind}/{key}", body, delay=0.0 if at_once else None)

    def _take_effect(self, key: str, body: object | None, *, delay: float | None = None) -> None:
        now = self.now()
        wait = self.propagation_delay_seconds if delay is None else delay
        self.facts.write(key, body, at=now + wait, now=now)

    # In effect: what decisions see --------------------------------------------------------------------------------

    def effective_role(self, name: str) -> Role | None:
        """The role as decisions see it now."""
        return _role(self._effective("iam-role", name))

    def effective_user(self, name: str) -> User | None:
        """The user as decisions see it now."""
        return _user(self._effective("iam-user", name))

    def effective_policy(self, arn: str) -> ManagedPolicy | None:
        """The managed policy as decisions see it now."""
        return AWS_MANAGED.get(arn) or _policy(self._effective("iam-policy", arn))

    def effective_providers(self) -> list[OidcProvider]:
        """The identity providers as decisions see them now (also those whose deletion has not taken effect)."""
        rows = self.database.connection.execute(
            "SELECT DISTINCT key FROM cloud_effective WHERE key >= 'iam-provider/' AND key < 'iam-provider0'"
        ).fetchall()
        bodies = (self.facts.read(row[0], self.now()) for row in rows)
        return [provider for found in bodies if found and (provider := _provider(found[1]))]

    def _effective(self, kind: str, key: str) -> Any | None:
        found = self.facts.read(f"{kind}/{key}", self.now())
        return found[1] if found else None


def _role(body: Any | None) -> Role | None:
    return Role(**{**body, "attached": tuple(body["attached"])}) if body else None


def _user(body: Any | None) -> User | None:
    return User(**{**body, "attached": tuple(body["attached"])}) if body else None


def _policy(body: Any | None) -> ManagedPolicy | None:
    if not body:
        return None
    return ManagedPolicy(**{**body, "versions": tuple(PolicyVersion(**version) for version in body["versions"])})


def _provider(body: Any | None) -> OidcProvider | None:
    if not body:
        return None
    lists = {name: tuple(body[name]) for name in ("client_ids", "thumbprints")}
    return OidcProvider(**{**body, **lists})
