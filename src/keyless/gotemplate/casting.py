"""Numbers as ``github.com/spf13/cast`` v1.10.0 makes them for sprig, and arithmetic that wraps at 64 bits as Go's does.

What cannot be converted is 0. Rules: https://github.com/spf13/cast (ToInt64, ToFloat64), https://pkg.go.dev/strconv
"""

from __future__ import annotations

import math
import re
from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.values import Int64

SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1
_DECIMAL = re.compile(rb"([-+]?[0-9]*)(\.[0-9]*)?")
_FLOAT = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_UNDERSCORED_FLOAT = re.compile(rb"[+-]?[0-9]+(?:_[0-9]+)*(?:\.[0-9]*(?:_[0-9]+)*)?(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?")
_HEX_FLOAT = re.compile(rb"[+-]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9]+")
_SPECIAL = {b"inf": math.inf, b"infinity": math.inf}
_BASES = {"0x": 16, "0o": 8, "0b": 2}
# One underscore between digits, or after a base's prefix: Go's rule for literals.
_UNDERSCORED = re.compile(r"(?:0[xXoObB]_?|(?=[0-9]))[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*")


def wrapped(value: int) -> Int64:
    """Return ``value`` as an int64 holds it."""
    return Int64(((value - SMALLEST) & ((1 << 64) - 1)) + SMALLEST)


def parse_int(text: bytes, base: int = 0) -> tuple[int, bool]:
    """Return ``strconv.ParseInt(text, base, 64)`` and whether it succeeded; past the range it is the nearest."""
    try:
        written = text.decode("ascii")
    except UnicodeDecodeError:
        return 0, False
    negative, digits = written.startswith("-"), written[1:] if written[:1] in {"+", "-"} else written
    if not digits:
        return 0, False
    if base == 0:
        if "_" in digits and not _UNDERSCORED.fullmatch(digits):
            return 0, False
        base, digits = _base_of(digits)
    if not digits or not digits.isalnum() or len(digits) > 4000:
        return 0, False
    try:
        number = int(digits, base)
    except ValueError:
        return 0, False
    number = -number if negative else number
    if number < SMALLEST or number > LARGEST:
        return (SMALLEST if negative else LARGEST), False
    return number, True


def _base_of(digits: str) -> tuple[int, str]:
    plain = digits.replace("_", "")
    base = _BASES.get(plain[:2].lower())
    if base:
        return base, plain[2:]
    if plain.startswith("0") and len(plain) > 1:
        return 8, plain[1:]
    return 10, plain


def parse_float(text: bytes) -> float | None:
    """Return ``strconv.ParseFloat(text, 64)``; None where it fails."""
    sign, body = (-1.0 if text.startswith(b"-") else 1.0), text.lower().lstrip(b"+-")
    if len(text) - len(body) <= 1 and body in _SPECIAL:
        return sign * _SPECIAL[body]
    if text.lower() == b"nan":
        return math.nan
    if b"_" in text and _UNDERSCORED_FLOAT.fullmatch(text):
        text = text.replace(b"_", b"")
    try:
        if _FLOAT.fullmatch(text):
            found = float(text)
        elif _HEX_FLOAT.fullmatch(text):
            found = float.fromhex(text.decode().replace("_", ""))
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return None if math.isinf(found) else found


def to_int64(value: Any) -> int:
    """Return cast's ``ToInt64``: 3 for "3.7", 31 for "0x1F", 8 for "010", 0 for what is no number."""
    match value:
        case bool() | int():
            return int(value)
        case float():
            return _whole(value)
        case bytes():
            number, ok = parse_int(_trimmed(value))
            return number if ok else 0
    return 0


def _whole(value: float) -> int:
    # Outside the range, and for NaN, amd64 answers with the smallest number.
    if math.isnan(value) or not SMALLEST <= value < LARGEST:
        return SMALLEST
    return int(value)


def _trimmed(text: bytes) -> bytes:
    match = _DECIMAL.fullmatch(text) if b"." in text else None
    if match is None:
        return text
    return match[1] + b"0" if match[1] in {b"", b"-", b"+"} else match[1]


def to_float64(value: Any) -> float:
    """Return cast's ``ToFloat64``; 0 for what is no number."""
    match value:
        case bool() | int() | float():
            return float(value)
        case bytes():
            return parse_float(value) or 0.0
    return 0.0


def divided(first: int, second: int) -> Int64:
    """Return Go's quotient, which is cut towards zero."""
    if second == 0:
        raise Problem("division by zero")
    quotient = abs(first) // abs(second)
    return wrapped(quotient if (first < 0) == (second < 0) else -quotient)


def remainder(first: int, second: int) -> Int64:
    """Return Go's remainder, which has the sign of the dividend."""
    if second == 0:
        raise Problem("division by zero")
    left = abs(first) % abs(second)
    return wrapped(-left if first < 0 else left)
