"""sprig's functions on lists; none changes the list it is given.

List: https://masterminds.github.io/sprig/lists.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.casting import to_int64
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.functions.text import strings_of
from keyless.gotemplate.printing import string_of
from keyless.gotemplate.values import Ints, List, Strings, identity, truth, type_of


def listed(value: Any) -> List:
    """Return ``value``, which must be a list."""
    if not isinstance(value, List):
        raise Problem(f"needs a list, found {type_of(value)}")
    return value


def _first_of(items: List) -> list[Any]:
    seen: set[Any] = set()
    found = []
    for item in items:
        key = identity(item)
        if key not in seen:
            seen.add(key)
            found.append(item)
    return found


def _has(needle: Any, value: Any) -> bool:
    if value is None:
        return False
    wanted = identity(needle)
    return any(identity(item) == wanted for item in listed(value))


def _without(value: Any, *omitted: Any) -> List:
    left_out = {identity(item) for item in omitted}
    return List(item for item in listed(value) if identity(item) not in left_out)


def _slice(value: Any, *bounds: Any) -> Any:
    items = listed(value)
    if not items:
        return None
    start = to_int64(bounds[0]) if bounds else 0
    stop = to_int64(bounds[1]) if len(bounds) > 1 else len(items)
    if not 0 <= start <= stop <= len(items):
        raise Problem("the bounds are outside of the list")
    return type(items)(items[start:stop])


def _cut(take: Callable[[List], Any]) -> Callable[[Any], List]:
    def cut(value: Any) -> List:
        items = listed(value)
        return List(take(items)) if items else List(is_nil=True)

    return cut


def _concat(*values: Any) -> List:
    items = [item for value in values for item in listed(value)]
    return List(items, is_nil=not items)


def _chunk(size: int, value: Any) -> List:
    items = listed(value)
    if size <= 0:
        raise Problem("the size of a chunk is at least 1")
    return List(List(items[at : at + size]) for at in range(0, len(items), size))


def _sorted(value: Any) -> Strings:
    return Strings(sorted(strings_of(value)) if isinstance(value, List) else [string_of(value)])


def _until_step(account: Account, start: int, stop: int, step: int) -> Ints:
    if (stop - start) * step <= 0:
        return Ints()
    numbers = range(start, stop, step)
    account.items(len(numbers))
    return Ints(numbers)


def _until(account: Account, count: int) -> Ints:
    return _until_step(account, 0, count, -1 if count < 0 else 1)


def _seq(account: Account, *bounds: int) -> bytes:
    if len(bounds) not in {1, 2, 3}:
        return b""
    start, stop = (1, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[-1])
    towards = -1 if stop < start else 1
    step = bounds[1] if len(bounds) == 3 else towards
    if towards < 0 < step:
        return b""
    return b" ".join(b"%d" % number for number in _until_step(account, start, stop + towards, step))


def _first(value: Any) -> Any:
    items = listed(value)
    return items[0] if items else None


def _last(value: Any) -> Any:
    items = listed(value)
    return items[-1] if items else None


def _pairs(names: str, function: Function) -> dict[str, Function]:
    """Return a function under its name and with ``must`` before it: both fail alike."""
    return {name: function for plain in names.split() for name in (plain, "must" + plain[0].upper() + plain[1:])}


LISTS: Mapping[str, Function] = {
    "list": Function("*a", lambda *values: List(values), cost="copy"),
    "tuple": Function("*a", lambda *values: List(values), cost="copy"),
    **_pairs("first", Function("a", _first, cost="look")),
    **_pairs("last", Function("a", _last, cost="look")),
    **_pairs("rest", Function("a", _cut(lambda items: items[1:]), cost="copy")),
    **_pairs("initial", Function("a", _cut(lambda items: items[:-1]), cost="copy")),
    **_pairs("append push", Function("aa", lambda value, item: List([*listed(value), item]), cost="copy")),
    **_pairs("prepend", Function("aa", lambda value, item: List([item, *listed(value)]), cost="copy")),
    **_pairs("reverse", Function("a", lambda value: List(reversed(listed(value))), cost="copy")),
    **_pairs("compact", Function("a", lambda value: List(filter(truth, listed(value))), cost="copy")),
    **_pairs("chunk", Function("ia", _chunk)),
    **_pairs("slice", Function("a*a", _slice, cost="copy")),
    **_pairs("uniq", Function("a", lambda value: List(_first_of(listed(value))))),
    **_pairs("has", Function("aa", _has)),
    **_pairs("without", Function("a*a", _without)),
    "concat": Function("*a", _concat, cost="copy"),
    "sortAlpha": Function("a", _sorted),
    "until": Function("i", _until, asks=True),
    "untilStep": Function("iii", _until_step, asks=True),
    "seq": Function("*i", _seq, asks=True),
}
