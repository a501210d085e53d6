"""Where a document's statements stand in its text, as IAM's simulator reports them: lines and columns from 1.

A statement begins at its brace and ends behind the closing one. One that is not in a list is reported a column later,
as seen in AWS's own answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
Position = dict[str, int]


def statement_positions(text: str) -> list[tuple[Position, Position]]:
    """(start, end) of each statement of a valid policy document, in order."""
    spans: list[tuple[int, int]] = []
    for name, start in _members(text):
        if name == "Statement":  # a later duplicate counts, as it does for the parser
            spans = list(_elements(text, start)) if text[start] == "[" else [_span(text, start, late=1)]
    return [(_position(text, start), _position(text, end)) for start, end in spans]


def _members(text: str) -> Iterator[tuple[str, int]]:
    """The names of an object's members, and where their values begin."""
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        name, at = _decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        yield str(name), value
        at = _next(text, _decode(text, value)[1])


def _elements(text: str, start: int) -> Iterator[tuple[int, int]]:
    at = _skip(text, start + 1)
    while text[at] != "]":
        span = _span(text, at)
        yield span
        at = _next(text, span[1])


def _span(text: str, start: int, *, late: int = 0) -> tuple[int, int]:
    return start + late, _decode(text, start)[1]


def _next(text: str, at: int) -> int:
    """Past the comma, if there is one."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _decode(text: str, at: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, at)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _position(text: str, offset: int) -> Position:
    line_start = text.rfind("\n", 0, offset) + 1
    return {"Line": text.count("\n", 0, offset) + 1, "Column": offset - line_start + 1}
