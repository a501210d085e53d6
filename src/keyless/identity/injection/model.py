"""What the webhook knows: who has which role, and what it decided for a pod. Values only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Method = Literal["sts_web_identity", "container_credentials"]
PatchOperation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MappedRole:
    """One entry of the ConfigMap: a role for ``namespace/name`` without an annotation."""

    role_arn: str
    audience: str = ""
    regional_sts: bool | None = None
    token_expiration: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Where this cluster's roles live, to complete a role's name to its ARN."""

    partition: str
    account: str


@dataclass(frozen=True, slots=True)
class Known:
    """The facts beside the pod: associations and mapped roles by (namespace, service account); ``*`` for any name."""

    associations: frozenset[tuple[str, str]] = frozenset()
    mapped: Mapping[tuple[str, str], MappedRole] = field(default_factory=dict)
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Injection:
    """The decision: JSON patch operations (none: nothing to add), and what the user should hear.

    ``role`` and ``audience``: what a web identity token will be traded for and made out to.
    """

    method: Method
    operations: tuple[PatchOperation, ...]
    warnings: tuple[str, ...] = ()
    role: str = ""
    audience: str = ""


def read_associations_untrusted(text: str) -> frozenset[tuple[str, str]]:
    """Read the list file ``{"identities": [{"namespace", "serviceAccount"}]}``; raises ``ValueError``."""
    if not text.strip():
        return frozenset()
    document = json.loads(text)
    identities = document.get("identities") if isinstance(document, dict) else None
    if identities is None and isinstance(document, dict):
        return frozenset()
    if not isinstance(identities, list):
        raise ValueError('expected {"identities": [{"namespace": …, "serviceAccount": …}]}')
    found: set[tuple[str, str]] = set()
    for entry in identities:
        if not isinstance(entry, dict) or not isinstance(entry.get("namespace"), str):
            raise ValueError("an identity needs namespace and serviceAccount")
        found.add((entry["namespace"], str(entry.get("serviceAccount", ""))))
    return frozenset(found)


def read_mapped_roles_untrusted(text: str) -> dict[tuple[str, str], MappedRole]:
    """Read the ConfigMap's ``config`` key; entries whose name is not ``namespace/name`` are left out."""
    document = json.loads(text) if text.strip() else {}
    if not isinstance(document, dict):
        raise ValueError('expected {"namespace/name": {"RoleARN": …}}')
    mapped: dict[tuple[str, str], MappedRole] = {}
    for key, entry in document.items():
        namespace, slash, name = key.partition("/")
        if not slash or not isinstance(entry, dict):
            continue
        regional = entry.get("UseRegionalSTS")
        expiration = entry.get("TokenExpiration")
        mapped[(namespace, name)] = MappedRole(
            role_arn=str(entry.get("RoleARN", "")),
            audience=str(entry.get("Audience", "")),
            regional_sts=regional if isinstance(regional, bool) else None,
            token_expiration=expiration if isinstance(expiration, int) else 0,
        )
    return mapped
