"""Kubernetes' strategic merge patch: lists of objects merge item by item where the built-in type says so.

Directives: ``$patch`` (replace, delete, merge), ``$retainKeys``, ``$deleteFromPrimitiveList/<field>`` and
``$setElementOrder/<field>``. Which lists merge, and by which key, comes from the table of types. The object and the
patch are never changed.
Spec: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyless.local.cluster.builtin.types import Field, Struct, struct, struct_of, version_of
from keyless.local.cluster.patches.errors import PatchError, bad_request
from keyless.local.cluster.patches.ordering import arrange, position

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"
Map = dict[str, Any]


def strategic_patch(obj: Map, patch: Any, *, group: str, kind: str) -> Map:
    """Merge ``patch`` into ``obj`` by the patch strategies of the built-in type; other kinds are refused with 415."""
    found = struct_of(group, version_of(group, kind), kind)
    if found is None:
        text = (
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        )
        raise PatchError(415, "UnsupportedMediaType", text)
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: a strategic merge patch is an object")
    return _merge_map(obj, patch, found)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one field merges."""

    merges: bool
    key: str
    inner: Struct | None


def _rule(kind: Struct | None, name: str) -> _Rule:
    field: Field | None = kind.fields.get(name) if kind else None
    if field is None:
        return _Rule(merges=False, key="", inner=None)
    target = field.type
    while target[:2] in {"[]", "{}"}:
        target = target[2:]
    inner = struct(target[1:]) if target.startswith("@") else None
    return _Rule("merge" in field.patch_strategy, field.patch_key, inner)


def _merge_map(original: Map, patch: Map, kind: Struct | None) -> Map:
    if DIRECTIVE in patch:
        return _directive(original, patch, kind)
    merged, rest = _retain(original, patch), {key: value for key, value in patch.items() if key != RETAIN}
    for key in [key for key in rest if key.startswith(ORDER_PREFIX)]:
        name = key.removeprefix(ORDER_PREFIX)
        ordered = _ordered(merged, rest, name, rest[key], kind)
        rest = {other: value for other, value in rest.items() if other not in {key, name}}
        if ordered is not None:
            merged[name] = ordered
    for key, value in rest.items():
        if key.startswith(DELETE_PREFIX):
            _delete_scalars(merged, key.removeprefix(DELETE_PREFIX), value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value, _rule(kind, key), kind, key)
    return merged


def _merge_value(found: Any, value: Any, rule: _Rule, kind: Struct | None, key: str) -> Any:
    if isinstance(found, dict) and isinstance(value, dict):
        strategy = kind.fields[key].patch_strategy if kind and key in kind.fields else frozenset()
        inner = rule.inner if _is_struct(kind, key) else None
        return without_directives(value) if "replace" in strategy else _merge_map(found, value, inner)
    if isinstance(found, list) and isinstance(value, list):
        return _merge_list(found, value, rule)
    return without_directives(value)


def _is_struct(kind: Struct | None, key: str) -> bool:
    return kind is not None and key in kind.fields and kind.fields[key].type.startswith("@")


def _directive(original: Map, patch: Map, kind: Struct | None) -> Map:
    word = patch[DIRECTIVE]
    rest = {key: value for key, value in patch.items() if key != DIRECTIVE}
    if word == "replace":
        return rest
    if word == "delete":
        return {}
    if word == "merge":
        return _merge_map(original, rest, kind)
    raise bad_request(f"unknown patch type: {word} in map: the directive is merge, replace or delete")


def _retain(original: Map, patch: Map) -> Map:
    if RETAIN not in patch:
        return dict(original)
    keep = patch[RETAIN]
    if not isinstance(keep, list):
        raise bad_request("invalid patch format of retainKeys: it is a list")
    extra = [key for key, value in patch.items() if key != RETAIN and value is not None and key not in keep]
    if any(not key.startswith("$") for key in extra):
        raise bad_request("invalid patch format of retainKeys: the patch sets keys that it does not retain")
    return {key: value for key, value in original.items() if key in keep}


def _delete_scalars(merged: Map, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise bad_request("invalid patch format of primitive list: a list of values to delete is expected")
    found = merged.get(name)
    if isinstance(found, list):
        merged[name] = [item for item in found if item not in values]


def _ordered(original: Map, patch: Map, name: str, order: Any, kind: Struct | None) -> list[Any] | None:
    """A list after its ``$setElementOrder``; ``None`` when neither side has it."""
    found, patched = original.get(name), patch.get(name)
    for value in (order, *(item for item in (found, patched) if item is not None)):
        if not isinstance(value, list):
            raise bad_request(f"invalid patch format of setElementOrder list: {name} is no list")
    if found is None and patched is None:
        return None
    rule = _rule(kind, name)
    _agree(patched or [], order, rule.key, name)
    if patched is None:
        merged = list(found or [])
    elif found is None:
        merged = without_directives(patched)
    else:
        merged = _merge_list(found, patched, rule)
    return arrange(merged, order, found or [], rule.key)


def _agree(patched: list[Any], order: list[Any], key: str, name: str) -> None:
    """The items of the patch must stand in the given order, in the same sequence."""
    last = -1
    for item in patched:
        if isinstance(item, dict) and item.get(DIRECTIVE) in ("delete", "replace"):
            continue
        place = position(order, item, key)
        if place <= last:
            raise bad_request(f"The order in patch list: does not match $setElementOrder/{name} list")
        last = place


def _merge_list(found: list[Any], patch: list[Any], rule: _Rule) -> list[Any]:
    if not rule.merges:
        return list(without_directives(patch))
    if not any(isinstance(item, dict) for item in [*found, *patch]):
        if any(isinstance(item, list) for item in [*found, *patch]):
            raise bad_request("a list of lists cannot be merged: expected plain values")
        merged = list(dict.fromkeys([*found, *patch]))
        return arrange(merged, patch, found, "")
    if not rule.key:
        raise bad_request("expected mapping with a merge key; the type declares none")
    kept, plain, replaced = _special(found, patch, rule.key)
    if replaced:
        return list(without_directives(plain))
    merged = list(kept)
    for item in plain:
        place = position(merged, item, rule.key)
        if place < 0:
            merged.append(without_directives(item))
        else:
            merged[place] = _merge_map(merged[place], item, rule.inner)
    return arrange(merged, plain, found, rule.key)


def _special(found: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any], bool]:
    """Carry out the items that are directives; answers what is left of both lists, and whether to replace."""
    kept, plain, replace = list(found), [], False
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request(f"expected maps in the patch list that merges by {key}")
        word = item.get(DIRECTIVE)
        if word is None or word == "merge":
            if word is None and key not in item:
                raise bad_request(f"map does not contain declared merge key: {key}")
            plain.append({name: value for name, value in item.items() if name != DIRECTIVE})
        elif word == "replace":
            replace = True
        elif word == "delete":
            if key not in item:
                raise bad_request("delete patch type with no merge key defined")
            kept = [other for other in kept if not (isinstance(other, dict) and other.get(key) == item[key])]
        else:
            raise bad_request(f"unknown patch type: {word}: the directive is merge, replace or delete")
    if replace:
        plain = [item for item in plain if item]
    return kept, plain, replace


def without_directives(value: Any) -> Any:
    """A value that is new to the object: nulls and directives inside say nothing."""
    if isinstance(value, list):
        items = [
            item for item in value if not (isinstance(item, dict) and item.get(DIRECTIVE) in ("delete", "replace"))
        ]
        return [without_directives(item) for item in items]
    if not isinstance(value, dict):
        return value
    prefixes = (ORDER_PREFIX, DELETE_PREFIX)
    return {
        key: without_directives(item)
        for key, item in value.items()
        if item is not None and key not in {DIRECTIVE, RETAIN} and not key.startswith(prefixes)
    }
