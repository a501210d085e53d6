"""A value that a path found, and the text a Secret gets of it. Pure.

Strings are unescaped; integers stay as written; other numbers take the shortest form without an exponent; objects and
lists keep the payload's bytes. Rules: https://pkg.go.dev/github.com/tidwall/gjson#Result.String
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from keyless.gotemplate import fixed_text
from keyless.shared_secrets.sync.gjson.scanning import literal_end, number_end, string_end

Kind = Literal["null", "false", "true", "number", "string", "json"]
_INTEGER = re.compile(rb"-?[0-9]*")
_DECIMAL = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:e[+-]?[0-9][0-9_]*)?", re.IGNORECASE)
_HEX = re.compile(r"[+-]?0x(?=[0-9a-f._]*[0-9a-f])[0-9a-f_]*\.?[0-9a-f_]*p[+-]?[0-9]+", re.IGNORECASE)
_INFINITY = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SIMPLE = {b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_REPLACEMENT = "\ufffd".encode()
NUMBER_STARTS = b"+-0123456789iIN"


@dataclass(frozen=True, slots=True)
class Found:
    """A value: ``raw`` is its text in the payload, ``content`` a string's bytes, ``number`` a number's value."""

    kind: Kind = "null"
    raw: bytes = b""
    content: bytes = b""
    number: float = 0.0

    @property
    def exists(self) -> bool:
        """Return whether there is a value, be it null."""
        return self.kind != "null" or bool(self.raw)

    def text(self) -> bytes:
        """Return what a Secret gets."""
        if self.kind == "number":
            return self.raw if self.raw and _INTEGER.fullmatch(self.raw) else fixed_text(self.number).encode()
        return {"string": self.content, "json": self.raw, "true": b"true", "false": b"false"}.get(self.kind, b"")


def string_found(raw: bytes) -> Found:
    """Return a string with its quotes, unescaped."""
    content = raw[1:-1]
    return Found("string", raw, unescaped(content) if b"\\" in content else content)


def number_found(raw: bytes) -> Found:
    """Return a number, or what stands where one would."""
    return Found("number", raw, number=number_of(raw))


def literal_found(raw: bytes) -> Found:
    """Return true, false or null by the first letter."""
    first = raw[:1]
    return Found("true" if first == b"t" else "false" if first == b"f" else "null", raw)


def atom_at(text: bytes, at: int) -> tuple[Found, int] | None:
    """Return the string, number or word that begins at ``at`` and where it ends; None for an open string."""
    first = text[at : at + 1]
    if first == b'"':
        end = string_end(text, at + 1)
        return (string_found(text[at:end]), end) if end else None
    if first in NUMBER_STARTS or (first == b"n" and text[at + 1 : at + 2] not in {b"u", b""}):
        end = number_end(text, at)
        return number_found(text[at:end]), end
    end = literal_end(text, at)
    return literal_found(text[at:end]), end


def parsed(text: bytes) -> Found:
    """Return the whole text as one value; what follows an object or list stays with it."""
    at = next((n for n, byte in enumerate(text) if byte > 0x20), len(text))
    first = text[at : at + 1]
    if first and first in b"{[":
        return Found("json", text[at:])
    if first == b'"' and string_end(text, at + 1) is None:
        return Found("string", text[at:], unescaped(text[at + 1 :]))
    if not first or first not in b'"ntf' + NUMBER_STARTS:
        return Found()
    atom = atom_at(text, at)
    return atom[0] if atom else Found()


def number_of(raw: bytes) -> float:
    """Return what Go's ParseFloat makes of it, which is 0 for what is no number."""
    text = raw.decode("latin-1")
    if _DECIMAL.fullmatch(text) and _underscores_separate_digits(text):
        return float(text.replace("_", ""))
    if _HEX.fullmatch(text) and _underscores_separate_digits(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except OverflowError:
            return -math.inf if text.startswith("-") else math.inf
    if _INFINITY.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if text.lower() == "nan" else 0.0


def _underscores_separate_digits(text: str) -> bool:
    # Go takes 1_000, but neither 1__0 nor 1_.
    return not re.search(r"(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])", text)


def unescaped(content: bytes) -> bytes:
    """Undo JSON's escapes; a lone surrogate becomes U+FFFD, an escape that JSON does not know stays as written.

    gjson ends the value at a raw line break or at an unknown escape, which loses the rest of it: not here.
    """
    out: list[bytes] = []
    at, high = 0, 0
    for match in _ESCAPED.finditer(content):
        if match.start() > at or not match[1].startswith(b"u") or len(match[1]) == 1:
            high = _flushed(out, high)
            out.append(content[at : match.start()])
        at = match.end()
        code = match[1]
        if len(code) == 1:
            out.append(_SIMPLE.get(code, match[0]))
            continue
        unit = int(code[1:], 16)
        if high and 0xDC00 <= unit < 0xE000:
            out.append(chr(0x10000 + ((high - 0xD800) << 10) + unit - 0xDC00).encode())
            high = 0
            continue
        high = _flushed(out, high)
        if 0xD800 <= unit < 0xDC00:
            high = unit
        else:
            out.append(_REPLACEMENT if 0xDC00 <= unit < 0xE000 else chr(unit).encode())
    _flushed(out, high)
    out.append(content[at:])
    return b"".join(out)


def _flushed(out: list[bytes], high: int) -> int:
    if high:
        out.append(_REPLACEMENT)
    return 0
