"""A compiled rule as a tree: what the CEL library serialises (``cel.expr.CheckedExpr``), read back. Pure.

The protobuf library is not asked: it ends at a hundred nested messages, and a long rule nests deeper.
Fields: https://github.com/google/cel-spec/blob/master/proto/cel/expr/syntax.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Fields = dict[int, list[int | bytes]]


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; ``kind`` is its type's name and ``size`` that of the value (1 for what has none)."""

    kind: str
    size: int
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Ident:
    """A variable, or the name of a type."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``, or whether it is there (``has``)."""

    operand: Expr
    field: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function, an operator (``_+_``) or a method with its ``target``."""

    target: Expr | None
    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """``[a, b]``."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """``{a: b}``."""

    entries: tuple[tuple[Expr, Expr], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """What ``all``, ``exists``, ``map``, ``filter`` and ``cel.bind`` become."""

    item: str
    over: Expr
    result_name: str
    start: Expr
    condition: Expr
    step: Expr
    result: Expr

    @property
    def is_bind(self) -> bool:
        """Whether nothing is looped over: ``cel.bind``."""
        empty = isinstance(self.over, ListLiteral) and not self.over.items
        never = isinstance(self.condition, Literal) and self.condition.number == 0
        return empty and never and not self.result_name.startswith("@")


Expr = Literal | Ident | Select | Call | ListLiteral | MapLiteral | Fold
SCALARS = {1: "null", 2: "bool", 3: "int", 4: "uint", 5: "double", 8: "duration", 9: "timestamp"}


def parsed(serialized: bytes) -> Expr:
    """The tree; ``ValueError`` for bytes that are none."""
    return _expr(_bytes(fields_of(_bytes(fields_of(serialized), 2)), 4))


def _expr(data: bytes) -> Expr:
    found = fields_of(data)
    for number, make in MAKERS.items():
        if number in found:
            return make(fields_of(_bytes(found, number)))
    raise ValueError("an expression of a kind that is not known")


def _literal(found: Fields) -> Expr:
    for number, kind in SCALARS.items():
        if number in found:
            value = found[number][0]
            return Literal(kind, 1, value if isinstance(value, int) else None)
    if 6 in found:
        return Literal("string", len(_bytes(found, 6).decode()))
    return Literal("bytes", len(_bytes(found, 7)))


def _select(found: Fields) -> Expr:
    return Select(_expr(_bytes(found, 1)), _bytes(found, 2).decode(), bool(found.get(3)))


def _call(found: Fields) -> Expr:
    target = _expr(_bytes(found, 1)) if 1 in found else None
    return Call(target, _bytes(found, 2).decode(), _several(found, 3))


def _map(found: Fields) -> Expr:
    entries = [fields_of(entry) for entry in found.get(2, ()) if isinstance(entry, bytes)]
    return MapLiteral(tuple((_expr(_bytes(entry, 3)), _expr(_bytes(entry, 4))) for entry in entries))


def _fold(found: Fields) -> Expr:
    over, start, condition, step, result = (_expr(_bytes(found, number)) for number in (2, 4, 5, 6, 7))
    return Fold(_bytes(found, 1).decode(), over, _bytes(found, 3).decode(), start, condition, step, result)


def _several(found: Fields, number: int) -> tuple[Expr, ...]:
    return tuple(_expr(item) for item in found.get(number, ()) if isinstance(item, bytes))


MAKERS = {
    3: _literal,
    4: lambda found: Ident(_bytes(found, 1).decode()),
    5: _select,
    6: _call,
    7: lambda found: ListLiteral(_several(found, 1)),
    8: _map,
    9: _fold,
}


def _bytes(found: Fields, number: int) -> bytes:
    value = found.get(number, [b""])[0]
    if not isinstance(value, bytes):
        raise ValueError(f"field {number}: expected bytes")
    return value


def fields_of(data: bytes) -> Fields:
    """The fields of one message, by number: numbers, and bytes of texts and of messages."""
    found: Fields = {}
    for number, value in _wire(data):
        found.setdefault(number, []).append(value)
    return found


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, form = tag >> 3, tag & 7
        if form == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        size = 8
        if form == 2:
            size, place = _varint(data, place)
        elif form != 1:
            raise ValueError(f"wire type {form}: expected 0, 1 or 2")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
