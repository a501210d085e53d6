"""The values of grants: what is asked, what AWS has, and the steps between the two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyless.identity.verify import Cluster
from keyless.policy.amend import Written

TAG = "keyless.dev/managed"
"""The tag on what we created; only that is ever deleted."""


class Way(StrEnum):
    """How a pod becomes its role."""

    IRSA = "irsa"
    PODS = "pod-identity"


class Mode(StrEnum):
    """Whom a trust policy admits: each host namespace by name, all that are named as such, or all namespaces."""

    EXACT = "exact"
    SYSTEM = "system"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Wish:
    """What one component is to be granted. ``statements`` are its permissions, each with a Sid of ours."""

    title: str
    service_account: str
    role: str
    statements: tuple[Written, ...]
    namespaces: tuple[str, ...]
    of_space: bool = False
    """There is one of it, in the Space's own namespace: whatever the mode, no other namespace is admitted."""

    @property
    def policy(self) -> str:
        """The inline policy's name."""
        return f"keyless-{self.title}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for. ``quota``: characters that the account allows a trust policy."""

    cluster: Cluster
    way: Way
    mode: Mode
    wishes: tuple[Wish, ...]
    quota: int = 2048
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role that is there. ``policies``: its inline policies by name; ``managed``: whether we created it."""

    name: str
    arn: str
    trust: Written
    managed: bool
    policies: Mapping[str, Written] = field(default_factory=dict)
    attached: bool = False
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class HeldAssociation:
    """A Pod Identity association that is there; ``managed``: whether we created it."""

    association_id: str
    namespace: str
    service_account: str
    role_arn: str
    managed: bool


@dataclass(frozen=True, slots=True)
class Have:
    """What AWS has. ``audiences`` are the provider's client IDs; ``None`` where there is no provider.

    ``url``: the provider's, as IAM tells it: without scheme, and with the port that its ARN leaves out.
    """

    audiences: tuple[str, ...] | None
    roles: Mapping[str, HeldRole]
    associations: tuple[HeldAssociation, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """A read before a write: ``found`` at ``path`` of the answer must be what the plan was made from."""

    operation: str
    params: Mapping[str, Any]
    path: tuple[str, ...]
    found: Written


@dataclass(frozen=True, slots=True)
class Step:
    """One call of AWS; ``lines`` show as a diff what it changes.

    In short, ``does`` is done to ``what``: steps of one thing are told together.
    """

    service: str
    operation: str
    params: Mapping[str, Any]
    says: str
    what: str
    does: str
    lines: tuple[str, ...] = ()
    guard: Guard | None = None

    @property
    def written(self) -> Written:
        """The policy that the call writes; empty where it writes none."""
        text = self.params.get("PolicyDocument") or self.params.get("AssumeRolePolicyDocument")
        found: Written = json.loads(text) if text else {}
        return found

    @property
    def action(self) -> str:
        """The IAM action that the call needs."""
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, safe to stop after any; ``warnings`` to read first; ``places``: sub → role's name.

    ``operator`` is the policy that whoever applies the plan needs; ``then``: commands for what is not AWS's part;
    ``nexts``: by a wish's title, the role that one control plane more would get.
    """

    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    places: Mapping[str, str]
    operator: Written
    nexts: Mapping[str, str] = field(default_factory=dict)
    then: tuple[str, ...] = ()
