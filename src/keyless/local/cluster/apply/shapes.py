"""How values merge: atomic, field by field, item by item. Built from Go's type markers or a CRD's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from keyless.local.cluster.builtin.types import Field, struct, struct_of, version_of

META = ("apiVersion", "kind")


@dataclass(frozen=True, slots=True)
class Shape:
    """One value's way to merge.

    ``kind``: ``atomic`` (replaced whole), ``struct`` (``field`` by name, else ``element``), ``set`` (a list of unique
    scalars), ``map`` (a list of objects told apart by ``keys``) or ``deduced`` (by what the value is). Types are
    recursive, so inner shapes are looked up when they are needed.
    """

    kind: str
    field: Callable[[str], Shape | None] | None = None
    element: Callable[[], Shape] | None = None
    keys: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()
    """Keys that an item may leave out, with what they then are."""

    def named(self, name: str) -> Shape | None:
        """The shape of a declared field; ``None`` for other names."""
        return self.field(name) if self.field else None

    def inner(self, name: str) -> Shape:
        """The shape of a member, declared or not."""
        return self.named(name) or (self.element() if self.element else DEDUCED)

    def item(self) -> Shape:
        """The shape of a list's items."""
        return self.element() if self.element else DEDUCED


ATOMIC = Shape("atomic")
DEDUCED = Shape("deduced")


def builtin_shape(group: str, kind: str) -> Shape:
    """The shape of a built-in kind; a kind without type merges by what its values are."""
    found = struct_of(group, version_of(group, kind), kind)
    return _struct(found.name) if found else DEDUCED


@cache
def _struct(name: str) -> Shape:
    kind = struct(name)
    if kind.atomic:
        return ATOMIC

    @cache
    def field(key: str) -> Shape | None:
        if key in META:
            return ATOMIC
        found = kind.fields.get(key)
        return _field(found) if found else None

    return Shape("struct", field=field)


def _field(field: Field) -> Shape:
    if field.list_type == "atomic":
        return ATOMIC
    if field.type.startswith("[]") and field.type != "[]Raw":
        return _list(field)
    if field.type.startswith("{}"):
        inner = _plain(field.type[2:])
        return Shape("struct", element=lambda: inner)
    return _plain(field.type)


def _plain(kind: str) -> Shape:
    return _struct(kind[1:]) if kind.startswith("@") else ATOMIC


def _list(field: Field) -> Shape:
    if field.list_type not in {"set", "map"}:
        return ATOMIC
    target = field.type[2:]
    if field.list_type == "set":
        return Shape("set", element=lambda: ATOMIC)
    fields = struct(target[1:]).fields
    defaults = tuple((key, fields[key].default) for key in field.list_keys if fields[key].default is not None)
    return Shape("map", element=lambda: _struct(target[1:]), keys=field.list_keys, defaults=defaults)


def schema_shape(openapi_v3_schema: Mapping[str, Any]) -> Shape:
    """The shape of a custom resource; metadata merges as for every object."""
    return _resource(_schema(openapi_v3_schema))


def _resource(body: Shape) -> Shape:
    def field(key: str) -> Shape | None:
        if key == "metadata":
            return _struct("meta/v1.ObjectMeta")
        return ATOMIC if key in META else body.named(key)

    return Shape("struct", field=field, element=body.element)


def _schema(schema: Mapping[str, Any]) -> Shape:
    if schema.get("x-kubernetes-int-or-string"):
        return ATOMIC
    kind = schema.get("type")
    if kind == "object":
        shape = _object(schema)
        return _resource(shape) if schema.get("x-kubernetes-embedded-resource") and shape.kind == "struct" else shape
    if kind == "array":
        return _array(schema)
    return DEDUCED if not kind else ATOMIC


def _object(schema: Mapping[str, Any]) -> Shape:
    if schema.get("x-kubernetes-map-type") == "atomic":
        return ATOMIC
    properties = {name: _schema(inner) for name, inner in (schema.get("properties") or {}).items()}
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        inner = _schema(additional)
        return Shape("struct", field=properties.get, element=lambda: inner)
    return Shape("struct", field=properties.get)


def _array(schema: Mapping[str, Any]) -> Shape:
    list_type = schema.get("x-kubernetes-list-type")
    inner = schema.get("items") or {}
    if list_type == "set":
        return Shape("set", element=lambda: ATOMIC)
    if list_type != "map":
        return ATOMIC
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    fields = inner.get("properties") or {}
    defaults = tuple((key, fields[key]["default"]) for key in keys if "default" in (fields.get(key) or {}))
    item = _schema(inner)
    return Shape("map", element=lambda: item, keys=keys, defaults=defaults)
