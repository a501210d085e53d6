"""The values of an access report: who is in the account, who is in the cluster, and who of them reaches a resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.identity.verify.model import Association, Cluster
from keyless.policy import Document, Source


class Verdict(StrEnum):
    """``CONDITIONAL``: allowed only if keys of the call or of the session that nobody told are as a policy wants."""

    ALLOWED = "Allowed"
    CONDITIONAL = "Conditional"
    UNKNOWN = "Unknown"
    DENIED = "Denied"


@dataclass(frozen=True, slots=True)
class Holder:
    """A role (with its ``trust``) or a user of the account, and the policies that bear on it."""

    arn: str
    identity: tuple[Source, ...]
    boundary: Source | None = None
    trust: Document | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name without its path."""
        return self.arn.rpartition("/")[2]

    @property
    def is_role(self) -> bool:
        """Roles alone have a trust policy."""
        return self.trust is not None


@dataclass(frozen=True, slots=True)
class Account:
    """A service account of the cluster; ``names`` is the role of its annotation; ``pods`` are those that run as it."""

    namespace: str
    name: str
    names: str = ""
    pods: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """As a token has it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


@dataclass(frozen=True, slots=True)
class StaticKey:
    """A key that is no workload identity: ``where`` it lies, ``used`` when it was last used, as AWS tells it.

    ``certain``: it is the key of a user who reaches the resource; else only its owner knows whose it is.
    """

    where: str
    used: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Rbac:
    """The cluster's own objects, as the API server lists them."""

    cluster_roles: tuple[Mapping[str, Any], ...] = ()
    cluster_bindings: tuple[Mapping[str, Any], ...] = ()
    roles: tuple[Mapping[str, Any], ...] = ()
    bindings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the answer rests on.

    ``asked``: pairs of action and resource; ``policies``: each resource's own policy; ``keys``: the KMS key behind a
    pair. ``unread``: what nobody could read, in sentences; they make the answer incomplete.
    """

    resource: str
    account: str
    asked: tuple[tuple[str, str], ...]
    holders: tuple[Holder, ...]
    cluster: Cluster
    policies: Mapping[str, Source | None] = field(default_factory=dict)
    keys: Mapping[tuple[str, str], KeyUse | Unseen] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    associations: tuple[Association, ...] = ()
    rbac: Rbac = Rbac()
    user_keys: Mapping[str, tuple[StaticKey, ...]] = field(default_factory=dict)
    kept_keys: tuple[StaticKey, ...] = ()
    unread: tuple[str, ...] = ()
    owner: str = ""
    """The account of a resource whose ARN does not tell it."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """One action that somebody may do: on which resource of those asked about, by which statement, if what holds."""

    action: str
    resource: str
    verdict: Verdict
    by: str
    hangs_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """A subject's way into a role: ``how`` (by its token, by an association), ``there`` is false where none runs yet.

    ``names_it``: its annotation or association names this role; another may still become it with a token of its own.
    """

    subject: str
    how: str
    there: bool = True
    names_it: bool = True
    hangs_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """A role or user that reaches the resource: ``through`` is the role that it becomes first, empty if it is itself.

    ``others``: principals beside this cluster that its trust policy admits.
    """

    holder: Holder
    may: tuple[Allowed, ...]
    through: str = ""
    ways: tuple[Way, ...] = ()
    others: tuple[str, ...] = ()
    keys: tuple[StaticKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody in Kubernetes who can act as a service account: ``means`` are in :data:`MEANS`; ``by`` the binding.

    ``own``: a part of Kubernetes itself, bound by its defaults.
    """

    who: str
    means: tuple[str, ...]
    by: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Hands:
    """Who can act as service accounts of these namespaces, which are all alike in it."""

    namespaces: tuple[str, ...]
    hands: tuple[Hand, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The answer."""

    resource: str
    actions: tuple[str, ...]
    reaches: tuple[Reach, ...]
    outside: tuple[str, ...]
    hands: tuple[Hands, ...]
    static: tuple[StaticKey, ...]
    unread: tuple[str, ...]
