"""What EKS keeps of an access entry; times are epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.local.cloud.eks.access_policies import AssociatedPolicy

KIND = "eks-access-entry"


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """A principal that the cluster knows. ``principal_id`` tells it from a namesake that was made later."""

    arn: str
    principal_arn: str
    principal_id: str
    username: str
    created_at: float
    modified_at: float
    groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[AssociatedPolicy, ...] = ()

    @property
    def id(self) -> str:
        """The unique part of its ARN."""
        return self.arn.rpartition("/")[2]


def entry_of(body: Mapping[str, Any]) -> AccessEntry:
    """The entry that was stored as JSON."""
    policies = tuple(AssociatedPolicy(**{**one, "namespaces": tuple(one["namespaces"])}) for one in body["policies"])
    return AccessEntry(**{**body, "groups": tuple(body["groups"]), "policies": policies})
