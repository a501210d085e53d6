"""What IAM keeps. Policy documents stay the text their author wrote; times are epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its trust policy, its permissions, its bounds. ``trust`` names principals of the account by unique id,
    see :mod:`keyless.local.cloud.iam.principals`."""

    name: str
    id: str
    arn: str
    path: str
    created_at: float
    trust: str
    description: str = ""
    max_session_seconds: int = 3600
    tags: dict[str, str] = field(default_factory=dict)
    boundary: str = ""
    inline: dict[str, str] = field(default_factory=dict)
    attached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A user and its permissions; its keys are :class:`AccessKey`."""

    name: str
    id: str
    arn: str
    path: str
    created_at: float
    tags: dict[str, str] = field(default_factory=dict)
    boundary: str = ""
    inline: dict[str, str] = field(default_factory=dict)
    attached: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users: its policies count for each of them. No principal: nobody can name it in a policy."""

    name: str
    id: str
    arn: str
    path: str
    created_at: float
    inline: dict[str, str] = field(default_factory=dict)
    attached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """What hands a role to a machine; ``role`` is a name, or empty."""

    name: str
    id: str
    arn: str
    path: str
    created_at: float
    role: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-lived key of a user."""

    id: str
    user: str
    secret: str = field(repr=False)
    created_at: float
    active: bool = True


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a managed policy."""

    id: str
    document: str
    created_at: float


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy with its versions, oldest first; ``default`` is the version that counts."""

    name: str
    id: str
    arn: str
    path: str
    created_at: float
    updated_at: float
    default: str
    versions: tuple[PolicyVersion, ...]
    next_version: int
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def document(self) -> str:
        """The document that counts."""
        return next(version.document for version in self.versions if version.id == self.default)


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """An identity provider. ``url`` is whole, with scheme and port; the ARN is host and path alone."""

    arn: str
    url: str
    created_at: float
    client_ids: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key_prefix(self) -> str:
        """What its condition keys begin with: host and path."""
        return self.arn.partition(":oidc-provider/")[2]


def provider_resource(url: str) -> str:
    """The ARN's last part for the identity provider at ``url``; raises ``ValueError`` where that is no URL."""
    parts = urlsplit(url)
    return f"oidc-provider/{parts.hostname}{parts.path}"
