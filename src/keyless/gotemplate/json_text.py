"""JSON as Go's ``encoding/json`` reads and writes it, within an account.

Rules: https://pkg.go.dev/encoding/json (Marshal, Unmarshal into an interface value)
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from keyless.gotemplate.account import Account, Limits
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.printing import _shortest, fixed_text
from keyless.gotemplate.values import List, Map, Struct, decoded, encoded, given

_SPECIAL = re.compile('["\\\\\x00-\x1f\u2028\u2029\udc80-\udcff]')
_SPECIAL_AND_HTML = re.compile('["\\\\\x00-\x1f<>&\u2028\u2029\udc80-\udcff]')
_NAMED = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def json_text(account: Account, value: Any, *, escape_html: bool = True, indent: str = "") -> bytes:
    """Return Go's ``json.Marshal``: keys sorted; a number that is no number makes it fail."""
    account.walk(value)
    # The number of characters to escape is not known before: as if each were.
    account.spell(value)
    if indent:
        account.walk(value)  # an indented line may be twice as long
    parts: list[str] = []
    _write(parts, value, _SPECIAL_AND_HTML if escape_html else _SPECIAL, indent, "\n" if indent else "")
    account.room(sum(map(len, parts)))
    return encoded("".join(parts))


def _write(out: list[str], value: Any, special: re.Pattern[str], indent: str, line: str) -> None:
    match value:
        case None:
            out.append("null")
        case bool():
            out.append("true" if value else "false")
        case int():
            out.append(str(int(value)))
        case float():
            out.append(_number(value))
        case bytes():
            out.append(_string(value, special))
        case Struct():
            out.append(_string(value.json().encode(), special))
        case List() if value.is_nil:
            out.append("null")
        case List():
            _members(out, "[]", [("", item) for item in value], special, indent, line)
        case Map():
            colon = ": " if indent else ":"
            named = [(_string(key, special) + colon, value[key]) for key in sorted(value)]
            _members(out, "{}", named, special, indent, line)


def _members(
    out: list[str], marks: str, members: list[tuple[str, Any]], special: re.Pattern[str], indent: str, line: str
) -> None:
    if not members:
        out.append(marks)
        return
    inner = line + indent if line else ""
    for at, (name, item) in enumerate(members):
        out.append(("," if at else marks[0]) + inner + name)
        _write(out, item, special, indent, inner)
    out.append(line + marks[1])


def _string(text: bytes, special: re.Pattern[str]) -> str:
    return '"' + special.sub(_escape, decoded(text)) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if character in _NAMED:
        return _NAMED[character]
    # A byte that is no UTF-8 is written as the replacement character, escaped.
    return "\\ufffd" if "\udc80" <= character <= "\udcff" else f"\\u{ord(character):04x}"


def _number(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        raise Problem("JSON has no such number")
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return fixed_text(value)
    digits, exponent = _shortest(abs(value))
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    # Go drops the leading zero of a negative exponent alone: 1e-07 is 1e-7.
    return f"{'-' if value < 0 else ''}{mantissa}e" + (f"-{-exponent}" if exponent < 0 else f"+{exponent:02d}")


def from_json(account: Account, text: bytes) -> Any:
    """Return what Go reads into an interface value: numbers are float64. Raises ``Problem``."""
    # Counted before anything is read: each comma and bracket may become a value.
    account.items(sum(text.count(mark) for mark in (b",", b"[", b"{", b":")) + 1)
    account.walk(text)
    try:
        found = json.loads(decoded(text), parse_int=_float, parse_float=_float, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Problem("the input is no JSON") from None
    return _value(found)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError
    return number


def _no_constant(_name: str) -> Any:
    raise ValueError


def _value(found: Any) -> Any:
    match found:
        case str():
            # Half of a surrogate pair, and a byte that is no UTF-8, become the replacement character.
            return _SURROGATE.sub("\ufffd", found).encode()
        case list():
            return List(_value(item) for item in found)
        case dict():
            return Map((_value(key), _value(item)) for key, item in found.items())
    return found


def json_of(value: Any) -> str:
    """Return plain data (str, list, dict …) as Go's ``json.Marshal`` writes it; for data that are known to be small."""
    return decoded(json_text(Account(Limits()), given(value)))
