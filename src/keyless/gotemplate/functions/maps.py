"""sprig's functions on maps. Order is the keys' own: Go's is by chance. ``set``, ``unset`` and ``merge`` change a map.

List: https://masterminds.github.io/sprig/dicts.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.printing import string_of
from keyless.gotemplate.values import List, Map, StringMap, Strings, drop, put, truth, type_of, weight_of


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


def _set(account: Account, mapping: Map, key: bytes, value: Any) -> Map:
    if mapping.is_nil:
        raise Problem("there is no map to set a key in")
    account.items(1)
    put(mapping, key, value, account.step)
    return mapping


def _unset(account: Account, mapping: Map, key: bytes) -> Map:
    drop(mapping, key, account.step)
    return mapping


def _merge(account: Account, into: Map, *sources: Map, overwrites: bool = False) -> Map:
    target = Map() if into.is_nil else into
    for source in sources:
        _merge_one(account, target, source, overwrites=overwrites)
    return target


def _merge_one(account: Account, into: Map, source: Map, *, overwrites: bool) -> None:
    # A copy: a map merged into one of its own parts would change under the walk.
    account.copy(source)
    for key, value in list(source.items()):
        account.step()
        mine = into.get(key)
        if isinstance(mine, Map) and isinstance(value, Map):
            if type(mine) is not type(value):
                raise Problem(f"can't merge a {type_of(value)} into a {type_of(mine)}")
            if mine is not value:
                _merge_one(account, mine, value, overwrites=overwrites)
        elif overwrites or (value is not None and not truth(mine)):
            _set(account, into, key, value)


def _deep_copy(account: Account, value: Any) -> Any:
    if value is None:
        raise Problem("there is nothing to copy")
    # What is shared is copied wherever it is held: as heavy as written out in full.
    account.make(weight_of(value))
    account.walk(value)
    return _copied(value)


def _copied(value: Any) -> Any:
    match value:
        case List():
            return type(value)((_copied(item) for item in value), is_nil=value.is_nil)
        case Map():
            return type(value)(((key, _copied(item)) for key, item in value.items()), is_nil=value.is_nil)
    return value


def _overwrite(account: Account, into: Map, *sources: Map) -> Map:
    return _merge(account, into, *sources, overwrites=True)


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
    "set": Function("msa", _set, cost="look", asks=True),
    "unset": Function("ms", _unset, cost="look", asks=True),
    "merge": Function("m*m", _merge, cost="look", asks=True),
    "mustMerge": Function("m*m", _merge, cost="look", asks=True),
    "mergeOverwrite": Function("m*m", _overwrite, cost="look", asks=True),
    "mustMergeOverwrite": Function("m*m", _overwrite, cost="look", asks=True),
    "deepCopy": Function("a", _deep_copy, cost="look", asks=True),
    "mustDeepCopy": Function("a", _deep_copy, cost="look", asks=True),
    "dig": Function("*a", _dig, cost="look"),
}
