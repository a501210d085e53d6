"""``@modifiers``: make another text of a JSON text, and static values (``!"text"``). Pure.

``@pretty`` is left out: it writes line breaks into a value for people to look at. Modifiers:
https://github.com/tidwall/gjson/blob/master/SYNTAX.md#modifiers
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from keyless.shared_secrets.sync.gjson.budget import Budget, PathFault
from keyless.shared_secrets.sync.gjson.paths import MODIFIERS, trimmed
from keyless.shared_secrets.sync.gjson.scanning import argument_end, squash_end, string_end
from keyless.shared_secrets.sync.gjson.strict import is_valid
from keyless.shared_secrets.sync.gjson.values import Found, atom_at, parsed, string_found

_NAME_END = re.compile(rb"[:|.]")
_START = re.compile(rb"[^ \t\r\n]")
_ANY = re.compile(rb'["{\[ntf0-9+\-iIN]')
_SEPARATORS = re.compile(rb"[\x00-\x20,:]*")
_ENDED = re.compile(rb"[|{\[\"(]")
_UGLY = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)|[\x00-\x20]+', re.DOTALL)
_ESCAPED = re.compile('[\x00-\x1f<>&"\\\\\u2028\u2029]')
_SHORT = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
# What a byte costs where a modifier goes through all of them, against copying it.
_COST = {b"ugly": 20, b"valid": 24, b"fromstr": 24, b"tostr": 8}
_STATIC = {b"true", b"false", b"null", b"nan", b"inf"}


Get = Callable[[bytes, bytes, Budget, int], Found]
"""The search itself, which ``@dig`` asks at each level."""


def run(text: bytes, path: bytes, budget: Budget, depth: int, get: Get) -> tuple[bytes, bytes] | None:
    """Return what the modifier that ``path`` begins with makes, and the rest of the path; None when there is none."""
    end = _NAME_END.search(path, 1)
    name, rest = (path[1 : end.start()], path[end.start() :]) if end else (path[1:], b"")
    if name not in MODIFIERS:
        return None
    argument = b""
    if rest[:1] == b":":
        argument, rest = _argument(rest[1:], budget)
    budget.spend(4 + text.count(b"\\") // 2, size=len(text) * _COST.get(name, 2))
    if name == b"pretty":
        raise PathFault("@pretty is not supported; use @this or @ugly")
    if name == b"dig":
        return _dig(text, argument, budget, depth, get), rest
    return _MADE[name](text, argument, budget, depth), rest


def _argument(path: bytes, budget: Budget) -> tuple[bytes, bytes]:
    if path[:1] and path[:1] in b'{["' and parsed(path).exists:
        end = argument_end(path, 0, budget)
        return path[:end], path[end:]
    at = 0
    while at < len(path):
        mark = _ENDED.search(path, at)
        if mark is None:
            return path, b""
        if mark[0] == b"|":
            return path[: mark.start()], path[mark.start() :]
        at = argument_end(path, mark.start(), budget)
    return path, b""


def static(path: bytes, budget: Budget) -> tuple[bytes, bytes] | None:
    """Return the value that ``path`` spells after ``!``, and the rest of the path."""
    first = path[1:2]
    if first and first in b'{["+-0123456789':
        # As gjson: whatever comes first is taken to open, so a text ends only with the path.
        end = squash_end(path, 1, budget)
        return path[1:end], path[end:]
    end_mark = re.search(rb"[|.]", path)
    end = end_mark.start() if end_mark else len(path)
    name = path[1:end]
    return (name, path[end:]) if name.lower() in _STATIC else None


def value_start(text: bytes, at: int) -> int | None:
    """Return where something other than white space begins."""
    match = _START.search(text, at)
    return match.start() if match else None


def any_value(text: bytes, at: int, budget: Budget) -> tuple[Found, int] | None:
    """Return the next value from ``at`` and where it ends."""
    match = _ANY.search(text, at)
    budget.spend(size=(match.start() if match else len(text)) - at)
    if match is None:
        return None
    if match[0] in {b"{", b"["}:
        end = squash_end(text, match.start(), budget)
        return Found("json", text[match.start() : end]), end
    read = atom_at(text, match.start())
    budget.spend(
        3 + (read[0].raw.count(b"\\") // 2 if read else 0), size=4 * len(read[0].raw) if read else len(text) - at
    )
    return read


def items(value: Found, budget: Budget) -> Iterator[tuple[bytes, Found]]:
    """Go through an object's (raw key, value) or a list's (empty, value); any other value is its own only item."""
    if not value.exists:
        return
    if value.kind != "json":
        yield b"", value
        return
    text, at, key = value.raw, 1, b""
    while at < len(text):
        if text[:1] == b"{":
            begin = text.find(b'"', at)
            end = string_end(text, begin + 1) if begin >= 0 else None
            if end is None:
                return
            key, at = text[begin:end], end
        between = _SEPARATORS.match(text, at)
        read = any_value(text, between.end() if between else at, budget)
        if read is None:
            return
        yield key, read[0]
        at = read[1]
        budget.spend()


def quoted(text: bytes) -> bytes:
    """Return a JSON string as Go writes it: ``<>&`` escaped, U+FFFD for what is no UTF-8."""
    return f'"{_ESCAPED.sub(_escape, text.decode("utf-8", "replace"))}"'.encode()


def _escape(match: re.Match[str]) -> str:
    return _SHORT.get(match[0]) or f"\\u{ord(match[0]):04x}"


def _valid(text: bytes, _argument: bytes, budget: Budget, _depth: int) -> bytes:
    return text if is_valid(text, budget) else b""


def _from_string(text: bytes, _argument: bytes, budget: Budget, _depth: int) -> bytes:
    return parsed(text).text() if is_valid(text, budget) else b""


def _wants(argument: bytes, option: bytes, budget: Budget) -> bool:
    chosen = False
    for key, value in items(parsed(argument), budget):
        if string_found(key).content == option:
            chosen = value.kind == "true" or value.text().lower() in {b"1", b"t", b"true"} or value.number != 0
    return chosen


def _is_list(value: Found) -> bool:
    return value.kind == "json" and value.raw[:1] == b"["


def _is_object(value: Found) -> bool:
    return value.kind == "json" and value.raw[:1] == b"{"


def _unwrapped(raw: bytes) -> bytes:
    raw = trimmed(raw)
    return raw[1:-1] if len(raw) >= 2 and raw[:1] in {b"[", b"{"} else raw


def _ugly(text: bytes, _argument: bytes, _budget: Budget, _depth: int) -> bytes:
    return _UGLY.sub(lambda match: match[1] or b"", text)


def _reverse(text: bytes, _argument: bytes, budget: Budget, _depth: int) -> bytes:
    root = parsed(text)
    if _is_list(root):
        return b"[" + b",".join([value.raw for _, value in items(root, budget)][::-1]) + b"]"
    if _is_object(root):
        return b"{" + b",".join([key + b":" + value.raw for key, value in items(root, budget)][::-1]) + b"}"
    return text


def _flatten(text: bytes, argument: bytes, budget: Budget, depth: int) -> bytes:
    budget.check_nesting(depth)
    root = parsed(text)
    if not _is_list(root):
        return text
    deep = bool(argument) and _wants(argument, b"deep", budget)
    parts = []
    for _, value in items(root, budget):
        raw = value.raw
        if _is_list(value):
            raw = _unwrapped(_flatten(raw, argument, budget, depth + 1) if deep else raw)
        parts.append(raw.strip())
    return b"[" + b",".join(part for part in parts if part) + b"]"


def _keys(text: bytes, _argument: bytes, budget: Budget, _depth: int) -> bytes:
    root = parsed(text)
    named = _is_object(root)
    return b"[" + b",".join(key if named else b"null" for key, _ in items(root, budget)) + b"]"


def _values(text: bytes, _argument: bytes, budget: Budget, _depth: int) -> bytes:
    root = parsed(text)
    return text if _is_list(root) else b"[" + b",".join(value.raw for _, value in items(root, budget)) + b"]"


def _join(text: bytes, argument: bytes, budget: Budget, _depth: int) -> bytes:
    root = parsed(text)
    if not _is_list(root):
        return text
    objects = [value for _, value in items(root, budget) if _is_object(value)]
    if argument and _wants(argument, b"preserve", budget):
        return b"{" + b",".join(_unwrapped(value.raw) for value in objects) + b"}"
    members: dict[bytes, tuple[bytes, bytes]] = {}
    for one in objects:
        for key, value in items(one, budget):
            name = string_found(key).content
            members[name] = (members[name][0] if name in members else key, value.raw)
    return b"{" + b",".join(key + b":" + raw for key, raw in members.values()) + b"}"


def _group(text: bytes, _argument: bytes, budget: Budget, _depth: int) -> bytes:
    root = parsed(text)
    if not _is_object(root):
        return b""
    rows: list[list[bytes]] = []
    for key, value in items(root, budget):
        for number, (_, item) in enumerate(items(value, budget) if _is_list(value) else ()):
            if number == len(rows):
                rows.append([])
            rows[number].append(key + b":" + item.raw)
    return b"[" + b",".join(b"{" + b",".join(row) + b"}" for row in rows) + b"]"


def _dig(text: bytes, argument: bytes, budget: Budget, depth: int, get: Get) -> bytes:
    out: list[bytes] = []

    def descend(value: Found, level: int) -> None:
        budget.check_nesting(level)
        found = get(value.raw, argument, budget, level + 1)
        if found.exists:
            out.append(found.raw)
        if value.kind == "json":
            for _, child in items(value, budget):
                descend(child, level + 1)

    descend(parsed(text), depth)
    return b"[" + b",".join(out) + b"]"


_MADE: dict[bytes, Callable[[bytes, bytes, Budget, int], bytes]] = {
    b"this": lambda text, *_: text,
    b"ugly": _ugly,
    b"reverse": _reverse,
    b"flatten": _flatten,
    b"join": _join,
    b"valid": _valid,
    b"keys": _keys,
    b"values": _values,
    b"tostr": lambda text, *_: quoted(text),
    b"fromstr": _from_string,
    b"group": _group,
}
