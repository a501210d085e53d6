"""The functions that Go's text/template itself defines.

``and`` and ``or`` are the evaluator's: they stop early. List: https://pkg.go.dev/text/template#hdr-Functions
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_from_bytes

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.formatting import sprintf
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.printing import shown, sprint, text_of
from keyless.gotemplate.values import (
    List,
    Map,
    StringMap,
    Struct,
    Uint8,
    decoded,
    encoded,
    kind_of,
    same,
    truth,
    type_of,
)


def _index(value: Any, *keys: Any) -> Any:
    if value is None:
        raise Problem("there is nothing to index")
    for key in keys:
        value = _at(value, key)
    return value


def _at(value: Any, key: Any) -> Any:
    if isinstance(value, Map):
        if not isinstance(key, bytes):
            raise Problem(f"the key of a map is a string, found {type_of(key)}")
        # A missing key is the zero value: "" in a map of strings.
        return value.get(key, b"" if isinstance(value, StringMap) else None)
    if isinstance(value, List | bytes):
        if not isinstance(key, int) or isinstance(key, bool):
            raise Problem(f"an index is an integer, found {type_of(key)}")
        if not 0 <= key < len(value):
            raise Problem("the index is out of range")
        return value[key] if isinstance(value, List) else Uint8(value[key])
    raise Problem(f"can't index a {type_of(value)}")


def _length(value: Any) -> int:
    if isinstance(value, bytes | List | Map):
        return len(value)
    raise Problem(f"a {type_of(value)} has no length")


def _basic(value: Any) -> str:
    """Return Go's basic kind; all integers compare with one another."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "int"
    return "" if value is None or isinstance(value, List | Map | Struct) else type_of(value)


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise Problem("needs something to compare with")
    return any(_same(first, other) for other in others)


def _same(first: Any, second: Any) -> bool:
    one, other = _basic(first), _basic(second)
    if one != other:
        if first is None or second is None:
            return False
        raise Problem(f"incompatible types for comparison: {type_of(first)} and {type_of(second)}")
    if one:
        return bool(first == second)
    if first is not None and second is not None and kind_of(first) != kind_of(second):
        raise Problem(f"can't compare {type_of(first)} and {type_of(second)}")
    if isinstance(first, Struct) and isinstance(second, Struct) and first.kind == second.kind == "struct":
        return bool(same(first, second))
    nothing, nothing_too = _is_nil(first), _is_nil(second)
    if nothing or nothing_too:
        return nothing == nothing_too
    raise Problem(f"can't compare {type_of(first)} and {type_of(second)}")


def _is_nil(value: Any) -> bool:
    return value is None or (isinstance(value, List | Map) and value.is_nil)


def _less(first: Any, second: Any) -> bool:
    one, other = _basic(first), _basic(second)
    if one != other or one in {"", "bool"}:
        raise Problem(f"incompatible types for comparison: {type_of(first)} and {type_of(second)}")
    return bool(first < second)


def _less_or_equal(first: Any, second: Any) -> bool:
    return _less(first, second) or _same(first, second)


def _written(values: tuple[Any, ...]) -> bytes:
    """Return the arguments of ``html``, ``js`` and ``urlquery`` as one text."""
    return sprint(tuple(shown(value) if value is None else value for value in values))


_HTML = {b'"': b"&#34;", b"'": b"&#39;", b"&": b"&amp;", b"<": b"&lt;", b">": b"&gt;", b"\0": "\ufffd".encode()}
_HTML_SPECIAL = re.compile(rb"[\"'&<>\0]")
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
_JS_SPECIAL = re.compile("[\\\\'\"<>&=\x00-\x1f]|[^\x00-\x7f]")


def _js_rune(match: re.Match[str]) -> str:
    rune = match.group()
    if rune in _JS:
        return _JS[rune]
    if "\udc80" <= rune <= "\udcff":
        return rune  # Go would write the replacement character: the byte is kept
    return rune if rune.isprintable() else f"\\u{ord(rune):04X}"


BUILTINS: Mapping[str, Function] = {
    "eq": Function("a*a", _equal),
    "ne": Function("aa", lambda first, second: not _same(first, second)),
    "lt": Function("aa", _less),
    "le": Function("aa", _less_or_equal),
    "gt": Function("aa", lambda first, second: not _less_or_equal(first, second)),
    "ge": Function("aa", lambda first, second: not _less(first, second)),
    "not": Function("a", lambda value: not truth(value), cost="look"),
    "len": Function("a", _length, cost="look"),
    "index": Function("a*a", _index, cost="look"),
    "print": Function("*a", lambda *values: sprint(values)),
    "println": Function("*a", lambda *values: b" ".join(map(text_of, values)) + b"\n"),
    "printf": Function("s*a", sprintf, cost="look", asks=True),
    "html": Function("*a", lambda *v: _HTML_SPECIAL.sub(lambda m: _HTML[m.group()], _written(v)), cost="spell"),
    "urlquery": Function(
        "*a", lambda *values: quote_from_bytes(_written(values), "~ ").replace(" ", "+").encode(), cost="spell"
    ),
    "js": Function("*a", lambda *values: encoded(_JS_SPECIAL.sub(_js_rune, decoded(_written(values)))), cost="spell"),
}
