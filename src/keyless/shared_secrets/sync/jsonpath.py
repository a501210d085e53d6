"""Read a property of a JSON payload, keeping the text of what is not a string as it was written. Pure.

A path is External Secrets' (gjson's): members joined by dots, ``\\.`` for a dot in a name, numbers for indexes, ``#``
for a length or for "of each", ``*`` and ``?`` in names. Queries, modifiers and multipaths go to the gjson library,
over parsed values. A payload that is no JSON has no properties.

Paths: https://github.com/tidwall/gjson/blob/master/SYNTAX.md
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from typing import Any

import gjson

from keyless.gotemplate import fixed_text

_SPACE = re.compile(r"[ \t\r\n]*")
_ATOM = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SPECIAL = re.compile(r"#\(|[|@{}\[\]!~]")
_DECODER = json.JSONDecoder()
MAX_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value with the text it was read from."""

    raw: str
    text: str | None = None
    members: tuple[tuple[str, Node], ...] | None = None
    items: tuple[Node, ...] | None = None

    def string(self) -> str:
        """Return the value as a Secret gets it."""
        if self.text is not None:
            return self.text
        if self.members is not None or self.items is not None or self.raw in {"true", "false"}:
            return self.raw
        if self.raw == "null":
            return ""
        return self.raw if re.fullmatch(r"-?\d+", self.raw) else fixed_text(float(self.raw))

    def member(self, name: str) -> Node | None:
        """Return a member; the last of that name, as JSON readers do."""
        return next((node for key, node in reversed(self.members or ()) if key == name), None)


def read_untrusted(text: str) -> Node | None:
    """Return the tree of ``text``; None when it is no JSON."""
    try:
        node, end = _value(text, _skip(text, 0), 0)
        return node if _skip(text, end) == len(text) else None
    except (ValueError, IndexError):
        return None


def lookup(text: str, path: str) -> str | None:
    """Return the property at ``path``; None when there is none. A member named like the whole path wins."""
    root = read_untrusted(text)
    if root is None:
        return None
    literal = root.member(path)
    if literal is not None:
        return literal.string()
    if _SPECIAL.search(path):
        return _by_library(text, path)
    found = _walk(root, _components(path))
    return found.string() if found else None


def _walk(node: Node | None, path: list[str]) -> Node | None:
    for position, name in enumerate(path):
        if node is None:
            return None
        if node.items is not None:
            if name == "#":
                return _of_each(node.items, path[position + 1 :])
            node = node.items[int(name)] if name.isdigit() and int(name) < len(node.items) else None
        else:
            node = _member(node, name)
    return node


def _of_each(items: tuple[Node, ...], rest: list[str]) -> Node:
    if not rest:
        return Node(str(len(items)))
    found = tuple(node for item in items if (node := _walk(item, rest)) is not None)
    return Node("[" + ",".join(node.raw for node in found) + "]", items=found)


def _member(node: Node, name: str) -> Node | None:
    plain = name.replace("\\", "")
    if node.members is None or not re.search(r"(?<!\\)[*?]", name):
        return node.member(plain)
    pattern = name.replace("[", "[[]")
    return next((found for key, found in node.members if fnmatch.fnmatchcase(key, pattern)), None)


def _components(path: str) -> list[str]:
    return [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", path)]


def _by_library(text: str, path: str) -> str | None:
    try:
        found: Any = gjson.get(json.loads(text), path)
    except Exception:  # noqa: BLE001 - the library's errors quote the payload, and its own faults are many
        return None
    if isinstance(found, str):
        return found
    node = read_untrusted(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    return node.string() if node else None


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int, depth: int) -> tuple[Node, int]:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    first = text[at]
    if first == '"':
        value, end = _DECODER.raw_decode(text, at)
        return Node(text[at:end], text=value), end
    if first == "{":
        return _object(text, at, depth)
    if first == "[":
        return _array(text, at, depth)
    match = _ATOM.match(text, at)
    if not match:
        raise ValueError("no JSON value")
    return Node(match.group()), match.end()


def _object(text: str, start: int, depth: int) -> tuple[Node, int]:
    members: list[tuple[str, Node]] = []
    at = _skip(text, start + 1)
    while text[at] != "}":
        if members:
            at = _skip(text, _expect(text, at, ","))
        _expect(text, at, '"')
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        node, at = _value(text, at, depth + 1)
        members.append((name, node))
        at = _skip(text, at)
    return Node(text[start : at + 1], members=tuple(members)), at + 1


def _array(text: str, start: int, depth: int) -> tuple[Node, int]:
    items: list[Node] = []
    at = _skip(text, start + 1)
    while text[at] != "]":
        if items:
            at = _skip(text, _expect(text, at, ","))
        node, at = _value(text, at, depth + 1)
        items.append(node)
        at = _skip(text, at)
    return Node(text[start : at + 1], items=tuple(items)), at + 1


def _expect(text: str, at: int, mark: str) -> int:
    if text[at] != mark:
        raise ValueError("no JSON")
    return at + 1
