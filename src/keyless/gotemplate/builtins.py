"""The functions that Go's text/template itself defines, and what counts as true.

``and`` and ``or`` are the evaluator's: they stop early. Functions take and return plain values and raise ``Problem``.

List: https://pkg.go.dev/text/template#hdr-Functions
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.printing import sprintf, text_of, type_of


def truth(value: Any) -> bool:
    """Return whether ``value`` is not the zero of its kind."""
    return bool(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _at(value, key)
    return value


def _at(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise Problem(f"the key of a map is a string, found {type_of(key)}")
        # A missing key is the zero value: "" in a map of strings.
        return value.get(key, "" if value and all(isinstance(item, str) for item in value.values()) else None)
    if isinstance(value, list | str):
        if not isinstance(key, int) or isinstance(key, bool):
            raise Problem(f"an index is an integer, found {type_of(key)}")
        if not 0 <= key < len(value):
            raise Problem(f"index {key} is out of range (length {len(value)})")
        return value[key] if isinstance(value, list) else value.encode()[key]
    raise Problem(f"can't index a {type_of(value)}")


def _slice(value: Any, *bounds: int) -> Any:
    if not isinstance(value, list | str):
        raise Problem(f"can't slice a {type_of(value)}")
    start, stop = (*bounds, *(0, len(value))[len(bounds) :])[:2]
    if not 0 <= start <= stop <= len(value):
        raise Problem(f"[{start}:{stop}] is out of range (length {len(value)})")
    return value[start:stop]


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    raise Problem(f"a {type_of(value)} has no length")


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise Problem("needs something to compare with")
    return any(_same(first, other) for other in others)


def _same(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    if isinstance(first, list | dict) or isinstance(second, list | dict):
        raise Problem(f"can't compare {type_of(first)} and {type_of(second)}")
    if type(first) is not type(second):
        raise Problem(f"incompatible types for comparison: {type_of(first)} and {type_of(second)}")
    return bool(first == second)


def _less(first: Any, second: Any) -> bool:
    if type(first) is not type(second) or not isinstance(first, int | float | str) or isinstance(first, bool):
        raise Problem(f"incompatible types for comparison: {type_of(first)} and {type_of(second)}")
    return bool(first < second)


def _print(*values: Any) -> str:
    """Go's Sprint puts a space between two neighbours when neither is a string."""
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += text_of(value)
    return out


COMPARISONS_AND_MORE: Mapping[str, Callable[..., Any]] = {
    "eq": _equal,
    "ne": lambda first, second: not _same(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or _same(first, second),
    "gt": lambda first, second: not (_less(first, second) or _same(first, second)),
    "ge": lambda first, second: not _less(first, second),
    "not": lambda value: not truth(value),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": lambda *values: " ".join(text_of(value) for value in values) + "\n",
    "printf": lambda pattern, *values: sprintf(pattern, values),
    "html": lambda *values: html.escape(_print(*values)),
    "urlquery": lambda *values: quote(_print(*values), safe="~-_.").replace("%20", "+"),
    "js": lambda *values: _js(_print(*values)),
}


def _js(text: str) -> str:
    escapes = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(escapes.get(c) or (c if c >= " " else f"\\u{ord(c):04X}") for c in text)
