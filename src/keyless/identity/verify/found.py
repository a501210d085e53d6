"""What AWS has of a chain: the cluster, its provider and associations, roles, the bucket. Values.

A fact is a value, ``None`` where the thing does not exist, or :class:`Unread` where it could not be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyless.policy import Document, Source
from keyless.policy.amend import Written

ANOTHER = "another"


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, and ``why`` ("lacks iam:GetRole")."""

    why: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster as AWS knows it. ``issuer`` is what its tokens carry; ``name`` is empty off EKS."""

    name: str
    issuer: str
    account: str
    region: str
    partition: str = "aws"

    @property
    def host_path(self) -> str:
        """The issuer as IAM writes it in ARNs and condition keys: without scheme and port."""
        host, slash, path = self.issuer.partition("://")[2].partition("/")
        return f"{host.partition(':')[0]}{slash}{path}"

    @property
    def provider_arn(self) -> str:
        """The ARN of the OIDC provider that IAM should have."""
        return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{self.host_path}"


@dataclass(frozen=True, slots=True)
class Provider:
    """An IAM OIDC provider; ``url`` as IAM returns it, without scheme."""

    arn: str
    url: str
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Association:
    """A Pod Identity association. ``policy`` is the session policy that bounds its sessions, where it has one.

    ``target_arn``: the role that the session of ``role_arn`` goes on to, telling ``external_id``; empty without one.
    """

    association_id: str
    namespace: str
    service_account: str
    role_arn: str
    tags: bool = True
    policy: Source | None = None
    target_arn: str = ""
    external_id: str = ""

    @property
    def words(self) -> str:
        """Which one, and what it leads to."""
        onward = f", and from there target role {self.target_arn}" if self.target_arn else ""
        return f"{self.association_id}: {self.role_arn}{onward}"


@dataclass(frozen=True, slots=True)
class Role:
    """A role: its trust policy, compiled, and all documents that bound what it may do.

    ``written`` is the trust policy and ``inline`` the inline policies by name, as IAM has them: a fix starts there.
    ``unique_id`` is IAM's RoleId (``AROA…``), which a role that is made again does not keep.
    """

    arn: str
    trust: Document
    identity: tuple[Source, ...]
    boundary: Source | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    written: Written | None = None
    inline: Mapping[str, Written] | Unread = field(default_factory=dict)
    unique_id: str = ""

    @property
    def name(self) -> str:
        """The name without the path, as session ARNs carry it."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that is there, where it is, and its policy; ``None`` where it has none.

    ``owner``: the account, where it is certain; ``ANOTHER`` where it is only certain that it is not the caller's.
    """

    name: str
    region: str
    policy: Source | None = None
    written: Written | None = None
    owner: str = ""

    @property
    def foreign(self) -> bool:
        """Whether it is certainly of another account than the caller's."""
        return self.owner == ANOTHER


@dataclass(frozen=True, slots=True)
class Missing:
    """A thing that was looked for and is not there; ``near`` are names of such things that resemble it."""

    name: str
    near: tuple[str, ...] = ()
