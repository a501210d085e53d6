"""Read a path: its first component and what is left, as gjson splits it. Pure.

Syntax: https://github.com/tidwall/gjson/blob/master/SYNTAX.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keyless.shared_secrets.sync.gjson.budget import Budget
from keyless.shared_secrets.sync.gjson.scanning import argument_end, string_end
from keyless.shared_secrets.sync.gjson.values import unescaped

MODIFIERS = frozenset(
    {b"this", b"ugly", b"reverse", b"flatten", b"join", b"valid", b"keys", b"values", b"tostr", b"fromstr", b"group"}
    | {b"dig", b"pretty"}
)
_WHITE = bytes(range(0x21))
_NAME_END = re.compile(rb"[.|:]")
_OPERATOR = re.compile(rb"!=|!%|<=|>=|==|[<>=%]|!", re.DOTALL)


@dataclass(slots=True)
class Component:
    """One component of a path; ``more`` follows in ``rest``, or a pipe leads to ``pipe``."""

    part: bytes
    rest: bytes = b""
    more: bool = False
    pipe: bytes | None = None
    wild: bool = False


@dataclass(slots=True)
class Query:
    """``#(path operator value)``; ``every`` with a second ``#``."""

    path: bytes = b""
    operator: bytes = b""
    value: bytes = b""
    every: bool = False


@dataclass(slots=True)
class ArrayComponent(Component):
    """A component over a list: ``counts`` with a ``#`` in it, ``each`` is the path after ``#.``."""

    counts: bool = False
    each: bytes | None = None
    query: Query | None = None


def trimmed(text: bytes) -> bytes:
    """Take white space and control characters off both ends."""
    return text.strip(_WHITE)


def _pipes(rest: bytes) -> bool:
    """Return whether a dot before ``rest`` is a pipe: before a multipath or a known modifier."""
    if rest[:1] == b"@":
        return _NAME_END.split(rest[1:], maxsplit=1)[0] in MODIFIERS
    return rest[:1] in {b"[", b"{"}


def _ended(component: Component, path: bytes, at: int, *, may_pipe: bool = True) -> None:
    rest = path[at + 1 :]
    if path[at : at + 1] == b"|" or (may_pipe and _pipes(rest)):
        component.pipe = rest
    else:
        component.rest, component.more = rest, True


def object_component(path: bytes) -> Component:
    """Read a component over an object; a backslash takes the next character as it is."""
    found, part, at = Component(b""), bytearray(), 0
    while at < len(path):
        character = path[at : at + 1]
        if character in {b".", b"|"}:
            _ended(found, path, at)
            break
        if character == b"\\":
            at += 1
            character = path[at : at + 1]
        elif character in {b"*", b"?"}:
            found.wild = True
        part += character
        at += 1
    found.part = bytes(part)
    return found


def array_component(path: bytes, budget: Budget) -> ArrayComponent:
    """Read a component over a list."""
    found, at = ArrayComponent(path), 0
    while at < len(path):
        character = path[at : at + 1]
        if character in {b".", b"|"}:
            found.part = path[:at]
            _ended(found, path, at, may_pipe=not found.counts)
            break
        if character == b"#":
            found.counts = True
            if at == 0 and path[1:2] == b".":
                found.each = path[2:]
            elif at == 0 and path[1:2] in {b"[", b"("}:
                budget.spend(size=len(path))
                found.query, end = _query(path)
                if end is None:
                    break  # as gjson: a query that does not end selects whatever there is
                found.query.every = path[end : end + 1] == b"#"
                at = end
                continue
        at += 1
    return found


def _query(path: bytes) -> tuple[Query, int | None]:
    """Read the query that ``path`` begins with, and where it ends."""
    at, depth, operator, escaped = 2, 1, 0, False
    while at < len(path):
        character = path[at]
        if depth == 1 and not operator and character in b"!=<>%":
            operator = at
        elif character == 0x5C:
            at += 1
        elif character in b"[(":
            depth += 1
        elif character in b"])":
            depth -= 1
            if depth == 0:
                break
        elif character == 0x22:
            end = string_end(path, at + 1) or len(path) + 1
            escaped = escaped or b"\\" in path[at:end]
            at = end - 1
        at += 1
    if depth > 0:
        return Query(), None
    if not operator:
        return Query(trimmed(path[2:at])), at + 1
    value = trimmed(path[operator:at])
    match = _OPERATOR.match(value)
    size = match.end() if match else 0
    sign = {b"==": b"="}.get(value[:size], value[:size])
    value = trimmed(value[size:])
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':
        value = unescaped(value[1:-1]) if escaped else value[1:-1]
    return Query(trimmed(path[2:operator]), sign, value), at + 1


def split_pipe(path: bytes, budget: Budget) -> tuple[bytes, bytes] | None:
    """Split at the first pipe that stands in no query and no multipath."""
    if b"|" not in path:
        return None
    budget.spend(size=len(path) * 8)
    if path[:1] == b"{":
        end = argument_end(path, 1, budget)
        return (path[:end], path[end + 1 :]) if path[end : end + 1] == b"|" else None
    at = 0
    while at < len(path):
        character = path[at : at + 1]
        if character == b"\\":
            at += 1
        elif character == b".":
            if at == len(path) - 1:
                return None
            if path[at + 1 : at + 2] == b"#":
                at += 2
                if at == len(path):
                    return None
                if path[at : at + 1] in {b"[", b"("}:
                    at = _selector_end(path, at)
        elif character == b"|":
            return path[:at], path[at + 1 :]
        at += 1
    return None


def _selector_end(path: bytes, at: int) -> int:
    opening, closing = path[at], 0x5D if path[at] == 0x5B else 0x29
    depth, at = 1, at + 1
    while at < len(path):
        character = path[at]
        if character == 0x5C:
            at += 1
        elif character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                return at
        elif character == 0x22:
            at = (string_end(path, at + 1) or len(path) + 1) - 1
        at += 1
    return at


def selectors(path: bytes) -> tuple[list[tuple[bytes, bytes]] | None, bytes]:
    """Read a multipath that ``path`` begins with: (name, path) pairs and what follows; none when it does not end."""
    found: list[tuple[bytes, bytes]] = []
    depth, colon, start, in_modifier, at = 1, 0, 1, False, 1

    def push() -> None:
        found.append((path[start:colon], path[colon + 1 : at]) if colon else (b"", path[start:at]))

    while at < len(path):
        character = path[at : at + 1]
        if character == b"\\":
            at += 1
        elif character == b"@" and path[at - 1 : at] in {b".", b"|"}:
            in_modifier = True
        elif character == b":" and not in_modifier and not colon and depth == 1:
            colon = at
        elif character == b"," and depth == 1:
            push()
            colon, in_modifier, start = 0, False, at + 1
        elif character == b'"':
            at = (string_end(path, at + 1) or len(path) + 1) - 1
        elif character in {b"[", b"(", b"{"}:
            depth += 1
        elif character in {b"]", b")", b"}"}:
            depth -= 1
            if depth == 0:
                push()
                return found, path[at + 1 :]
        at += 1
    return None, b""


def last_name(path: bytes) -> bytes:
    """Return the last component, which names a member of a multipath."""
    for at in range(len(path) - 1, -1, -1):
        if path[at] in b"|." and not (at > 0 and path[at - 1] == 0x5C):
            return path[at + 1 :]
    return path
