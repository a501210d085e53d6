"""Protobuf messages of the built-in types to JSON objects, by the table of types.

The result holds what was on the wire; which zero values Go would leave out is decided by ``builtin.normalize``.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson

from keyless.local.cluster.builtin.types import Field, Struct, struct
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.protobuf import wire

DEPTH = 60
"""JSON schemas nest; nothing real nests deeper."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Reader = Callable[[bytes, int], Any]


def read_message(kind: Struct, data: bytes, depth: int = 0) -> dict[str, Any]:
    """One message."""
    if depth > DEPTH:
        raise Malformed("protobuf: the message nests too deeply")
    plan = _plan(kind.name)
    result: dict[str, Any] = {}
    for number, wire_type, value in wire.fields(data):
        step = plan.get(number)
        if step is not None:
            step(result, wire_type, value, depth + 1)
    return result


Step = Callable[[dict[str, Any], int, Any, int], None]


@cache
def _plan(name: str) -> dict[int, Step]:
    return {number: _step(field) for number, field in struct(name).wire.items()}


def _step(field: Field) -> Step:
    if field.type in _NUMBERS:
        return _number_step(field)
    if field.type.startswith("[]"):
        return _list_step(field)
    if field.type.startswith("{}"):
        return _map_step(field)
    read, name = _reader(field.type), field.name

    def single(result: dict[str, Any], wire_type: int, value: Any, depth: int) -> None:
        found = read(_bytes(wire_type, value), depth)
        if field.inline:
            result.update(found)
        elif isinstance(found, dict) and isinstance(result.get(name), dict):
            # A message that comes in two parts is one message.
            result[name] = {**result[name], **found}
        else:
            result[name] = found

    return single


def _number_step(field: Field) -> Step:
    convert, name = _NUMBERS[field.type], field.name

    def number(result: dict[str, Any], wire_type: int, value: Any, depth: int) -> None:  # noqa: ARG001 - a Step
        result[name] = convert(wire_type, value)

    return number


def _list_step(field: Field) -> Step:
    element, name = field.type[2:], field.name
    if element in _NUMBERS:
        convert = _NUMBERS[element]

        def numbers(result: dict[str, Any], wire_type: int, value: Any, depth: int) -> None:  # noqa: ARG001 - a Step
            found = result.setdefault(name, [])
            if wire_type == wire.BYTES:
                found.extend(_packed(value))
            else:
                found.append(convert(wire_type, value))

        return numbers
    read = _reader(element)

    def items(result: dict[str, Any], wire_type: int, value: Any, depth: int) -> None:
        result.setdefault(name, []).append(read(_bytes(wire_type, value), depth))

    return items


def _map_step(field: Field) -> Step:
    element, name = field.type[2:], field.name
    read = _reader(element)

    def entry(result: dict[str, Any], wire_type: int, value: Any, depth: int) -> None:
        key, raw = "", b""
        for number, inner_type, inner in wire.fields(_bytes(wire_type, value)):
            if number == 1:
                key = wire.text(_bytes(inner_type, inner))
            elif number == 2:
                raw = _bytes(inner_type, inner)
        result.setdefault(name, {})[key] = read(raw, depth)

    return entry


def _bytes(wire_type: int, value: Any) -> bytes:
    if wire_type != wire.BYTES:
        raise Malformed("protobuf: a number where text or a message is expected")
    return bytes(value)


def _packed(data: bytes) -> list[int]:
    position, found = 0, []
    while position < len(data):
        value, position = wire.varint(data, position, len(data))
        found.append(wire.signed(value))
    return found


def _integer(wire_type: int, value: Any) -> int:
    if wire_type != wire.VARINT:
        raise Malformed("protobuf: a whole number is expected")
    return wire.signed(value)


def _integer32(wire_type: int, value: Any) -> int:
    found = _integer(wire_type, value)
    return ((found + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def _double(wire_type: int, value: Any) -> float:
    if wire_type != wire.FIXED64:
        raise Malformed("protobuf: a floating point number is expected")
    return wire.double(value)


_NUMBERS: dict[str, Callable[[int, Any], Any]] = {
    "bool": lambda wire_type, value: bool(_integer(wire_type, value)),
    "int32": _integer32,
    "int64": _integer,
    "float64": _double,
}


def _reader(kind: str) -> Reader:
    if kind.startswith("@"):
        return lambda data, depth: read_message(struct(kind[1:]), data, depth)
    return _READERS[kind]


def _numbered(data: bytes) -> dict[int, Any]:
    return {number: value for number, _, value in wire.fields(data)}


def _plain_bytes(data: bytes, depth: int) -> str:  # noqa: ARG001 - a Reader
    return b64encode(data).decode()


def _text(data: bytes, depth: int) -> str:  # noqa: ARG001 - a Reader
    return wire.text(data)


def _time(data: bytes, depth: int) -> str | None:  # noqa: ARG001 - a Reader
    """Seconds only: Go's ``metav1.Time`` drops the rest. An empty message is no time."""
    if not data:
        return None
    return _moment(data).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(data: bytes, depth: int) -> str | None:  # noqa: ARG001 - a Reader
    return _moment(data).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if data else None


def _moment(data: bytes) -> datetime:
    parts = _numbered(data)
    try:
        seconds, nanoseconds = wire.signed(parts.get(1, 0)), parts.get(2, 0)
        return EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except (OverflowError, TypeError):
        raise Malformed("protobuf: a time is out of range") from None


def _quantity(data: bytes, depth: int) -> str:  # noqa: ARG001 - a Reader
    value = _numbered(data).get(1, b"0")
    return wire.text(value) if isinstance(value, bytes) else _refuse("a quantity is text")


def _int_or_string(data: bytes, depth: int) -> int | str:  # noqa: ARG001 - a Reader
    parts = _numbered(data)
    if parts.get(1, 0) == 0:
        number = parts.get(2, 0)
        return _integer32(wire.VARINT, number) if isinstance(number, int) else _refuse("an integer is expected")
    value = parts.get(3, b"")
    return wire.text(value) if isinstance(value, bytes) else _refuse("text is expected")


def _raw(data: bytes, depth: int) -> Any:  # noqa: ARG001 - a Reader
    value = _numbered(data).get(1, b"")
    if not isinstance(value, bytes):
        return _refuse("raw JSON is text")
    try:
        return orjson.loads(value) if value else None
    except orjson.JSONDecodeError:
        raise Malformed("protobuf: a raw value is no JSON") from None


def _items(data: bytes, depth: int) -> list[str]:  # noqa: ARG001 - a Reader
    return [wire.text(_bytes(wire_type, value)) for number, wire_type, value in wire.fields(data) if number == 1]


def _schema(data: bytes, depth: int) -> Any:
    return read_message(struct("apiextensions/v1.JSONSchemaProps"), data, depth)


def _schema_or_array(data: bytes, depth: int) -> Any:
    schemas = []
    for number, wire_type, value in wire.fields(data):
        if number == 1:
            return _schema(_bytes(wire_type, value), depth)
        if number == 2:
            schemas.append(_schema(_bytes(wire_type, value), depth))
    return schemas


def _schema_or_bool(data: bytes, depth: int) -> Any:
    parts = _numbered(data)
    return _schema(_bytes(wire.BYTES, parts[2]), depth) if isinstance(parts.get(2), bytes) else bool(parts.get(1, 0))


def _schema_or_strings(data: bytes, depth: int) -> Any:
    strings = []
    for number, wire_type, value in wire.fields(data):
        if number == 1:
            return _schema(_bytes(wire_type, value), depth)
        if number == 2:
            strings.append(wire.text(_bytes(wire_type, value)))
    return strings


def _refuse(expected: str) -> Any:
    raise Malformed(f"protobuf: {expected}")


_READERS: dict[str, Reader] = {
    "string": _text,
    "bytes": _plain_bytes,
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "Raw": _raw,
    "items": _items,
    "SchemaOrArray": _schema_or_array,
    "SchemaOrBool": _schema_or_bool,
    "SchemaOrStrings": _schema_or_strings,
}
