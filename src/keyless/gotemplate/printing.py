"""Values as Go prints them with ``%v`` and ``%q``. Whoever prints a container has paid for its whole weight before.

Rules: https://pkg.go.dev/fmt, https://pkg.go.dev/strconv (Quote, FormatFloat)
"""

from __future__ import annotations

import math
import re
from typing import Any

from keyless.gotemplate.values import List, Map, Struct, decoded, encoded


def text_of(value: Any) -> bytes:
    """Return what ``%v`` prints."""
    match value:
        case bytes():
            return value
        case None:
            return b"<nil>"
        case bool():
            return b"true" if value else b"false"
        case int():
            return b"%d" % value
        case float():
            return float_text(value).encode()
        case List():
            return b"[" + b" ".join([text_of(item) for item in value]) + b"]"
        case Map():
            return b"map[" + b" ".join([key + b":" + text_of(value[key]) for key in sorted(value)]) + b"]"
        case Struct():
            return value.text().encode()
    raise TypeError


def string_of(value: Any) -> bytes:
    """Return sprig's ``strval``."""
    return text_of(value)


def shown(value: Any) -> bytes:
    """Return what an action writes: nothing has the text ``<no value>`` there."""
    return b"<no value>" if value is None else text_of(value)


def sprint(values: tuple[Any, ...]) -> bytes:
    """Return ``fmt.Sprint``: a space between two neighbours when neither is a string."""
    out: list[bytes] = []
    for at, value in enumerate(values):
        if at and not isinstance(value, bytes) and not isinstance(values[at - 1], bytes):
            out.append(b" ")
        out.append(text_of(value))
    return b"".join(out)


def float_text(value: float) -> str:
    """Return what Go's ``%v`` prints: the shortest digits, with an exponent from 1e+06 on and below 1e-04."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits, exponent = _shortest(abs(value))
    sign = "-" if value < 0 else ""
    if exponent < -4 or exponent >= 6:
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return sign + _plain(digits, exponent)


def fixed_text(value: float) -> str:
    """Return Go's ``FormatFloat(f, 'f', -1, 64)``: shortest digits, never an exponent."""
    if value == 0 or math.isnan(value) or math.isinf(value):
        return float_text(value)
    return ("-" if value < 0 else "") + _plain(*_shortest(abs(value)))


def _shortest(value: float) -> tuple[str, int]:
    """Return the shortest decimal digits that read back as ``value``, and the exponent of the first."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)
    point -= len(whole + fraction) - len(digits)
    return digits.rstrip("0") or "0", point - 1


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return digits[: exponent + 1] + "." + digits[exponent + 1 :]


_NAMED = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_PLAIN_RUN = re.compile(r'[^"\\\x00-\x1f\x7f-\U0010ffff]+|.', re.DOTALL)


def quoted(text: bytes, *, mark: str = '"', ascii_only: bool = False) -> bytes:
    """Return Go's ``strconv.Quote``; bytes that are no UTF-8 are written as ``\\xNN``."""
    out = [mark]
    for run in _PLAIN_RUN.findall(decoded(text)):
        out.append(run if len(run) > 1 and mark == '"' else _quoted_run(run, mark, ascii_only=ascii_only))
    return encoded("".join([*out, mark]))


def _quoted_run(run: str, mark: str, *, ascii_only: bool) -> str:
    return "".join(_quoted_rune(rune, mark, ascii_only=ascii_only) for rune in run)


def _quoted_rune(rune: str, mark: str, *, ascii_only: bool) -> str:
    code = ord(rune)
    if rune == mark:
        return "\\" + rune
    if rune in _NAMED:
        return _NAMED[rune]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if rune.isprintable() and not (ascii_only and code > 0x7E):
        return rune
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
