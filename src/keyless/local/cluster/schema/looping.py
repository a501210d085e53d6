"""Rules that go through more than the CEL library does at once, evaluated in pieces.

The library ends an evaluation after 10,000 iterations of all its loops; Kubernetes counts what they cost, and lets an
object's rule have a million units. So a rule that is too long for one evaluation is cut at its loops: the items of the
outermost are handed over in pieces, each with what came of those before, and a piece of one item is cut inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from cel_expr_python.cel import Env, Expression

from keyless.local.cluster.schema.costs.syntax import Fields, fields_of

ENDED = "Iteration budget exceeded"
ITEMS, BEFORE, ARGUMENT = "@items", "@before", "@argument"
LOGIC = frozenset({"_&&_", "_||_", "!_", "_?_:_"})
IDENT, SELECT, CALL, LIST, FOLD = 4, 5, 6, 7, 9
INSIDE = {SELECT: (1,), CALL: (1, 3), LIST: (1,)}
"""The fields of a message, by its kind, that are expressions."""
Data = Mapping[str, Any]


class Answer(NamedTuple):
    """What an evaluation came to: ``kind`` is CEL's name of its type, ``ERROR`` for a fault."""

    kind: str
    value: Any

    @property
    def is_true(self) -> bool:
        """Whether it is true, and no more than that."""
        return self.kind == "BOOL" and self.value is True


def evaluated(expression: Expression, env: Env, data: Data) -> Answer:
    """The answer, in one piece or in many; raises ``RuntimeError`` where the library ends it and it cannot be cut."""
    try:
        return plain(expression, data)
    except RuntimeError as error:
        if ENDED not in str(error):
            raise
        return Part(env, *_checked(expression)).answer(data)


class Part:
    """A part of a rule: an expression of its own, as the library's message has it."""

    def __init__(self, env: Env, frame: tuple[bytes, Fields], raw: bytes) -> None:
        self._env = env
        self._frame = frame
        self._raw = raw
        self._fields = fields_of(raw)
        self._kind = next((kind for kind in (FOLD, *INSIDE) if kind in self._fields), 0)

    def answer(self, data: Data) -> Answer:
        """As a whole, else cut."""
        try:
            return plain(self._whole, data)
        except RuntimeError as error:
            if ENDED not in str(error):
                raise
            if self._kind == FOLD:
                return self._looped(data)
            if self._kind not in INSIDE:
                raise
            return self._decided(data) if self._kind == CALL and self._function in LOGIC else self._filled(data)

    @cached_property
    def _whole(self) -> Expression:
        return _compiled(self._env, self._frame, self._raw)

    @cached_property
    def _inner(self) -> Fields:
        return fields_of(_bytes(self._fields[self._kind][0]))

    @cached_property
    def _function(self) -> str:
        return _bytes(self._inner[2][0]).decode()

    @cached_property
    def _pieces(self) -> Expression:
        """The loop over ``ITEMS`` that begins with ``BEFORE``, and ends with what it came to."""
        fold: Fields = {**self._inner, 2: [_ident(ITEMS)], 4: [_ident(BEFORE)], 7: [_ident(self._name(3))]}
        message = b"".join(_field(number, _bytes(fold[number][0])) for number in sorted(fold))
        return _compiled(self._env, self._frame, _field(FOLD, message))

    def _name(self, number: int) -> str:
        return _bytes(self._inner[number][0]).decode()

    def _part(self, raw: int | bytes) -> Part:
        return Part(self._env, self._frame, _bytes(raw))

    @cached_property
    def _args(self) -> list[Part]:
        return [self._part(raw) for raw in self._inner[3]]

    def _decided(self, data: Data) -> Answer:
        if self._function == "_?_:_":
            asked = self._args[0].answer(data)
            return self._args[1 if asked.is_true else 2].answer(data) if asked.kind == "BOOL" else asked
        if self._function == "!_":
            found = self._args[0].answer(data)
            return Answer("BOOL", not found.value) if found.kind == "BOOL" else found
        ends = self._function == "_||_"
        fault: Answer | None = None
        for part in self._args:
            found = part.answer(data)
            if found.kind == "BOOL" and found.value is ends:
                return found
            fault = found if found.kind != "BOOL" else fault
        return fault or Answer("BOOL", not ends)

    def _filled(self, data: Data) -> Answer:
        """The expression, with what its loops come to in their places."""
        named, parts = dict(data), []
        for number, value in ((number, value) for number, values in self._inner.items() for value in values):
            if number not in INSIDE[self._kind] or not _loops(_bytes(value)):
                parts.append(_any_field(number, value))
                continue
            found = self._part(value).answer(data)
            if found.kind == "ERROR":
                return found
            name = f"{ARGUMENT}{len(parts)}"
            named[name] = found.value
            parts.append(_field(number, _ident(name)))
        if len(named) == len(data):
            raise RuntimeError(ENDED)
        return plain(_compiled(self._env, self._frame, _field(self._kind, b"".join(parts))), named)

    @cached_property
    def _over(self) -> Part:
        return self._part(self._inner[2][0])

    @cached_property
    def _start(self) -> Part:
        return self._part(self._inner[4][0])

    @cached_property
    def _step(self) -> Part:
        return self._part(self._inner[6][0])

    def _looped(self, data: Data) -> Answer:
        over, result = self._over.answer(data), self._start.answer(data)
        if not isinstance(over.value, list | dict) or result.kind == "ERROR":
            return over if over.kind == "ERROR" else result
        items, size, place = list(over.value), max(len(over.value) // 2, 1), 0
        fault: Answer | None = None
        while place < len(items):
            try:
                found = self._piece(data, items[place : place + size], result)
            except RuntimeError as error:
                if ENDED not in str(error) or size == 1:
                    raise
                size = max(size // 2, 1)
                continue
            place += size
            # As CEL has it: one item's fault is forgotten where another decides.
            fault = found if found.kind == "ERROR" else fault
            result = result if found.kind == "ERROR" else found
        ended = _compiled(self._env, self._frame, _bytes(self._inner[5][0]))
        named = {**data, self._name(3): result.value}
        if fault is not None and plain(ended, named).value is not False:
            return fault
        return self._part(self._inner[7][0]).answer(named)

    def _piece(self, data: Data, items: list[Any], result: Answer) -> Answer:
        if len(items) > 1:
            return plain(self._pieces, {**data, ITEMS: items, BEFORE: result.value})
        try:
            return plain(self._pieces, {**data, ITEMS: items, BEFORE: result.value})
        except RuntimeError as error:
            if ENDED not in str(error):
                raise
            # One item is too much already: what is inside is cut.
            return self._step.answer({**data, self._name(1): items[0], self._name(3): result.value})


def plain(expression: Expression, data: Data) -> Answer:
    """The answer in one piece; raises ``RuntimeError`` where the library ends it."""
    found = expression.eval(data=data)
    return Answer(found.type().name().partition("<")[0], found.plain_value())


def _loops(raw: bytes) -> bool:
    """Whether there is a loop inside an expression."""
    found = fields_of(raw)
    kind = next((kind for kind in INSIDE if kind in found), 0)
    inner = fields_of(_bytes(found[kind][0])) if kind else {}
    return FOLD in found or any(
        _loops(_bytes(part)) for number in INSIDE.get(kind, ()) for part in inner.get(number, ())
    )


def _checked(expression: Expression) -> tuple[tuple[bytes, Fields], bytes]:
    """The message's type and all that stands around the expression; and the expression."""
    outer = fields_of(expression.serialize())
    checked = fields_of(_bytes(outer[2][0]))
    raw = _bytes(checked.pop(4)[0])
    return (_bytes(outer[1][0]), checked), raw


def _compiled(env: Env, frame: tuple[bytes, Fields], raw: bytes) -> Expression:
    kind, around = frame
    parts = [_field(number, value) for number, values in around.items() for value in values if isinstance(value, bytes)]
    return env.deserialize(_field(1, kind) + _field(2, b"".join([*parts, _field(4, raw)])))


def _ident(name: str) -> bytes:
    return _field(IDENT, _field(1, name.encode()))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _any_field(number: int, value: int | bytes) -> bytes:
    return _field(number, value) if isinstance(value, bytes) else _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("expected bytes of a message")
    return value
