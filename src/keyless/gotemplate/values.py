"""The values that templates know, as Go knows them. A string is bytes: Go counts, cuts and compares bytes.

None, bool, int (Go's int), ``Int64``, ``Uint8``, float, bytes, ``Struct``, ``List`` and ``Map``. Each container knows
how heavy it is written out in full, even where its parts are shared: a list that holds the same list twice, forty times
over, takes forty steps to make and a million million to print. A map alone may change (``put``, ``drop``), and tells
whatever holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keyless.gotemplate.errors import Problem

SCALAR_WEIGHT = 64
"""What one value weighs beside its text, in bytes: about what Python needs for it, more than Go prints for a number."""
MAX_WEIGHT = 64 << 20
MAX_DEPTH = 100


class Int64(int):
    """Go's int64, which arithmetic answers with; as an argument it is no int."""

    __slots__ = ()


class Uint8(int):
    """Go's byte, which indexing a string answers with."""

    __slots__ = ()


class Struct:
    """A value of a library's own type: a time, a version. ``go_type`` and ``kind`` are what Go calls it."""

    __slots__ = ()
    go_type, kind = "struct", "struct"

    def text(self) -> str:
        """Return what ``%v`` prints."""
        raise NotImplementedError

    def json(self) -> str:
        """Return the text that stands in JSON."""
        return self.text()

    def members(self) -> Mapping[str, Any]:
        """Return what its methods without arguments answer, by name."""
        return {}

    def identity(self) -> Any:
        """Return what tells two apart."""
        return self.text()


class List(tuple[Any, ...]):
    """Go's slice; ``element`` names the type it holds."""

    weight: int
    depth: int
    is_nil: bool
    element = "interface {}"
    holders: list[Any] | None = None

    def __new__(cls, items: Iterable[Any] = (), *, is_nil: bool = False) -> List:
        made = super().__new__(cls, items)
        made.weight, made.depth = _measured(made, made)
        made.is_nil = is_nil
        return made


class Strings(List):
    """Go's []string."""

    element = "string"


class Ints(List):
    """Go's []int."""

    element = "int"


class Map(dict[bytes, Any]):
    """Go's map from strings; only ``put`` and ``drop`` change it."""

    __slots__ = ("depth", "holders", "is_nil", "weight")
    element = "interface {}"

    def __init__(self, items: Mapping[bytes, Any] | Iterable[tuple[bytes, Any]] = (), *, is_nil: bool = False) -> None:
        super().__init__(items)
        self.holders: list[Any] | None = None
        self.weight, self.depth = _measured(self.values(), self)
        self.weight = _within(self.weight + sum(map(len, self)) + SCALAR_WEIGHT * len(self))
        self.is_nil = is_nil

    def __hash__(self) -> int:  # type: ignore[override]  # maps are told apart by identity, never by their values
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class StringMap(Map):
    """Go's map[string]string: what is not in it is the empty string."""

    __slots__ = ()
    element = "string"


def _measured(items: Iterable[Any], holder: List | Map) -> tuple[int, int]:
    weight, depth = SCALAR_WEIGHT, 1
    for item in items:
        weight += weight_of(item)
        if isinstance(item, List | Map):
            depth = max(depth, item.depth + 1)
            _held_by(item, holder)
    return _within(weight), _shallow(depth)


def _held_by(item: List | Map, holder: List | Map) -> None:
    if item.holders is None:
        item.holders = [holder]
    else:
        item.holders.append(holder)


def _shallow(depth: int) -> int:
    if depth > MAX_DEPTH:
        raise Problem(f"values are nested deeper than {MAX_DEPTH}")
    return depth


def put(mapping: Map, key: bytes, value: Any, step: Callable[[], None]) -> None:
    """Set a key of a map, and tell all that hold it how heavy they are now; each of them is paid for by ``step``.

    Raises ``Problem`` for a map that would hold itself: written out in full, it would have no end.
    """
    if isinstance(value, List | Map) and _holds(value, mapping, step):
        raise Problem("a map can't hold itself")
    more = weight_of(value) - weight_of(mapping[key]) if key in mapping else weight_of(value) + _entry(key)
    _let_go(mapping, key, step)
    mapping[key] = value
    if isinstance(value, List | Map):
        _held_by(value, mapping)
    _told(mapping, more, value.depth + 1 if isinstance(value, List | Map) else 1, step)


def drop(mapping: Map, key: bytes, step: Callable[[], None]) -> None:
    """Take a key out of a map."""
    if key in mapping:
        less = weight_of(mapping[key]) + _entry(key)
        _let_go(mapping, key, step)
        del mapping[key]
        _told(mapping, -less, 1, step)


def _entry(key: bytes) -> int:
    return len(key) + SCALAR_WEIGHT


def _let_go(mapping: Map, key: bytes, step: Callable[[], None]) -> None:
    holders = getattr(mapping.get(key), "holders", None) or []
    for at in range(len(holders) - 1, -1, -1):
        step()
        if holders[at] is mapping:
            del holders[at]
            return


def _holds(value: List | Map, sought: Map, step: Callable[[], None]) -> bool:
    """Return whether ``sought`` lies within ``value``, by a walk upwards: each holder is looked at once."""
    seen: set[int] = set()
    waiting: list[Any] = [sought]
    while waiting:
        step()
        one = waiting.pop()
        if one is value:
            return True
        if id(one) not in seen:
            seen.add(id(one))
            waiting += one.holders or ()
    return False


def _told(changed: Map, more: int, depth: int, step: Callable[[], None]) -> None:
    # Along each way up, not once for each holder: a list that holds a map twice becomes heavier by twice as much.
    waiting: list[tuple[Any, int]] = [(changed, depth)]
    while waiting:
        step()
        one, least = waiting.pop()
        one.weight = _within(one.weight + more)
        one.depth = _shallow(max(one.depth, least))
        waiting += [(holder, one.depth + 1) for holder in one.holders or ()]


def _within(weight: int) -> int:
    if weight > MAX_WEIGHT:
        raise Problem(f"a value written out in full would be larger than {MAX_WEIGHT >> 20} MiB")
    return weight


def weight_of(value: Any) -> int:
    """Return how many bytes ``value`` stands for when everything in it is written out; known without a walk."""
    if isinstance(value, bytes):
        return SCALAR_WEIGHT + len(value)
    if isinstance(value, List | Map):
        return value.weight
    return SCALAR_WEIGHT


def truth(value: Any) -> bool:
    """Return whether ``value`` is not the zero of its kind."""
    return bool(value)


def type_of(value: Any) -> str:
    """Return the name of the Go type that ``value`` has."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case Int64():
            return "int64"
        case Uint8():
            return "uint8"
        case int():
            return "int"
        case float():
            return "float64"
        case bytes():
            return "string"
        case List():
            return f"[]{value.element}"
        case Map():
            return f"map[string]{value.element}"
        case Struct():
            return value.go_type
    return "<nil>"


def kind_of(value: Any) -> str:
    """Return the name of Go's kind."""
    if value is None:
        return "invalid"
    if isinstance(value, List):
        return "slice"
    if isinstance(value, Struct):
        return value.kind
    return "map" if isinstance(value, Map) else type_of(value)


def given(value: Any) -> Any:
    """Return plain Python data (str, list, dict …) as values of templates; texts may hold escaped bytes."""
    match value:
        case str():
            return encoded(value)
        case List() | Map() | Struct() | bytes() | bool() | None | int() | float():
            return value
        case Mapping():
            items = {encoded(str(key)): given(item) for key, item in value.items()}
            return (StringMap if items and all(isinstance(i, bytes) for i in items.values()) else Map)(items)
        case list() | tuple():
            return List(given(item) for item in value)
    raise Problem(f"no value of a template: {type(value).__name__}")


def encoded(text: str) -> bytes:
    """Return a text's bytes; those that are no UTF-8 stand in it as lone surrogates."""
    return text.encode("utf-8", "surrogateescape")


def decoded(text: bytes) -> str:
    """Return bytes as text, one lone surrogate for each byte that is no UTF-8."""
    return text.decode("utf-8", "surrogateescape")


def same(first: Any, second: Any) -> Any:
    """Return Go's ``reflect.DeepEqual``."""
    return identity(first) == identity(second)


def identity(value: Any) -> Any:
    """Return what tells values apart, hashable, so that finding duplicates takes one pass; types count."""
    match value:
        case List():
            return (type_of(value), value.is_nil, tuple(identity(item) for item in value))
        case Map():
            return (type_of(value), value.is_nil, frozenset((key, identity(item)) for key, item in value.items()))
        case float() if value != value:
            return object()  # NaN is not even itself
        case Struct():
            return (type_of(value), value.identity())
    return (type_of(value), value)
