"""Drop what the schema does not know, and say where it was."""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.builtin.normal import metadata_parts
from keyless.local.cluster.faults import Object
from keyless.local.cluster.schema.model import Node

META = ("apiVersion", "kind", "metadata")


def prune(node: Node, obj: Object) -> tuple[Object, list[str]]:
    """The object without unknown fields, nulls that may not be and foreign metadata; and their paths, sorted."""
    unknown: list[str] = []
    pruned = _resource(node, obj, "", unknown)
    return pruned, sorted(unknown)


def _resource(node: Node, obj: dict[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    """An object with apiVersion, kind and metadata of its own, whatever the schema says."""
    body = {key: value for key, value in obj.items() if key not in META}
    result = {key: obj[key] for key in META[:2] if key in obj}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        known, foreign = metadata_parts(metadata)
        unknown += [f"{path}metadata.{name}" for name in foreign]
        result["metadata"] = known
    elif metadata is not None:
        result["metadata"] = metadata
    return {**result, **_object(node, body, path, unknown)}


def _value(node: Node, value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, dict):
        if node.embedded:
            return _resource(node, value, f"{path}.", unknown)
        return _object(node, value, f"{path}.", unknown)
    if isinstance(value, list):
        if node.items is None:
            return value if node.preserve else [_bare(item, f"{path}[{i}]", unknown) for i, item in enumerate(value)]
        return [_value(node.items, item, f"{path}[{i}]", unknown) for i, item in enumerate(value)]
    return _whole(node, value)


def _whole(node: Node, value: Any) -> Any:
    """``2.0`` is an integer to Kubernetes, and stored as one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value) if node.type in {"integer", "number"} or node.int_or_string else value
    return value


def _object(node: Node, value: dict[str, Any], path: str, unknown: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in value.items():
        inner = node.child(key)
        if inner is not None:
            # A null where none may be says "not set".
            if item is None and not inner.nullable and not inner.preserve:
                continue
            result[key] = _value(inner, item, f"{path}{key}", unknown)
        elif node.preserve:
            result[key] = item
        elif node.open:
            result[key] = _bare(item, f"{path}{key}", unknown)
        else:
            unknown.append(f"{path}{key}")
    return result


def _bare(value: Any, path: str, unknown: list[str]) -> Any:
    """A value without schema: an object loses all its fields."""
    if isinstance(value, dict):
        unknown += [f"{path}.{key}" for key in value]
        return {}
    if isinstance(value, list):
        return [_bare(item, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    return value
