"""sprig's functions on maps. Order is the keys' own: Go's is by chance. None changes the map it is given.

List: https://masterminds.github.io/sprig/dicts.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.printing import string_of
from keyless.gotemplate.values import List, Map, StringMap, Strings, type_of


def _dict(*pairs: Any) -> Map:
    return Map((string_of(pairs[at]), pairs[at + 1] if at + 1 < len(pairs) else b"") for at in range(0, len(pairs), 2))


def _dig(*path: Any) -> Any:
    if len(path) < 3:
        raise Problem("needs at least a key, a default and a map")
    *keys, default, found = path
    for key in keys:
        if not isinstance(key, bytes):
            raise Problem(f"the key of a map is a string, found {type_of(key)}")
    for key in keys:
        if not isinstance(found, Map) or isinstance(found, StringMap):
            raise Problem(f"needs a map[string]interface {{}}, found {type_of(found)}")
        if key not in found:
            return default
        found = found[key]
    return found


def _omit(mapping: Map, *keys: bytes) -> Map:
    left_out = frozenset(keys)
    return Map((key, item) for key, item in mapping.items() if key not in left_out)


MAPS: Mapping[str, Function] = {
    # A key may be any value, of which the text is made: that is a walk.
    "dict": Function("*a", _dict),
    "get": Function("ms", lambda mapping, key: mapping.get(key, b""), cost="look"),
    "hasKey": Function("ms", lambda mapping, key: key in mapping, cost="look"),
    "pluck": Function("s*m", lambda key, *maps: List(m[key] for m in maps if key in m), cost="copy"),
    "keys": Function("*m", lambda *maps: Strings(key for mapping in maps for key in sorted(mapping)), cost="copy"),
    "values": Function("m", lambda mapping: List(mapping[key] for key in sorted(mapping)), cost="copy"),
    "pick": Function("m*s", lambda mapping, *keys: Map((k, mapping[k]) for k in keys if k in mapping), cost="copy"),
    "omit": Function("m*s", _omit, cost="copy"),
    "dig": Function("*a", _dig, cost="look"),
}
