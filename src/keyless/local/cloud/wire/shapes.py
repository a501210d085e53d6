"""Shapes: what a service's model says about each value, compiled once into what readers and writers ask.

botocore's own classes answer the same questions from dictionaries, a lookup and a copy at a time; this is read for
every member of every call, so it is attributes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

import orjson


@dataclass(slots=True, eq=False)
class Shape:
    """One value, with the traits of the place it stands in. Made by :class:`Shapes`; never changed afterwards."""

    name: str
    #: ``structure``, ``list``, ``map``, ``string``, ``integer``, …
    kind: str
    #: its name on the wire, where the model gives one
    wire: str = ""
    #: ``uri``, ``header``, ``headers``, ``querystring`` or ``statusCode``; empty: the body
    location: str = ""
    flat: bool = False
    #: XML: an attribute of the element, instead of one inside
    attribute: bool = False
    #: XML: the attribute that declares its namespace, with a space before it
    namespace: str = ""
    #: the format of a timestamp, where the model names one
    timestamps: str = ""
    #: the member that is the whole body
    payload: str = ""
    #: the query protocol's element around a result
    wrapper: str = ""
    #: JSON of any form
    document: bool = False
    required: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    values: tuple[str, ...] = ()
    sensitive: bool = False
    #: of a structure
    members: dict[str, Shape] = field(default_factory=dict, repr=False)
    #: those of ``members`` that are elements of the body: name, name on the wire, shape
    inside: tuple[tuple[str, str, Shape], ...] = field(default=(), repr=False)
    #: those that are elsewhere: name, name on the wire (of headers in lower case), shape
    placed: tuple[tuple[str, str, Shape], ...] = field(default=(), repr=False)
    #: those that are attributes of its element: name, name on the wire
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    #: of a list; not set otherwise
    member: Shape = field(init=False, repr=False)
    #: of a map; not set otherwise
    key: Shape = field(init=False, repr=False)
    value: Shape = field(init=False, repr=False)


#: what a reference to a shape may add to it
_TRAITS = frozenset(
    {"locationName", "location", "flattened", "xmlAttribute", "xmlNamespace", "timestampFormat", "sensitive"}
)


class Shapes:
    """The shapes of one model; equal ones are one object, so that a shape may hold itself."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._made: dict[bytes, Shape] = {}

    def of(self, reference: Mapping[str, Any]) -> Shape:
        """The shape that ``reference`` (``{"shape": name, …traits}``) means."""
        traits = {name: reference[name] for name in sorted(_TRAITS.intersection(reference))}
        identity = orjson.dumps([reference["shape"], traits])
        found = self._made.get(identity)
        if found is None:
            raw = {**self._raw[reference["shape"]], **traits}
            found = self._made[identity] = _bare(reference["shape"], raw)
            self._fill(found, raw)
        return found

    def _fill(self, shape: Shape, raw: Mapping[str, Any]) -> None:
        """Everything that refers to other shapes, and may lead back to this one."""
        if shape.kind == "structure":
            shape.members = {name: self.of(reference) for name, reference in raw.get("members", {}).items()}
            shape.inside = tuple(
                (name, member.wire or name, member)
                for name, member in shape.members.items()
                if not member.location and not member.attribute
            )
            shape.placed = tuple((name, _place(name, m), m) for name, m in shape.members.items() if m.location)
            shape.attributes = tuple((name, m.wire or name) for name, m in shape.members.items() if m.attribute)
        elif shape.kind == "list":
            shape.member = self.of(raw["member"])
        elif shape.kind == "map":
            shape.key, shape.value = self.of(raw["key"]), self.of(raw["value"])


def _bare(name: str, raw: Mapping[str, Any]) -> Shape:
    return Shape(
        name,
        raw["type"],
        wire=raw.get("locationName", ""),
        location=raw.get("location", ""),
        flat=bool(raw.get("flattened")),
        attribute=bool(raw.get("xmlAttribute")),
        namespace=_namespace(raw.get("xmlNamespace")),
        timestamps=raw.get("timestampFormat", ""),
        payload=raw.get("payload", ""),
        wrapper=raw.get("resultWrapper", ""),
        document=bool(raw.get("document")),
        required=tuple(raw.get("required", ())),
        minimum=raw.get("min"),
        maximum=raw.get("max"),
        pattern=raw.get("pattern", ""),
        values=tuple(raw.get("enum", ())),
        sensitive=bool(raw.get("sensitive")),
    )


def _place(name: str, member: Shape) -> str:
    wire = member.wire or name
    return wire.lower() if member.location.startswith("header") else wire


def _namespace(trait: str | Mapping[str, str] | None) -> str:
    if not trait:
        return ""
    if isinstance(trait, str):
        trait = {"uri": trait}
    prefix = f":{trait['prefix']}" if trait.get("prefix") else ""
    return f" xmlns{prefix}={quoteattr(trait['uri'])}"
