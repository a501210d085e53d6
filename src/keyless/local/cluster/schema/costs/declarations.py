"""What a schema says of the values that rules see: their types, and how large they can be in one request. Pure.

Figures: docs/reference/facts/cel-cost.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.local.cluster.schema.names import escaped

REQUEST_BYTES = 3 * 1024 * 1024
SCALARS = {"boolean": ("bool", 4), "number": ("double", 1), "integer": ("int", 1)}
TIMES = {"duration": ("duration", 3, 32), "date": ("timestamp", 12, 12), "date-time": ("timestamp", 21, 32)}
"""Formats: the type in CEL, the shortest and the longest text in JSON."""


@dataclass(frozen=True, slots=True)
class Decl:
    """A type as CEL knows it. ``most`` characters or items, ``shortest`` bytes of JSON that it takes."""

    kind: str
    most: int = 0
    shortest: int = 1
    element: Decl | None = None
    key: Decl | None = None
    fields: Mapping[str, Decl] = field(default_factory=dict)


DYN, BOOL, INT, DOUBLE = Decl("dyn"), Decl("bool"), Decl("int"), Decl("double")
STRING, BYTES = Decl("string"), Decl("bytes")
TEXT = Decl("string", REQUEST_BYTES - 2, 2)
METADATA = Decl("object", 0, 2, fields={"name": TEXT, "generateName": TEXT})


def declared(schema: Mapping[str, Any], *, is_resource: bool = False) -> Decl | None:
    """The type of a schema's values; None where rules cannot see them. A resource has a name, a kind and a version."""
    if schema.get("x-kubernetes-int-or-string"):
        return Decl("dyn", _text_length(schema, REQUEST_BYTES - 2), 1)
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        return _map(schema) if isinstance(schema.get("additionalProperties"), Mapping) else _object(schema, is_resource)
    if kind == "string":
        return _string(schema)
    if kind in SCALARS:
        name, shortest = SCALARS[kind]
        return Decl(name, 0, shortest)
    return None


def _array(schema: Mapping[str, Any]) -> Decl | None:
    items = _below(schema.get("items"))
    if items is None:
        return None
    most = _bound(schema, "maxItems", (REQUEST_BYTES - 2) // (items.shortest + 1))
    return Decl("list", most, 2, element=items)


def _map(schema: Mapping[str, Any]) -> Decl | None:
    values = _below(schema["additionalProperties"])
    if values is None:
        return None
    most = _bound(schema, "maxProperties", (REQUEST_BYTES - 2) // (values.shortest + 6))
    return Decl("map", most, 2, element=values, key=Decl("string", 0, 2))


def _object(schema: Mapping[str, Any], is_resource: bool) -> Decl:
    required, shortest, fields = set(schema.get("required") or ()), 2, {}
    for name, inner in (schema.get("properties") or {}).items():
        found = _below(inner)
        if found is None:
            continue
        fields[escaped(name)] = found
        if name in required and inner.get("default") is None:
            shortest += len(name.encode()) + found.shortest + 4
    if is_resource and not _tells_identity(schema.get("properties") or {}):
        fields |= {"apiVersion": TEXT, "kind": TEXT, "metadata": METADATA}
    return Decl("object", 0, shortest, fields=fields)


def _tells_identity(properties: Mapping[str, Any]) -> bool:
    """Whether the schema itself declares all that every resource has: then it is taken at its word."""
    inner = (properties.get("metadata") or {}).get("properties") or {}
    texts = [properties.get("kind"), properties.get("apiVersion"), inner.get("name"), inner.get("generateName")]
    return all(isinstance(text, Mapping) and text.get("type") == "string" for text in texts)


def _string(schema: Mapping[str, Any]) -> Decl:
    form = schema.get("format", "")
    if form in TIMES:
        kind, shortest, most = TIMES[form]
        return Decl(kind, most, shortest)
    if form == "byte":
        return Decl("bytes", _bound(schema, "maxLength", REQUEST_BYTES - 2), 2)
    choices = [choice for choice in schema.get("enum") or () if isinstance(choice, str)]
    longest = max((len(choice.encode()) for choice in choices), default=0) if schema.get("enum") else REQUEST_BYTES - 2
    return Decl("string", _text_length(schema, longest), 2)


def _text_length(schema: Mapping[str, Any], otherwise: int) -> int:
    """``maxLength`` counts characters, and one takes up to four bytes."""
    return _bound(schema, "maxLength", otherwise, 4)


def _bound(schema: Mapping[str, Any], word: str, otherwise: int, factor: int = 1) -> int:
    value = schema.get(word)
    return otherwise if value is None else max(int(value), 0) * factor


def _below(schema: Any) -> Decl | None:
    if not isinstance(schema, Mapping):
        return None
    return declared(schema, is_resource=bool(schema.get("x-kubernetes-embedded-resource")))
