"""Validate values against compiled nodes, with the sentences and the order of Kubernetes.

On an update, a part that did not change is not judged again (ratcheting): stricter schemas must not lock out objects
that were stored under an older one.
"""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.faults import (
    FieldError,
    duplicate,
    invalid,
    required,
    too_long,
    too_many,
    type_name,
    unsupported,
    wrong_type,
)
from keyless.local.cluster.patches.json_patch import same
from keyless.local.cluster.schema.formats import fits
from keyless.local.cluster.schema.model import Node

ABSENT = object()
"""There is no old value to compare with."""


def check(node: Node, value: Any, old: Any, path: str) -> list[FieldError]:
    """All faults of a value; ``old`` is :data:`ABSENT` or what stood there before."""
    if old is not ABSENT and same(value, old):
        return []
    if value is None and node.nullable:
        return []
    errors = _type(node, value, path)
    if value is None:
        return errors
    errors += _logic(node, value, path)
    if isinstance(value, str):
        errors += _string(node, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        errors += _number(node, value, path)
    elif isinstance(value, list):
        errors += _list(node, value, old, path)
    errors += _enum(node, value, path)
    if isinstance(value, dict):
        errors += _object(node, value, old, path)
    return errors


def _type(node: Node, value: Any, path: str) -> list[FieldError]:
    found = type_name(value)
    if node.int_or_string:
        return [] if found in {"integer", "string"} else [wrong_type(path, value, "integer,string")]
    if not node.type or found == node.type or (found == "integer" and node.type == "number"):
        return _format(node, value, path)
    if found == "number" and node.type == "integer" and float(value).is_integer():
        return []
    return [wrong_type(path, value, node.type)]


def _format(node: Node, value: Any, path: str) -> list[FieldError]:
    name = node.schema.get("format")
    if not name or not isinstance(value, str) or fits(name, value):
        return []
    shown = invalid(path, value, f'{path} in body must be of type {name}: "{value}"')
    return [FieldError(path, "FieldValueTypeInvalid", shown.body)]


def _string(node: Node, value: str, path: str) -> list[FieldError]:
    schema, errors = node.schema, []
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    if longest is not None and len(value) > longest:
        errors.append(too_long(path, longest))
    elif shortest is not None and len(value) < shortest:
        errors.append(invalid(path, value, f"{path} in body should be at least {shortest} chars long"))
    elif node.pattern is not None and not node.pattern.search(value):
        errors.append(invalid(path, value, f"{path} in body should match '{schema['pattern']}'"))
    return errors


def _number(node: Node, value: float, path: str) -> list[FieldError]:
    schema, errors = node.schema, []
    factor, highest, lowest = (schema.get(word) for word in ("multipleOf", "maximum", "minimum"))
    if factor and (value / factor) % 1:
        errors.append(invalid(path, value, f"{path} in body should be a multiple of {_plain(factor)}"))
    if highest is not None:
        exclusive = bool(schema.get("exclusiveMaximum"))
        if value > highest or (exclusive and value == highest):
            word = "less than" if exclusive else "less than or equal to"
            errors.append(invalid(path, value, f"{path} in body should be {word} {_plain(highest)}"))
    if lowest is not None:
        exclusive = bool(schema.get("exclusiveMinimum"))
        if value < lowest or (exclusive and value == lowest):
            word = "greater than" if exclusive else "greater than or equal to"
            errors.append(invalid(path, value, f"{path} in body should be {word} {_plain(lowest)}"))
    return errors


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def _enum(node: Node, value: Any, path: str) -> list[FieldError]:
    allowed = node.schema.get("enum")
    if not allowed or any(same(value, choice) for choice in allowed):
        return []
    # Written as they are in the schema, strings in quotes.
    return [unsupported(path, value, [choice if isinstance(choice, str) else str(choice) for choice in allowed])]


def _list(node: Node, value: list[Any], old: Any, path: str) -> list[FieldError]:
    schema, errors = node.schema, []
    most, least = schema.get("maxItems"), schema.get("minItems")
    if node.items is not None:
        for index, item in enumerate(value):
            errors += check(node.items, item, counterpart(node, item, old), f"{path}[{index}]")
    if least is not None and len(value) < least:
        errors.append(invalid(path, len(value), f"{path} in body should have at least {least} items"))
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    return errors


def counterpart(node: Node, item: Any, old: Any) -> Any:
    """The old item that is the same one: only lists of type map tell their items apart."""
    if node.list_type != "map" or not isinstance(old, list) or not isinstance(item, dict):
        return ABSENT
    keys = [item.get(key) for key in node.list_keys]
    for other in old:
        if isinstance(other, dict) and [other.get(key) for key in node.list_keys] == keys:
            return other
    return ABSENT


def _object(node: Node, value: dict[str, Any], old: Any, path: str) -> list[FieldError]:
    schema, errors = node.schema, []
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        errors.append(invalid(path, len(value), f"{path} in body should have at least {least} properties"))
    if most is not None and len(value) > most:
        errors.append(too_many(path, len(value), most))
    prefix = f"{path}." if path else ""
    errors += [required(f"{prefix}{name}") for name in schema.get("required") or () if name not in value]
    before = old if isinstance(old, dict) else {}
    for name in sorted(value):
        inner = node.child(name)
        if inner is not None:
            errors += check(inner, value[name], before.get(name, ABSENT), f"{prefix}{name}")
    return errors


def _logic(node: Node, value: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not node.logic and node.negated is None:
        return errors
    outcomes = {word: [check(inner, value, ABSENT, path) for inner in nodes] for word, nodes in node.logic.items()}
    if "anyOf" in outcomes and all(outcomes["anyOf"]):
        errors.append(_whole(path, "must validate at least one schema (anyOf)"))
        errors += _nearest(outcomes["anyOf"])
    if "oneOf" in outcomes:
        valid = sum(not found for found in outcomes["oneOf"])
        if valid != 1:
            text = "Found none valid" if valid == 0 else f"Found {valid} valid alternatives"
            errors.append(_whole(path, f"must validate one and only one schema (oneOf). {text}"))
            errors += _nearest(outcomes["oneOf"]) if valid == 0 else []
    failed = [error for found in outcomes.get("allOf", ()) for error in found]
    if failed:
        errors += [*failed, _whole(path, "must validate all the schemas (allOf)")]
    if node.negated is not None and not check(node.negated, value, ABSENT, path):
        errors.append(_whole(path, "must not validate the schema (not)"))
    return errors


def _nearest(outcomes: list[list[FieldError]]) -> list[FieldError]:
    """The faults of the alternative that came closest; the first of equals."""
    return min(outcomes, key=len, default=[])


def _whole(path: str, text: str) -> FieldError:
    return FieldError("<nil>", "FieldValueInvalid", f'Invalid value: "": "{path}" {text}')


def check_lists(node: Node, value: Any, path: str) -> list[FieldError]:
    """Duplicates in lists of type set and map."""
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        return [
            error
            for name, item in sorted(value.items())
            if (inner := node.child(name)) is not None
            for error in check_lists(inner, item, f"{prefix}{name}")
        ]
    if not isinstance(value, list):
        return []
    errors = _duplicates(node, value, path)
    if node.items is not None:
        for index, item in enumerate(value):
            errors += check_lists(node.items, item, f"{path}[{index}]")
    return errors


def _duplicates(node: Node, value: list[Any], path: str) -> list[FieldError]:
    if node.list_type == "atomic":
        return []
    seen: list[Any] = []
    errors = []
    for index, item in enumerate(value):
        identity = item
        if node.list_type == "map":
            identity = {key: item.get(key) for key in node.list_keys} if isinstance(item, dict) else item
        if any(same(identity, other) for other in seen):
            errors.append(_repeated(f"{path}[{index}]", identity))
        else:
            seen.append(identity)
    return errors


def _repeated(path: str, identity: Any) -> FieldError:
    if not isinstance(identity, dict):
        return duplicate(path, identity)
    keys = ", ".join(f'"{key}":{go_value(identity[key])}' for key in sorted(identity))
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: map[string]interface {{}}{{{keys}}}")


def go_value(value: Any) -> str:
    """A scalar as Go's ``%#v`` prints it inside a map."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return {True: "true", False: "false", None: "interface {}(nil)"}.get(value, str(value))


def check_embedded(node: Node, value: Any, path: str) -> list[FieldError]:
    """Embedded resources must say what they are."""
    errors: list[FieldError] = []
    prefix = f"{path}." if path else ""
    if isinstance(value, dict):
        if node.embedded and path:
            errors += [
                required(f"{prefix}{key}", "must not be empty") for key in ("apiVersion", "kind") if not value.get(key)
            ]
        for name, item in sorted(value.items()):
            inner = node.child(name)
            if inner is not None:
                errors += check_embedded(inner, item, f"{prefix}{name}")
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            errors += check_embedded(node.items, item, f"{path}[{index}]")
    return errors
