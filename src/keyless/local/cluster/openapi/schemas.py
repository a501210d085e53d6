"""OpenAPI schemas of what a cluster serves: the built-in types from the table of types, custom ones from their CRDs.

The table has no prose, so built-in fields come without descriptions; a CRD's are its author's.

Form: https://github.com/kubernetes/kube-openapi (names, ``x-kubernetes-…`` extensions)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keyless.local.cluster.builtin.types import META, Field, struct, struct_of
from keyless.local.cluster.catalogue import Served

Schema = dict[str, Any]
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_PACKAGES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
}
_SCALARS: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "uint8": {"type": "integer", "format": "byte"},
    "byte": {"type": "integer", "format": "byte"},
    "bytes": {"type": "string", "format": "byte"},
    "Raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "SchemaOrArray": {},
    "SchemaOrBool": {},
    "SchemaOrStrings": {},
    "items": {"type": "array", "items": {"type": "string"}},
}
# What Go writes in a form of its own has a name of its own, which `kubectl explain` shows.
_NAMED: Mapping[str, tuple[str, Schema]] = {
    "Time": ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", {"type": "string", "format": "date-time"}),
    "MicroTime": ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", {"type": "string", "format": "date-time"}),
    "Quantity": (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ),
    "IntOrString": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
}


def name_of(key: str) -> str:
    """Return the published name of a type of the table: ``io.k8s.api.core.v1.PodSpec`` for ``core/v1.PodSpec``."""
    package, _, rest = key.partition("/")
    return f"{_PACKAGES.get(package, f'io.k8s.api.{package}')}.{rest}"


def schemas(resources: Iterable[Served]) -> dict[str, Schema]:
    """Return the schemas of these resources, their lists and all that they refer to, by published name."""
    made: dict[str, Schema] = {LIST_META: _LIST_META}
    for served in resources:
        name, schema = _kind(served, made)
        if not name:
            continue
        kind = {"group": served.group, "kind": served.kind, "version": served.version}
        schema["x-kubernetes-group-version-kind"] = [kind]
        made[name] = schema
        if served.stored:
            made[f"{name}List"] = _list(name, served)
    return made


_LIST_META: Schema = {
    "type": "object",
    "properties": {
        "continue": {"type": "string"},
        "remainingItemCount": {"type": "integer", "format": "int64"},
        "resourceVersion": {"type": "string"},
        "selfLink": {"type": "string"},
    },
}


def schema_name(served: Served) -> str:
    """Return the published name of a resource's schema; empty for what has no type here."""
    if served.custom is not None:
        return ".".join([*reversed(served.group.split(".")), served.version, served.kind])
    found = struct_of(served.group, served.version, served.kind)
    return name_of(found.name) if found else ""


def _kind(served: Served, made: dict[str, Schema]) -> tuple[str, Schema]:
    name = schema_name(served)
    if served.custom is None:
        found = struct_of(served.group, served.version, served.kind)
        if found is None:
            return "", {}
        _take(found.name, made)
        return name, dict(made[name])
    _take(META, made)
    schema = dict(served.custom.openapi)
    own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _ref(name_of(META))}
    schema["properties"] = {**(schema.get("properties") or {}), **own}
    return name, schema


def _list(name: str, served: Served) -> Schema:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "items": {"type": "array", "items": _ref(name)},
            "kind": {"type": "string"},
            "metadata": _ref(LIST_META),
        },
        "x-kubernetes-group-version-kind": [
            {"group": served.group, "kind": served.list_kind, "version": served.version}
        ],
    }


def _ref(name: str) -> Schema:
    # The reference stands in allOf: beside $ref nothing else would count.
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}


def _take(key: str, made: dict[str, Schema]) -> None:
    """Add a type of the table and all that it refers to."""
    name = name_of(key)
    if name in made:
        return
    found = struct(key)
    schema = made[name] = {"type": "object"}
    fields = found.fields.values()
    if required := [field.name for field in fields if not field.optional]:
        schema["required"] = required
    schema["properties"] = {field.name: _field(field) for field in sorted(fields, key=lambda field: field.name)}
    if found.atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    for field in fields:
        inner = field.type.lstrip("[]{}")
        if inner in _NAMED:
            made.setdefault(*_NAMED[inner])
        elif inner.startswith("@"):
            _take(inner[1:], made)


def _field(field: Field) -> Schema:
    schema = dict(_typed(field.type))
    if field.patch_strategy:
        schema["x-kubernetes-patch-strategy"] = ",".join(sorted(field.patch_strategy))
    if field.patch_key:
        schema["x-kubernetes-patch-merge-key"] = field.patch_key
    if field.list_type:
        word = "x-kubernetes-list-type" if field.type.startswith("[]") else "x-kubernetes-map-type"
        schema[word] = field.list_type
    if field.list_keys:
        schema["x-kubernetes-list-map-keys"] = list(field.list_keys)
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _typed(text: str) -> Schema:
    if text.startswith("[]"):
        return {"type": "array", "items": _typed(text[2:])}
    if text.startswith("{}"):
        return {"type": "object", "additionalProperties": _typed(text[2:])}
    if text.startswith("@"):
        return _ref(name_of(text[1:]))
    if text in _NAMED:
        return _ref(_NAMED[text][0])
    return dict(_SCALARS[text])
