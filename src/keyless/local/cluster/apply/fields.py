"""Sets of field paths, and their ``FieldsV1`` form in ``managedFields``.

A path is a tuple of elements as FieldsV1 writes them: ``f:name`` a field, ``k:{…}`` a list item by its keys, ``v:…`` a
set's value. A set holds the paths it owns; owning a path says nothing about what is below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Path = tuple[str, ...]
Paths = frozenset[Path]
Trie = dict[str, "Trie"]
EMPTY: Paths = frozenset()
SORTED = orjson.OPT_SORT_KEYS


def field(name: str) -> str:
    """The element of a field."""
    return f"f:{name}"


def key(values: Mapping[str, Any]) -> str:
    """The element of a list item that is told apart by keys."""
    return f"k:{orjson.dumps(values, option=SORTED).decode()}"


def value(scalar: Any) -> str:
    """The element of a value in a set."""
    return f"v:{orjson.dumps(scalar).decode()}"


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The nested form; ``.`` marks a path that is owned and has owned paths below it."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _compact(root)


def _compact(node: dict[str, Any]) -> dict[str, Any]:
    if set(node) == {"."}:
        return {}
    return {element: {} if element == "." else _compact(inner) for element, inner in node.items()}


def from_fields_v1(fields: Any) -> Paths:
    """The paths of a nested form; what is none is left out."""
    found: set[Path] = set()
    _collect(fields, (), found)
    return frozenset(found)


def _collect(node: Any, path: Path, found: set[Path]) -> None:
    if not isinstance(node, dict):
        return
    if not node and path:
        found.add(path)
    for element, inner in node.items():
        if element == ".":
            found.add(path)
        elif element[:2] in {"f:", "k:", "v:", "i:"}:
            _collect(inner, (*path, element), found)


def trie(paths: Iterable[Path]) -> Trie:
    """Paths by their elements; the member mark is the key ``""``."""
    root: Trie = {}
    for path in paths:
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node[""] = {}
    return root


def text(path: Path) -> str:
    """A path as conflicts show it: ``.spec.template.spec.containers[name="a"].image``."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    kind, body = element[:2], element[2:]
    if kind == "f:":
        return f".{body}"
    if kind == "k:":
        keys = orjson.loads(body)
        return "[" + ",".join(f"{name}={orjson.dumps(keys[name]).decode()}" for name in sorted(keys)) + "]"
    return f"[={body}]" if kind == "v:" else f"[{body}]"
