"""What a resource type is: which properties it has, and which API calls make, change and remove it. Pure.

A flow is a generator: it yields requests, is sent their answers, and returns what was made. Whoever drives it makes the
calls as the stack's caller, so IAM decides each of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from keyless.local.cloud.call import Wire
from keyless.local.cloud.cloudformation.model import Properties, Resource


@dataclass(frozen=True, slots=True)
class Request:
    """One API call. ``absent``: error codes that mean there is nothing left to do."""

    service: str
    operation: str
    params: Mapping[str, Any]
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a flow: the resource's physical id and what Fn::GetAtt gives."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


Flow = Generator[Request, Wire, Made]


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource about to be: resolved properties (the stack's tags among them), a name where they give none.

    ``token`` is the same each time the same step is tried, and another one for any other step.
    """

    properties: Properties
    name: str
    token: str
    region: str


class Kind(Protocol):
    """One resource type."""

    type: str
    #: properties that are needed, those that may be given, and those whose change makes another resource
    required: frozenset[str]
    optional: frozenset[str]
    immutable: frozenset[str]
    #: what Fn::GetAtt can ask for
    attributes: frozenset[str]
    #: the property that names the resource; empty: it has no name of the author's
    name_property: str
    #: whether CAPABILITY_IAM is asked for
    is_iam: bool
    #: whether all its calls write in one transaction, so that a step is done or not even begun
    is_atomic: bool
    longest_name: int

    def create(self, draft: Draft) -> Flow:
        """Make it."""
        ...

    def update(self, old: Resource, draft: Draft) -> Flow:
        """Bring it from the properties it has to those of ``draft``."""
        ...

    def delete(self, old: Resource) -> Flow:
        """Remove it; what is gone already is no error."""
        ...


def violations(kind: Kind, properties: Properties) -> str:
    """What is wrong with the properties' names, in CloudFormation's words; empty when nothing is."""
    missing = [f"#: required key [{name}] not found" for name in sorted(kind.required - set(properties))]
    known = kind.required | kind.optional
    extra = [f"#: extraneous key [{name}] is not permitted" for name in properties if name not in known]
    return "\n".join(missing + extra)


def document(value: Any) -> str:
    """A policy document as text; templates write it as an object or as a string."""
    import orjson

    return value if isinstance(value, str) else orjson.dumps(value).decode()


def as_list(value: Any) -> list[Any]:
    """A property that should be a list, also where one value was written."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def tags_of(properties: Properties) -> dict[str, str]:
    """The property ``Tags`` as a mapping."""
    return {one["Key"]: one["Value"] for one in as_list(properties.get("Tags"))}


def with_tags(kind: Kind, properties: Properties, tags: Mapping[str, str]) -> Properties:
    """The properties with the stack's tags under the resource's own, where the type has tags."""
    merged = {**tags, **tags_of(properties)}
    if not tags or "Tags" not in kind.optional:
        return properties
    return {**properties, "Tags": [{"Key": key, "Value": value} for key, value in merged.items()]}


@dataclass(frozen=True, slots=True)
class Difference:
    """What must go and what must come."""

    gone: list[str]
    come: list[str]


def difference(old: Sequence[str], new: Sequence[str]) -> Difference:
    """From one list of names to another."""
    return Difference([one for one in old if one not in new], [one for one in new if one not in old])


def changed(old: Properties, new: Properties, *names: str) -> Iterator[str]:
    """Those of ``names`` whose property differs."""
    return (name for name in names if old.get(name) != new.get(name))
