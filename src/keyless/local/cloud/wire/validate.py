"""Check parameters against the model's constraints and say what is wrong in AWS's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from keyless.local.cloud.wire.shapes import Shape


def violations(shape: Shape | None, params: Mapping[str, Any]) -> list[str]:
    """All violations, each as AWS's sentence; empty when everything fits."""
    return list(_structure(shape, params, "")) if shape is not None else []


def sentence(found: list[str]) -> str:
    """AWS's message for some violations."""
    many = "s" if len(found) > 1 else ""
    return f"{len(found)} validation error{many} detected: " + "; ".join(found)


def _structure(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required:
        if value.get(name) is None:
            yield f"Value null at '{_at(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _value(member, value[name], _at(path, name))


def _at(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def _value(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind, fits = shape.kind, True
    for fault in _faults(shape, value):
        fits = False
        shown = "" if shape.sensitive or kind == "blob" else f" '{_shown(value)}'"
        yield f"Value{shown} at '{path}' failed to satisfy constraint: {fault}"
    if not fits:
        return
    if kind == "structure" and isinstance(value, dict):
        yield from _structure(shape, value, path)
    elif kind == "list":
        for index, item in enumerate(value, 1):
            yield from _value(shape.member, item, f"{path}.{index}.member")
    elif kind == "map":
        for key, item in value.items():
            yield from _value(shape.key, key, f"{path}.{key}")
            yield from _value(shape.value, item, f"{path}.{key}.member")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


def _faults(shape: Shape, value: Any) -> Iterator[str]:
    """Every constraint that ``value`` breaks: each is a violation of its own."""
    kind = shape.kind
    if kind in {"integer", "long", "float", "double"} and (fault := _out_of_range(value, shape, "value")):
        yield fault
    measured = kind in {"string", "list", "map", "blob"} and hasattr(value, "__len__")
    if measured and (fault := _out_of_range(len(value), shape, "length")):
        yield fault
    if kind == "string":
        if shape.values and value not in shape.values:
            yield f"Member must satisfy enum value set: [{', '.join(shape.values)}]"
        compiled = _compiled(shape.pattern) if shape.pattern else None
        if compiled and not compiled.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {shape.pattern}"


def _out_of_range(number: float, shape: Shape, what: str) -> str | None:
    if shape.minimum is not None and number < shape.minimum:
        return f"Member must have {what} greater than or equal to {shape.minimum}"
    if shape.maximum is not None and number > shape.maximum:
        return f"Member must have {what} less than or equal to {shape.maximum}"
    return None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    """The pattern as Java means it: ``\\w`` is ASCII. RE2 knows classes that Python does not (``\\p{L}``)."""
    try:
        return re.compile(pattern, re.DOTALL | re.ASCII)
    except re.error:
        pass
    import re2  # loaded late: few parameters need it

    quiet = re2.Options()
    quiet.log_errors = False
    try:
        return re2.compile(pattern, quiet)
    except re2.error:
        return None
