"""Walks over one or two values by their shape: which paths they have, how they differ, how they merge.

The rules are those of Kubernetes' structured merge: leaves and atomic values count as one, members of open maps and
list items count themselves, declared fields count only through what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keyless.local.cluster.apply import fields
from keyless.local.cluster.apply.fields import Path, Paths, Trie
from keyless.local.cluster.apply.shapes import Shape
from keyless.local.cluster.patches.json_patch import same

MISSING = object()


def items(shape: Shape, value: list[Any]) -> Iterator[tuple[str, Any]]:
    """The items of a list of type set or map, with their path elements; what has no identity is left out."""
    defaults = dict(shape.defaults)
    for item in value:
        if shape.kind == "set":
            yield fields.value(item), item
        elif isinstance(item, dict):
            yield fields.key({name: item.get(name, defaults.get(name)) for name in shape.keys}), item


def members(shape: Shape, value: Any) -> dict[str, tuple[Any, Shape]] | None:
    """The parts of a value by path element; ``None`` when it counts as one."""
    if isinstance(value, dict) and shape.kind in {"struct", "deduced"}:
        return {fields.field(name): (item, shape.inner(name)) for name, item in value.items()}
    if isinstance(value, list) and shape.kind in {"set", "map"}:
        inner = shape.item()
        found: dict[str, tuple[Any, Shape]] = {}
        for element, item in items(shape, value):
            found.setdefault(element, (item, inner))
        return found
    return None


def is_declared(shape: Shape, element: str) -> bool:
    """Whether an element is a field that the type knows."""
    return element.startswith("f:") and shape.named(element[2:]) is not None


def paths_of(shape: Shape, value: Any) -> Paths:
    """The paths that an apply of ``value`` owns."""
    found: set[Path] = set()
    _paths(shape, value, (), found)
    return frozenset(found)


def _paths(shape: Shape, value: Any, path: Path, found: set[Path]) -> None:
    parts = members(shape, value)
    if parts is None:
        if path:
            found.add(path)
        return
    for element, (item, inner) in parts.items():
        place = (*path, element)
        _paths(inner, item, place, found)
        if item is None or item == {} or not is_declared(shape, element):
            found.add(place)


@dataclass(slots=True)
class Difference:
    """What changed from one value to another."""

    added: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)

    def changed(self) -> Paths:
        """Added or modified."""
        return frozenset(self.added | self.modified)


def compare(shape: Shape, old: Any, new: Any) -> Difference:
    """The difference; either may be :data:`MISSING`."""
    found = Difference()
    _compare(shape, old, new, (), found)
    return found


def _compare(shape: Shape, old: Any, new: Any, path: Path, found: Difference) -> None:
    if old is new:
        return
    if old is MISSING:
        _added(shape, new, path, found)
        return
    before = members(shape, old)
    after = members(shape, new)
    splits = (before is not None or after is not None) and (before or after)
    if not splits or (before is None and _is_value(old)) or (after is None and _is_value(new)):
        _leaf(old, new, path, found)
        return
    for element in {**(before or {}), **(after or {})}:
        left, inner = (before or {}).get(element, (MISSING, None))
        right, other = (after or {}).get(element, (MISSING, None))
        _compare(other or inner or shape, left, right, (*path, element), found)
    if path and new is MISSING:
        found.removed.add(path)


def _added(shape: Shape, value: Any, path: Path, found: Difference) -> None:
    """Everything of a value that was not there at all."""
    if path:
        found.added.add(path)
    for element, (item, inner) in (members(shape, value) or {}).items():
        _added(inner, item, (*path, element), found)


def _is_value(value: Any) -> bool:
    return value is not MISSING and value is not None


def _leaf(old: Any, new: Any, path: Path, found: Difference) -> None:
    if new is MISSING:
        found.removed.add(path)
    elif not same(old, new):
        found.modified.add(path)


def merge(shape: Shape, live: Any, applied: Any) -> Any:
    """``applied`` over ``live``; what only ``live`` has stays."""
    if live is MISSING or live is None:
        return applied
    if isinstance(live, dict) and isinstance(applied, dict) and shape.kind in {"struct", "deduced"}:
        result = dict(live)
        for name, item in applied.items():
            result[name] = merge(shape.inner(name), live.get(name, MISSING), item)
        return result
    if isinstance(live, list) and isinstance(applied, list) and shape.kind in {"set", "map"}:
        return _merge_lists(shape, live, applied)
    return applied


def _merge_lists(shape: Shape, live: list[Any], applied: list[Any]) -> list[Any]:
    """The applied order, with items that only ``live`` has kept at their place among the common ones."""
    inner = shape.item()
    left, right = list(items(shape, live)), list(items(shape, applied))
    ours, theirs = {element for element, _ in right}, dict(reversed(left))
    shared = [element for element, _ in right if element in theirs]
    result: list[Any] = []
    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left):
            element, item = left[i]
            if element not in ours:
                result.append(item)
                i += 1
                continue
            if not shared or element != shared[0] or j >= len(right):
                i += 1  # its turn comes with the applied list
                continue
        element, item = right[j]
        result.append(merge(inner, theirs.get(element, MISSING), item))
        j += 1
        if shared and element == shared[0]:
            shared.pop(0)
    return result


def with_declared(shape: Shape, paths: Paths) -> Paths:
    """The set, in which every declared field with paths below it is itself a member."""
    found: set[Path] = set(paths)
    _declare(shape, fields.trie(paths), (), found)
    return frozenset(found)


def _declare(shape: Shape, node: Trie, path: Path, found: set[Path]) -> None:
    for element, below in node.items():
        if not element or not below:
            continue
        place = (*path, element)
        if set(below) != {""} and is_declared(shape, element):
            found.add(place)
        _declare(_inner(shape, element), below, place, found)


def _inner(shape: Shape, element: str) -> Shape:
    return shape.inner(element[2:]) if element.startswith("f:") else shape.item()


def without(shape: Shape, value: Any, paths: Paths) -> Any:
    """The value without the given paths."""
    return _without(shape, value, fields.trie(paths))


def _without(shape: Shape, value: Any, node: Trie) -> Any:
    if isinstance(value, dict) and shape.kind in {"struct", "deduced"}:
        result = {}
        for name, item in value.items():
            below = node.get(fields.field(name))
            if below is None:
                result[name] = item
            elif "" not in below:
                kept = _without(shape.inner(name), item, below)
                # What lost all its parts is null, not gone: others may own it as a whole.
                result[name] = None if kept in ({}, []) and item not in ({}, []) else kept
        return result
    if isinstance(value, list) and shape.kind in {"set", "map"}:
        kept_items = []
        inner = shape.item()
        for element, item in items(shape, value):
            below = node.get(element)
            if below is None:
                kept_items.append(item)
            elif "" not in below:
                kept_items.append(_without(inner, item, below))
        return kept_items
    return value
