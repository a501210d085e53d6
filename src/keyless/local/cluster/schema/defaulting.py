"""Fill in a schema's defaults. Objects are copied only where something is added."""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.schema.model import Node


def fill(node: Node, value: Any) -> Any:
    """The value with defaults; defaults inside a default are filled too."""
    if isinstance(value, dict):
        return _object(node, value)
    if isinstance(value, list) and node.items is not None:
        filled = [fill(node.items, item) for item in value]
        return filled if any(new is not old for new, old in zip(filled, value, strict=True)) else value
    return value


def _object(node: Node, value: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, inner in node.properties.items():
        if inner.has_default and value.get(name) is None and not (name in value and inner.nullable):
            changed[name] = fill(inner, inner.default)
    for name, item in value.items():
        found = node.child(name)
        if found is not None and name not in changed:
            filled = fill(found, item)
            if filled is not item:
                changed[name] = filled
    return {**value, **changed} if changed else value
