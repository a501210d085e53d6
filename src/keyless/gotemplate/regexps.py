"""Go's ``regexp`` over RE2: where matches lie, what ReplaceAll makes of them. Pure, on bytes as Go's strings are.

    replace_all("(.*)", b"db_user", b"pre_$1")       # b"pre_db_user": the empty match at the end touches the one before
    replace_all_literal("a", b"banana", b"$1")       # b"b$1n$1n$1"

Linear in the text for one match, as RE2 is. Rules: https://pkg.go.dev/regexp (All, Expand)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

import re2

from keyless.gotemplate.errors import Problem

Spans = list[tuple[int, int]]
"""Byte offsets of a match and of its groups; (-1, -1) for a group that took no part."""
_REPLACEMENT_RUNE = "\ufffd".encode()


class Pattern:
    """A compiled expression."""

    def __init__(self, source: str | bytes) -> None:
        options = re2.Options()
        options.log_errors = False  # RE2 would print the pattern to standard error
        raw = source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source
        try:
            self._compiled = re2.compile(raw, options=options)
        except re2.error:
            raise Problem("the pattern is no RE2 regular expression") from None
        self.names: dict[str, int] = {name.decode(): at for name, at in self._compiled.groupindex.items()}

    @property
    def size(self) -> int:
        """Return how many steps the compiled program has, which is what compiling it and a match take."""
        return int(self._compiled.programsize)

    def matches(self, text: bytes) -> Iterator[Spans]:
        """Yield every match that Go's "All" functions count, first to last."""
        shown, original = _readable(text)
        position, last_end = 0, 0
        while position <= len(shown):
            match = self._compiled.search(shown, position)
            if match is None:
                return
            begin, end = match.span()
            # An empty match that touches the match before it does not count; else (.*) would match twice.
            if end > last_end or begin == 0:
                yield [_original(match.span(group), original) for group in range(self._compiled.groups + 1)]
            last_end = end
            width = _rune_width(shown, position)
            position = max(end, position + width) if position + width > end else end

    def matches_in(self, text: bytes) -> bool:
        """Return whether there is a match anywhere."""
        return self._compiled.search(_readable(text)[0]) is not None


def replace_all(
    pattern: str | bytes | Pattern, text: bytes, replacement: bytes, *, made: Callable[[int], None] = lambda _size: None
) -> bytes:
    """Return Go's ``ReplaceAll``: ``$1``, ``${1}`` and ``${name}`` in the replacement are groups, ``$$`` is a dollar.

    ``made`` hears the size of each piece before it is kept and may raise. Raises ``Problem`` for a bad pattern.
    """
    compiled = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
    parts = _parts(replacement, compiled.names)

    def expanded(spans: Spans) -> bytes:
        return b"".join(part if isinstance(part, bytes) else _group(text, spans, part) for part in parts)

    return _replaced(compiled, text, expanded, made)


def replace_all_literal(
    pattern: str | bytes | Pattern, text: bytes, replacement: bytes, *, made: Callable[[int], None] = lambda _size: None
) -> bytes:
    """Return Go's ``ReplaceAllLiteral``: the replacement is taken as it is."""
    compiled = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
    return _replaced(compiled, text, lambda _spans: replacement, made)


def _replaced(pattern: Pattern, text: bytes, expanded: Callable[[Spans], bytes], made: Callable[[int], None]) -> bytes:
    out, at = [], 0
    for spans in pattern.matches(text):
        begin, end = spans[0]
        piece = expanded(spans)
        made(begin - at + len(piece))
        out += [text[at:begin], piece]
        at = end
    made(len(text) - at)
    return b"".join([*out, text[at:]])


def _group(text: bytes, spans: Spans, number: int) -> bytes:
    if number >= len(spans) or spans[number][0] < 0:
        return b""
    begin, end = spans[number]
    return text[begin:end]


def _parts(replacement: bytes, names: dict[str, int]) -> list[bytes | int]:
    """Cut a replacement into texts and numbers of groups; an unknown name is a group that nothing matches."""
    found: list[bytes | int] = []
    rest = replacement.decode("utf-8", "surrogateescape")
    while True:
        before, dollar, rest = rest.partition("$")
        found.append(before.encode("utf-8", "surrogateescape"))
        if not dollar:
            return found
        if rest.startswith("$"):
            found.append(b"$")
            rest = rest[1:]
            continue
        name, length = _reference(rest)
        if not name:
            found.append(b"$")
            continue
        rest = rest[length:]
        # Go reads a number without leading zeros and below 1e8 as a number, all else as a name: $1x is the group "1x".
        is_number = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) <= 9
        found.append(int(name) if is_number else names.get(name, len(names) + 1_000_000_000))


def _reference(text: str) -> tuple[str, int]:
    brace = text.startswith("{")
    end = int(brace)
    while end < len(text) and (text[end].isalpha() or text[end].isdecimal() or text[end] == "_"):
        end += 1
    name = text[int(brace) : end]
    if brace and name:
        return (name, end + 1) if text.startswith("}", end) else ("", 0)
    return name, end


def _readable(text: bytes) -> tuple[bytes, list[int]]:
    """Return the text as Go's matcher sees it, U+FFFD for each byte that is no UTF-8, and where those bytes were."""
    try:
        text.decode()
    except UnicodeDecodeError:
        decoded = text.decode("utf-8", "surrogateescape")
    else:
        return text, []
    out, invalid, at = [], [], 0
    for character in decoded:
        if "\udc80" <= character <= "\udcff":
            invalid.append(at)
            out.append(_REPLACEMENT_RUNE)
        else:
            out.append(character.encode())
        at += len(out[-1])
    return b"".join(out), invalid


def _original(span: tuple[Any, Any], invalid: list[int]) -> tuple[int, int]:
    begin, end = span
    if begin < 0 or not invalid:
        return begin, end
    grown = len(_REPLACEMENT_RUNE) - 1
    return begin - grown * bisect_left(invalid, begin), end - grown * bisect_left(invalid, end)


def _rune_width(text: bytes, at: int) -> int:
    if at >= len(text):
        return 1
    first = text[at]
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
