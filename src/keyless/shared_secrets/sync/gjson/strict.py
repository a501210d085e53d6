"""Strict JSON, as Go's encoding/json reads it: where a text breaks, and the members of an object. Pure.

RFC 8259; bytes that are no UTF-8 are allowed inside of strings.
"""

from __future__ import annotations

import re

import orjson

from keyless.shared_secrets.sync.gjson.budget import Budget

MAX_STEPS = 12_000
"""Values that are no plain item among others: at most about 20 ms."""
MAX_DEPTH = 10_000
"""Go's own limit."""
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_WORD = rb"true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_ATOM = re.compile(_WORD)
_PLAIN = rb"(?:" + _STRING.pattern + rb'"|' + _WORD + rb"|\[[ \t\r\n]*+\]|\{[ \t\r\n]*+\})[ \t\r\n]*+,[ \t\r\n]*+"
_ITEMS = re.compile(rb"(?:" + _PLAIN + rb")*+")
_MEMBERS = re.compile(rb"(?:" + _STRING.pattern + rb'"[ \t\r\n]*+:[ \t\r\n]*+' + _PLAIN + rb")*+")


class Broken(ValueError):
    """The text is no JSON from byte ``at`` on (0 for the first)."""

    def __init__(self, at: int, expected: str) -> None:
        super().__init__(f"byte {at}: expected {expected}")
        self.at, self.expected = at, expected

    def where(self, text: bytes) -> str:
        """Return the place for a person, without a character of the text; columns count bytes from 1."""
        line = text.count(b"\n", 0, self.at) + 1
        column = self.at - (text.rfind(b"\n", 0, self.at) + 1) + 1
        return f"line {line}, column {column} (byte {self.at}): expected {self.expected}"


def is_valid(text: bytes, budget: Budget) -> bool:
    """Return whether the text is one JSON value."""
    if _is_plainly_valid(text):
        return True
    budget.spend(size=16 * len(text))
    return broken(text) is None


def _is_plainly_valid(text: bytes) -> bool:
    # It is stricter than Go (UTF-8, lone surrogates, 1024 levels), so only its yes counts.
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def broken(text: bytes) -> Broken | None:
    """Return where the text stops being one JSON value; None when it is one."""
    if _is_plainly_valid(text):
        return None
    try:
        _scan(text)
    except Broken as fault:
        return fault
    return None


def members(text: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return an object's (raw key, raw value) in their order; None for another value; raises ``Broken``."""
    first = _space(text, 0)
    found = _scan(text)
    return found if text[first : first + 1] == b"{" else None


def _scan(text: bytes) -> list[tuple[bytes, bytes]]:
    """Validate; returns what an object at the top has."""
    found: list[tuple[bytes, bytes]] = []
    closing: list[int] = []
    key, start = b"", 0
    at, steps = _space(text, 0), 0
    while True:
        # A value is expected at ``at``.
        steps += 1
        if steps > MAX_STEPS:
            raise Broken(at, f"at most {MAX_STEPS} values within one another")
        if len(closing) == 1:
            start = at
        first = text[at : at + 1]
        if first and first in b"{[":
            closing.append(0x7D if first == b"{" else 0x5D)
            if len(closing) > MAX_DEPTH:
                raise Broken(at, f"at most {MAX_DEPTH} levels")
            begin = _space(text, at + 1)
            at = _run(text, begin, closing)
            if at > begin or text[at : at + 1] != bytes(closing[-1:]):
                if first == b"{":
                    raw, at = _key(text, at, "a name in quotes or '}'")
                    key = raw if len(closing) == 1 else key
                continue
        else:
            at = _atom(text, at)
        # A value has ended, or an empty list or object is about to.
        while True:
            at = _space(text, at)
            if not closing:
                if at < len(text):
                    raise Broken(at, "nothing after the value")
                return found
            ends = text[at : at + 1] == bytes(closing[-1:])
            if len(closing) == 1 and closing[0] == 0x7D and key and (ends or text[at : at + 1] == b","):
                found.append((key, text[start:at].rstrip(b" \t\r\n")))
            if not ends:
                break
            closing.pop()
            at += 1
        if text[at : at + 1] != b",":
            raise Broken(at, "',' or '" + chr(closing[-1]) + "'")
        at = _run(text, _space(text, at + 1), closing)
        if closing[-1] == 0x7D:
            raw, at = _key(text, at, "a name in quotes")
            key = raw if len(closing) == 1 else key


def _run(text: bytes, at: int, closing: list[int]) -> int:
    """Go past plain items and members with their commas; not at the top, whose members are wanted."""
    if len(closing) == 1 and closing[0] == 0x7D:
        return at
    match = (_MEMBERS if closing[-1] == 0x7D else _ITEMS).match(text, at)
    return match.end() if match else at


def _key(text: bytes, at: int, expected: str) -> tuple[bytes, int]:
    if text[at : at + 1] != b'"':
        raise Broken(at, expected)
    end = _string(text, at)
    colon = _space(text, end)
    if text[colon : colon + 1] != b":":
        raise Broken(colon, "':' after a name")
    return text[at:end], _space(text, colon + 1)


def _atom(text: bytes, at: int) -> int:
    if text[at : at + 1] == b'"':
        return _string(text, at)
    match = _ATOM.match(text, at)
    if match is None:
        raise Broken(at, "a value")
    return match.end()


def _string(text: bytes, at: int) -> int:
    match = _STRING.match(text, at)
    end = match.end() if match else at
    if text[end : end + 1] == b'"':
        return end + 1
    raise Broken(end, "a string that ends in quotes, with line breaks and backslashes escaped")


def _space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
