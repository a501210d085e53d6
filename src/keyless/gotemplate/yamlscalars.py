"""What a plain YAML scalar is to go-yaml v2: YAML 1.1's booleans, Go's integers, no sexagesimals. Pure.

Rules: https://github.com/yaml/go-yaml/blob/v2.4.2/resolve.go
"""

from __future__ import annotations

import math
import re
import struct
from calendar import monthrange
from dataclasses import dataclass
from decimal import Decimal

from keyless.gotemplate.printing import float_text

STR, BINARY = "tag:yaml.org,2002:str", "tag:yaml.org,2002:binary"
BOOL, INT, FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
NULL, TIMESTAMP = "tag:yaml.org,2002:null", "tag:yaml.org,2002:timestamp"
_RESOLVABLE = {"", STR, BOOL, INT, FLOAT, NULL, TIMESTAMP}


def _words(*words: str) -> list[str]:
    return [form for word in words for form in (word, word.capitalize(), word.upper())]


_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(["", "~", *_words("null")], None),
    **dict.fromkeys(["y", "Y", *_words("yes", "true", "on")], True),
    **dict.fromkeys(["n", "N", *_words("no", "false", "off")], False),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **{sign + form: math.inf for sign in ("", "+") for form in (".inf", ".Inf", ".INF")},
    **{"-" + form: -math.inf for form in (".inf", ".Inf", ".INF")},
}
_SIGNED_BINARY = re.compile(r"0b([+-])([01]+)")
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_POINT_FLOAT = re.compile(r"\.[0-9](?:_?[0-9])*(?:[eE][-+]?[0-9](?:_?[0-9])*)?")
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2})(?:[.,][0-9]+)?"
_TIMESTAMP = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    rf"(?:(?: |(?P<zoned>[tT])){_TIME}(?P<zone>Z|[-+][0-9]{{2}}:[0-9]{{2}})?)?"
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
MAX_NUMBER = 400
"""Characters; a longer number is kept as its text, so that none is costly to read."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number with the text it was read from."""

    written: str
    value: int | float

    def exact(self) -> int | float | str:
        """Return Go's float64; what it cannot hold stays an int, or else its text."""
        if isinstance(self.value, int):
            return float(self.value) if int(float(self.value)) == self.value else self.value
        return self.value if _keeps_digits(repr(self.value), self.written) else self.written

    def text(self) -> str:
        """Return Go's text: an integer in decimal, else a float32's shortest digits; as written if they differ."""
        if isinstance(self.value, int):
            return str(self.value)
        if not math.isfinite(self.value):
            return float_text(self.value)
        shown = float_text(float(_shortest_single(self.value)))
        return shown if _keeps_digits(shown, self.written) else self.written


Scalar = str | bool | None | Number


class Mismatch(ValueError):
    """The text does not fit its tag."""


def resolved(tag: str, text: str) -> Scalar:
    """Return what a scalar is; ``tag`` is empty for a plain one. Raises ``Mismatch``."""
    if tag not in _RESOLVABLE or tag == STR:
        return text
    found = _guessed(text)
    if tag == "" or _kind(found) == tag or (tag == FLOAT and _kind(found) == INT):
        return found
    if tag == TIMESTAMP:
        # Go keeps a time as it is written, and so is anything that might be one.
        return text
    raise Mismatch


def reads_as_text(text: str) -> bool:
    """Return whether the text needs no quotes: unquoted, Go and readers of YAML 1.1 take it for a text."""
    return isinstance(_guessed(text), str) and not is_timestamp(text) and _BASE_60.fullmatch(text) is None


def is_timestamp(text: str) -> bool:
    """Return whether go-yaml takes the text for a time."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None or (match["zoned"] is None) != (match["zone"] is None):
        return False
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= monthrange(year or 4, month)[1]):
        return False
    return match["hour"] is None or (
        int(match["hour"]) < 24 and int(match["minute"]) < 60 and int(match["second"]) < 60
    )


def _kind(found: Scalar) -> str:
    if isinstance(found, bool):
        return BOOL
    if isinstance(found, Number):
        return INT if isinstance(found.value, int) else FLOAT
    return NULL if found is None else STR


def _guessed(text: str) -> Scalar:
    if text in _WORDS:
        word = _WORDS[text]
        return Number(text, word) if isinstance(word, float) else word
    if text[:1] == ".":
        return _float(text, text.replace("_", "")) if _POINT_FLOAT.fullmatch(text) else text
    if text[0] not in "+-0123456789" or len(text) > MAX_NUMBER or is_timestamp(text):
        return text
    # A sign within, as in 0b-1, is go-yaml's own.
    plain = _SIGNED_BINARY.sub(r"\g<1>0b\2", text.replace("_", ""))
    if _INTEGER.fullmatch(plain):
        value = _integer(plain)
        # 64 bits, and one more bit without a sign.
        if -(1 << 63) <= value < (1 << 63) or (plain[0] not in "+-" and value < 1 << 64):
            return Number(text, value)
    return _float(text, plain) if _FLOAT.fullmatch(plain) else text


def _integer(plain: str) -> int:
    sign, digits = (-1, plain[1:]) if plain[0] == "-" else (1, plain.lstrip("+"))
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.lower().startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits, 8 if digits[0] == "0" else 10)


def _float(text: str, plain: str) -> Scalar:
    value = float(plain)
    # Go reports a number out of range, and the text stays a text.
    return Number(text, value) if math.isfinite(value) else text


def _keeps_digits(shown: str, written: str) -> bool:
    plain = written.replace("_", "")
    return not _FLOAT.fullmatch(plain) or Decimal(shown) == Decimal(plain)


def _shortest_single(value: float) -> str:
    try:
        single = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return "inf" if value > 0 else "-inf"
    for digits in range(9):
        shown = f"{single:.{digits}e}"
        if struct.pack("f", float(shown)) == struct.pack("f", single):
            return shown
    return repr(single)
