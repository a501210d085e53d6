"""``fmt.Sprintf`` over the values that templates know.

Rules: https://pkg.go.dev/fmt (flags, width, precision, explicit argument indexes, format errors)
"""

from __future__ import annotations

import math
import re
from typing import Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.printing import float_text, quoted, text_of
from keyless.gotemplate.values import List, Map, Struct, Uint8, decoded, encoded, type_of, weight_of

_TOO_LARGE = 1_000_000
_FLAGS = re.compile(rb"[#0+\- ]*")
_INDEX = re.compile(rb"\[(\d*)([^\]]*)\]")
_BAD_NUMBER = object()


class _Spec:
    """One verb's flags, width and precision."""

    __slots__ = ("flags", "precision", "width")

    def __init__(self, flags: str) -> None:
        self.flags = flags
        self.width: int | None = None
        self.precision: int | None = None

    def has(self, flag: str) -> bool:
        return flag in self.flags


class _Printf:
    def __init__(self, account: Account, pattern: bytes, arguments: tuple[Any, ...]) -> None:
        self._account, self._pattern, self._arguments = account, pattern, arguments
        self._at = self._number = 0
        self._reordered = self._good = True
        self._out: list[bytes] = []
        self._size = 0

    def run(self) -> bytes:
        self._reordered = False
        pattern = self._pattern
        while self._at < len(pattern):
            sign = pattern.find(b"%", self._at)
            end = len(pattern) if sign < 0 else sign
            self._write(pattern[self._at : end])
            self._at = end + 1
            if sign >= 0:
                self._directive()
        if not self._reordered and self._number < len(self._arguments):
            left = self._arguments[self._number :]
            for item in left:
                self._account.walk(item)
            extra = (b"<nil>" if a is None else type_of(a).encode() + b"=" + text_of(a) for a in left)
            self._write(b"%!(EXTRA " + b", ".join(extra) + b")")
        return b"".join(self._out)

    def _write(self, text: bytes) -> None:
        self._size += len(text)
        self._account.room(self._size)
        self._out.append(text)

    def _directive(self) -> None:
        self._good = True
        flags = _FLAGS.match(self._pattern, self._at)
        assert flags  # it matches the empty text
        self._at = flags.end()
        spec = _Spec(flags.group().decode())
        indexed = self._index()
        indexed = self._width(spec, indexed)
        indexed = self._precision(spec, indexed)
        if not indexed:
            self._index()
        if self._at >= len(self._pattern):
            self._write(b"%!(NOVERB)")
            return
        verb = decoded(self._pattern[self._at : self._at + 4])[0]
        self._at += len(encoded(verb))
        if verb in {"v", "w"}:
            # With %v a plus means nothing to values like ours, and # asks for Go's syntax (V here).
            spec.flags = spec.flags.replace("+", "").replace("#", "V")
        self._verb(spec, verb)

    def _verb(self, spec: _Spec, verb: str) -> None:
        if verb == "%":
            self._write(b"%")
        elif not self._good:
            self._write(b"%!" + encoded(verb) + b"(BADINDEX)")
        elif self._number >= len(self._arguments):
            self._write(b"%!" + encoded(verb) + b"(MISSING)")
        else:
            value = self._arguments[self._number]
            self._number += 1
            # Each use pays anew: %[1]v may print one value a thousand times; hexadecimal doubles, quotes up to tenfold.
            (self._account.spell if verb == "q" or spec.has("V") else self._account.walk)(value)
            room = weight_of(value) // 32 * ((spec.width or 0) + (spec.precision or 0)) if _nests(value) else 0
            self._account.room(max(room, (spec.width or 0), (spec.precision or 0)))
            self._write(_printed(verb, value, spec))

    def _index(self) -> bool:
        """Read ``[n]``; returns whether there was one."""
        pattern = self._pattern
        if not pattern.startswith(b"[", self._at):
            return False
        self._reordered = True
        match = _INDEX.match(pattern, self._at)
        if match is None or len(pattern) - self._at < 3:
            self._good = False
            self._at += 1
            return False
        self._at = match.end()
        number = int(match[1]) if match[1] and not match[2] and len(match[1]) < 8 else 0
        if 0 < number <= len(self._arguments):
            self._number = number - 1
            return True
        self._good = False
        return bool(number)

    def _width(self, spec: _Spec, indexed: bool) -> bool:
        if self._pattern.startswith(b"*", self._at):
            self._at += 1
            spec.width = self._from_argument()
            if spec.width is None:
                self._write(b"%!(BADWIDTH)")
            elif spec.width < 0:
                spec.width, spec.flags = -spec.width, spec.flags.replace("0", "") + "-"
            return False
        spec.width = self._digits()
        if indexed and spec.width is not None:
            self._good = False
        return indexed

    def _precision(self, spec: _Spec, indexed: bool) -> bool:
        if not self._pattern.startswith(b".", self._at) or self._at + 1 >= len(self._pattern):
            return indexed
        self._at += 1
        if indexed:
            self._good = False
        indexed = self._index()
        if self._pattern.startswith(b"*", self._at):
            self._at += 1
            spec.precision = self._from_argument()
            if spec.precision is None or spec.precision < 0:
                spec.precision = None
                self._write(b"%!(BADPREC)")
            return False
        spec.precision = self._digits() or 0
        return indexed

    def _digits(self) -> int | None:
        match = re.compile(rb"\d+").match(self._pattern, self._at)
        if match is None:
            return None
        if len(match.group().lstrip(b"0")) > 8:
            self._at = len(self._pattern)  # Go gives up on such a number: no verb is found
            return None
        self._at = match.end()
        return int(match.group())

    def _from_argument(self) -> int | None:
        if self._number >= len(self._arguments):
            return None
        value = self._arguments[self._number]
        self._number += 1
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _TOO_LARGE:
            return int(value)
        return None


def sprintf(account: Account, pattern: bytes, *arguments: Any) -> bytes:
    """Return ``fmt.Sprintf(pattern, arguments...)``; raises ``Problem`` before the text gets too long."""
    return _Printf(account, pattern, arguments).run()


def _nests(value: Any) -> bool:
    return isinstance(value, List | Map)


def _printed(verb: str, value: Any, spec: _Spec, *, depth: int = 0) -> bytes:
    if verb == "T":
        return _padded(type_of(value).encode(), spec)
    if value is None:
        return _nothing(verb, spec, depth)
    if verb == "p":
        raise Problem("%p prints an address, which differs every time")
    match value:
        case bool():
            return _padded(text_of(value), spec) if verb in {"t", "v"} else _bad(verb, value, spec)
        case int():
            return _integer(verb, value, spec)
        case float():
            return _float(verb, value, spec)
        case bytes():
            return _string(verb, value, spec)
        case List():
            return _list(verb, value, spec, depth)
        case Struct():
            return _struct(verb, value, spec)
    return _map(verb, value, spec, depth)


def _nothing(verb: str, spec: _Spec, depth: int) -> bytes:
    if depth:
        return b"interface {}(nil)" if spec.has("V") else b"<nil>"
    return _padded(b"<nil>", spec) if verb == "v" else b"%!" + encoded(verb) + b"(<nil>)"


def _bad(verb: str, value: Any, spec: _Spec) -> bytes:
    return b"%!" + encoded(verb) + b"(" + type_of(value).encode() + b"=" + _printed("v", value, spec) + b")"


def _list(verb: str, value: List, spec: _Spec, depth: int) -> bytes:
    items = [_printed(verb, item, spec, depth=depth + 1) for item in value]
    if spec.has("V"):
        return type_of(value).encode() + (b"(nil)" if value.is_nil else b"{" + b", ".join(items) + b"}")
    return b"[" + b" ".join(items) + b"]"


def _struct(verb: str, value: Struct, spec: _Spec) -> bytes:
    if verb not in {"s", "v", "q", "x", "X"} or spec.has("V"):
        raise Problem(f"a {value.go_type} has no such form: use %s")
    return _string(verb, value.text().encode(), spec)


def _map(verb: str, value: Map, spec: _Spec, depth: int) -> bytes:
    items = [
        _printed(verb, key, spec, depth=depth + 1) + b":" + _printed(verb, value[key], spec, depth=depth + 1)
        for key in sorted(value)
    ]
    if spec.has("V"):
        return type_of(value).encode() + (b"(nil)" if value.is_nil else b"{" + b", ".join(items) + b"}")
    return b"map[" + b" ".join(items) + b"]"


def _padded(text: bytes, spec: _Spec, *, zero: bool = True) -> bytes:
    width = spec.width or 0
    missing = width - len(decoded(text))
    if missing <= 0:
        return text
    if spec.has("-"):
        return text + b" " * missing
    return (b"0" if zero and spec.has("0") else b" ") * missing + text


def _string(verb: str, value: bytes, spec: _Spec) -> bytes:
    if verb in {"x", "X"}:
        return _hexadecimal(verb, value, spec)
    if verb not in {"s", "v", "q"}:
        return _bad(verb, value, spec)
    # A precision counts runes, unlike every function that cuts text.
    shown = value if spec.precision is None else encoded(decoded(value)[: spec.precision])
    if verb == "q" or spec.has("V"):
        if verb == "q" and spec.has("#") and _can_backquote(shown):
            return _padded(b"`" + shown + b"`", spec)
        shown = quoted(shown, ascii_only=verb == "q" and spec.has("+"))
    return _padded(shown, spec)


def _can_backquote(text: bytes) -> bool:
    plain = decoded(text)
    return not any((c < " " and c != "\t") or c in "`\x7f\ufeff" or "\ud800" <= c <= "\udfff" for c in plain)


def _hexadecimal(verb: str, value: bytes, spec: _Spec) -> bytes:
    shown = value if spec.precision is None else value[: spec.precision]
    prefix = b"0" + verb.encode() if spec.has("#") and shown else b""
    digits = shown.hex().upper() if verb == "X" else shown.hex()
    if spec.has(" "):
        joined = (b" " + prefix).join(digits[at : at + 2].encode() for at in range(0, len(digits), 2))
    else:
        joined = digits.encode()
    return _padded(prefix + joined, spec)


def _integer(verb: str, value: int, spec: _Spec) -> bytes:
    if verb in {"c", "q"}:
        code = value if 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else 0xFFFD
        rune = chr(code).encode()
        return _padded(rune if verb == "c" else quoted(rune, mark="'", ascii_only=spec.has("+")), spec)
    if verb == "U":
        code = int(value) if value >= 0 else int(value) + (1 << 64)
        text = f"U+{code:0{max(4, spec.precision or 0)}X}"
        if spec.has("#") and code <= 0x10FFFF and chr(code).isprintable():
            text += f" '{chr(code)}'"
        return _padded(text.encode(), spec, zero=False)
    base = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(verb)
    return _based(verb, base, value, spec) if base else _bad(verb, value, spec)


def _based(verb: str, base: str, value: int, spec: _Spec) -> bytes:
    sharp = spec.has("#")
    if spec.has("V") and isinstance(value, Uint8):
        base, sharp = "x", True
    signed = value < 0 or spec.has("+") or spec.has(" ")
    digits = format(abs(int(value)), base)
    least = 0
    if spec.precision is not None:
        if spec.precision == 0 and value == 0:
            return b" " * (spec.width or 0)
        least = spec.precision
    elif spec.has("0") and not spec.has("-") and spec.width:
        least = spec.width - int(signed)
    digits = digits.rjust(least, "0")
    if sharp:
        digits = {"b": "0b", "x": "0x", "X": "0X"}.get(base, "") + digits
        if base == "o" and not digits.startswith("0"):
            digits = "0" + digits
    if verb == "O":
        digits = "0o" + digits
    sign = "-" if value < 0 else "+" if spec.has("+") else " " if spec.has(" ") else ""
    return _padded((sign + digits).encode(), spec, zero=False)


def _float(verb: str, value: float, spec: _Spec) -> bytes:
    if verb == "b" or (verb in {"x", "X"} and spec.precision is not None):
        raise Problem("a float64 is not written in this form: use %g")
    if verb in {"x", "X"}:
        return _signed_float(_hexadecimal_float(verb, value), spec, finite=math.isfinite(value))
    if verb not in {"v", "g", "G", "e", "E", "f", "F"}:
        return _bad(verb, value, spec)
    precision = spec.precision
    if precision is None and verb in {"v", "g", "G"}:
        text = float_text(value)
        text = text.upper() if verb == "G" and text[-1].isdigit() else text
    else:
        form = {"v": "g", "F": "f"}.get(verb, verb)
        sharp = "#" if spec.has("#") else ""
        text = format(value, f"{sharp}.{6 if precision is None else precision}{form}")
    finite = text[-1].isdigit() or text[-1] == "."
    if not finite:
        text = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text.lower(), text)
    return _signed_float(text, spec, finite=finite)


def _hexadecimal_float(verb: str, value: float) -> str:
    if not math.isfinite(value):
        return float_text(value)
    mantissa, _, exponent = value.hex().partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    mantissa = mantissa + "0" if mantissa.endswith("x") else mantissa
    text = f"{mantissa}p{exponent[0]}{exponent[1:]:0>2}"
    return text.upper() if verb == "X" else text


def _signed_float(text: str, spec: _Spec, *, finite: bool) -> bytes:
    plus = spec.has("+")
    sign = text[0] if text[0] in "+-" else "+"
    body = text.lstrip("+-")
    if not finite and body == "NaN" and not spec.has(" ") and not plus:
        return _padded(b"NaN", spec, zero=False)
    if sign == "+":
        sign = "+" if plus else " " if spec.has(" ") else ""
    if not finite and body == "Inf" and not sign:
        sign = "+"
    zero = finite and spec.has("0") and not spec.has("-") and spec.width
    if zero and spec.width and spec.width > len(sign) + len(body):
        return (sign + body.rjust(spec.width - len(sign), "0")).encode()
    return _padded((sign + body).encode(), spec, zero=finite)
