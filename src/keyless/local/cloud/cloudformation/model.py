"""What CloudFormation keeps: stacks with their resources, events, change sets. Times are epoch seconds.

``Declared`` is a resource as a template wants it, ``Resource`` one that a stack has. Properties are AWS wire shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """One resource of a template, conditions decided; what else it refers to is still open."""

    logical_id: str
    type: str
    properties: Properties
    #: the template's DeletionPolicy
    deletion: str = "Delete"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a stack. ``physical_id`` is empty until it is made."""

    logical_id: str
    type: str
    status: str
    changed_at: float
    physical_id: str = ""
    reason: str = ""
    properties: Properties = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    deletion: str = "Delete"
    #: grows with each replacement: part of the generated name
    generation: int = 0

    @property
    def exists(self) -> bool:
        """Whether there is something to look after."""
        return bool(self.physical_id)


@dataclass(frozen=True, slots=True)
class Wish:
    """A template with its parameters: what a stack is to become, or was before."""

    template: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    role_arn: str = ""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack: where it is going (``wish``), where it came from (``before``), what it has."""

    id: str
    name: str
    status: str
    created_at: float
    wish: Wish
    #: who the work is done as; see ``actor.py``
    actor: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    description: str = ""
    before: Wish | None = None
    resources: Mapping[str, Resource] = field(default_factory=dict)
    #: replaced resources that the clean-up removes, newest first
    leftovers: tuple[Resource, ...] = ()
    outputs: tuple[Mapping[str, str], ...] = ()
    updated_at: float = 0.0
    deleted_at: float = 0.0
    on_failure: str = "ROLLBACK"
    protected: bool = False
    retain: tuple[str, ...] = ()
    request_token: str = ""
    change_set_id: str = ""
    notification_arns: tuple[str, ...] = ()
    timeout_minutes: int = 0

    @property
    def is_gone(self) -> bool:
        """A deleted stack is found by its id alone."""
        return self.status == "DELETE_COMPLETE"


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A proposal to create or update a stack."""

    id: str
    name: str
    stack_id: str
    stack_name: str
    kind: str
    wish: Wish
    created_at: float
    status: str
    execution: str
    reason: str = ""
    description: str = ""
    changes: tuple[Mapping[str, Any], ...] = ()
    on_failure: str = ""


def stack_of(body: Mapping[str, Any]) -> Stack:
    """The stack that was stored as JSON."""
    fields = dict(body)
    fields["wish"] = wish_of(body["wish"])
    fields["before"] = wish_of(body["before"]) if body["before"] else None
    fields["resources"] = {name: Resource(**one) for name, one in body["resources"].items()}
    fields["leftovers"] = tuple(Resource(**one) for one in body["leftovers"])
    for name in ("outputs", "retain", "notification_arns"):
        fields[name] = tuple(body[name])
    return Stack(**fields)


def wish_of(body: Mapping[str, Any]) -> Wish:
    """The wish that was stored as JSON."""
    return Wish(**{**body, "capabilities": tuple(body["capabilities"])})


def change_set_of(body: Mapping[str, Any]) -> ChangeSet:
    """The change set that was stored as JSON."""
    return ChangeSet(**{**body, "wish": wish_of(body["wish"]), "changes": tuple(body["changes"])})
