"""Values as Go prints them: ``fmt``'s verbs over the values that templates know.

Values are None, bool, int, float, str, list and dict with string keys. Verbs: https://pkg.go.dev/fmt
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+|\*)?)?(?P<verb>.)?", re.DOTALL)
_HAS_POINT = re.compile(r"^%[-+# 0]*(?:\d+|\*)?\.")
MAX_WIDTH = 10_000


def text_of(value: Any) -> str:
    """Return what ``%v`` prints."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, list | tuple):
        return "[" + " ".join(text_of(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"
    return str(value)


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
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    scale = len(whole) - 1 + int(exponent or 0)
    if whole == "0":
        scale = -1 - (len(fraction) - len(fraction.lstrip("0"))) + int(exponent or 0)
    return digits.rstrip("0") or "0", scale


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return digits[: exponent + 1] + "." + digits[exponent + 1 :]


def quoted(text: str) -> str:
    """Return Go's ``%q``."""
    out = ['"']
    for character in text:
        code = ord(character)
        if character in '"\\':
            out.append("\\" + character)
        elif character in "\a\b\f\n\r\t\v":
            out.append(
                {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}[character]
            )
        elif character.isprintable():
            out.append(character)
        else:
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return "".join(out) + '"'


def type_of(value: Any) -> str:
    """Return the name of the Go type that ``value`` stands for."""
    if isinstance(value, bool):
        return "bool"
    names = {int: "int", float: "float64", str: "string", list: "[]interface {}", dict: "map[string]interface {}"}
    return names.get(type(value), "<nil>")


def sprintf(pattern: str, arguments: Sequence[Any]) -> str:
    """Return ``fmt.Sprintf(pattern, arguments...)``."""
    left = list(arguments)

    def replace(match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb is None:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        flags = match["flags"]
        width = _number(match["width"], left)
        precision = _number(match["precision"], left)
        if precision is None and _HAS_POINT.match(match.group()):
            precision = 0
        if not left:
            return f"%!{verb}(MISSING)"
        return _padded(_verb(verb, left.pop(0), flags, precision), flags, width, verb)

    text = _VERB.sub(replace, pattern)
    if left:
        text += "%!(EXTRA " + ", ".join(f"{type_of(item)}={text_of(item)}" for item in left) + ")"
    return text


def _number(text: str | None, left: list[Any]) -> int | None:
    if text is None:
        return None
    value = left.pop(0) if text == "*" and left else text
    return min(int(value), MAX_WIDTH) if str(value).isdigit() else None


def _padded(text: str, flags: str, width: int | None, verb: str) -> str:
    if not width or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and verb in "dfFeEgGxXobv":
        sign = text[0] if text[:1] in {"+", "-"} else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _verb(verb: str, value: Any, flags: str, precision: int | None) -> str:
    plus = "+" if "+" in flags else ""
    if verb == "v":
        return text_of(value)
    if verb == "T":
        return type_of(value)
    if verb == "t" and isinstance(value, bool):
        return text_of(value)
    if verb in "sqxX" and isinstance(value, str):
        return _string_verb(verb, value, precision)
    if verb in "dxXobcqU" and isinstance(value, int) and not isinstance(value, bool):
        return _integer_verb(verb, value, plus)
    if verb in "eEfFgG" and isinstance(value, float):
        return _float_verb(verb, value, precision, plus)
    if verb in "sdqxX" and isinstance(value, list):
        return "[" + " ".join(_verb(verb, item, flags, precision) for item in value) + "]"
    if verb == "s" and isinstance(value, dict):
        inner = " ".join(f"{key}:{_verb(verb, value[key], flags, precision)}" for key in sorted(value))
        return f"map[{inner}]"
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_of(value)}={text_of(value)})"


def _string_verb(verb: str, value: str, precision: int | None) -> str:
    shown = value if precision is None else value[:precision]
    if verb == "s":
        return shown
    if verb == "q":
        return quoted(shown)
    hexed = shown.encode("utf-8", "surrogateescape").hex()
    return hexed.upper() if verb == "X" else hexed


def _integer_verb(verb: str, value: int, plus: str) -> str:
    if verb in "cq":
        character = chr(value) if 0 <= value < 0x110000 else "\ufffd"
        return character if verb == "c" else f"'{character}'"
    if verb == "U":
        return f"U+{value:04X}"
    return format(value, {"d": f"{plus}d", "x": "x", "X": "X", "o": "o", "b": "b"}[verb])


def _float_verb(verb: str, value: float, precision: int | None, plus: str) -> str:
    if verb in "gG" and precision is None:
        text = float_text(value)
        return plus + text if plus and value >= 0 else text
    return format(value, f"{plus}.{6 if precision is None else precision}{verb}")


def json_text(value: Any, *, escape_html: bool = True, indent: int | None = None) -> str:
    """Return Go's ``json.Marshal``: keys sorted, integers of any size without exponent, ``<>&`` escaped."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(_whole(value), ensure_ascii=False, sort_keys=True, separators=separators, indent=indent)
    if escape_html:
        for character in "<>&\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _whole(value: Any) -> Any:
    """JSON numbers are float64 in Go, yet 5 stays 5 when written back."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value
