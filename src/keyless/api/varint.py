"""Protobuf's whole numbers on the wire: seven bits a byte, the lowest first."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A number of zero or more; https://protobuf.dev/programming-guides/encoding/#varints."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
