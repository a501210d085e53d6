"""The protobuf wire format: bytes to numbered fields.

Knows no message. Fed by strangers: every length and number is checked, and only ``Malformed`` is raised.
Spec: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from keyless.local.cluster.faults import Malformed

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Read an unsigned varint; answers it with the next position."""
    result = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift > 63:
            break
    raise Malformed("protobuf: a number has no end")


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Every field of one message: number, wire type, value."""
    position, end = 0, len(data)
    while position < end:
        tag, position = varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or number > 0x1FFFFFFF:
            raise Malformed(f"protobuf: illegal field number {number}")
        if wire_type == VARINT:
            value, position = varint(data, position, end)
            yield number, wire_type, value
            continue
        if wire_type == BYTES:
            size, position = varint(data, position, end)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise Malformed(f"protobuf: field {number} has the unknown wire type {wire_type}")
        if size > end - position:
            raise Malformed(f"protobuf: field {number} is longer than its message")
        yield number, wire_type, data[position : position + size]
        position += size


def signed(value: int) -> int:
    """A varint as Go's int32 or int64."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: bytes) -> float:
    """A fixed64 as a float."""
    number: float = struct.unpack("<d", value)[0]
    return number


def text(value: bytes) -> str:
    """UTF-8, or malformed."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Malformed("protobuf: a string is not UTF-8") from None
