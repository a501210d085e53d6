"""What the literals of a template mean: Go's strings, characters and numbers.

Rules: https://go.dev/ref/spec#String_literals, https://pkg.go.dev/strconv (Unquote, ParseInt with base 0)
"""

from __future__ import annotations

import re

from keyless.gotemplate.casting import parse_float, parse_int
from keyless.gotemplate.errors import TemplateError
from keyless.gotemplate.lexer import Token
from keyless.gotemplate.nodes import Number
from keyless.gotemplate.values import encoded

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_PIECE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)|[^\\]+", re.DOTALL)
_MOST = 1 << 63


def unquoted(name: str, token: Token) -> bytes:
    """Return what a string literal means."""
    if token.text.startswith("`"):
        return encoded(token.text[1:-1].replace("\r", ""))
    return b"".join(_piece(name, token, match, '"') for match in _PIECE.finditer(token.text[1:-1]))


def _piece(name: str, token: Token, match: re.Match[str], mark: str) -> bytes:
    body = match[1]
    if body is None:
        return encoded(match.group())
    if body in _ESCAPES:
        return _ESCAPES[body].encode()
    if body == mark:
        return mark.encode()
    # \xff and \377 are one byte, whether or not it is text; \u is a rune.
    if body[0] == "x" and len(body) == 3:
        return bytes([int(body[1:], 16)])
    if body[0] in "01234567" and len(body) == 3 and int(body, 8) < 256:
        return bytes([int(body, 8)])
    if body[0] in "uU" and len(body) > 1:
        code = int(body[1:], 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code).encode()
    raise TemplateError(name, token.line, f"unknown escape \\{body} in a literal")


def character(name: str, token: Token) -> Number:
    """Return the number that a character literal is."""
    inner = token.text[1:-1]
    match = _PIECE.fullmatch(inner)
    if match is None or (match[1] is None and len(inner) != 1):
        raise TemplateError(name, token.line, "a character literal is one character")
    if match[1] is not None and (match[1][0] == "x" or match[1][0] in "01234567") and len(match[1]) == 3:
        code = _piece(name, token, match, "'")[0]
    else:
        code = ord(_piece(name, token, match, "'").decode("utf-8", "surrogateescape"))
        code = 0xFFFD if 0xDC80 <= code <= 0xDCFF else code
    return Number(token.line, code, code, float(code))


def number(name: str, token: Token) -> Number:
    """Return what a number literal means where a type is asked for, and where none is."""
    text = token.text.encode()
    if text.endswith(b"i"):
        raise TemplateError(name, token.line, f"complex numbers are not implemented: {token.text}")
    whole, is_whole = parse_int(text)
    if is_whole:
        is_float = not token.text.lower().startswith("0x") and set(token.text) & set(".eEpP")
        return Number(token.line, float(whole) if is_float else whole, whole, float(whole))
    if whole and not token.text.startswith("-") and _fits_unsigned(token.text):
        return Number(token.line, None, None, float(_fits_unsigned(token.text) or 0))
    real = parse_float(text)
    if real is None or not set(token.text) & set(".eEpP"):
        raise TemplateError(name, token.line, f"bad number {token.text}")
    return Number(token.line, real, int(real) if real.is_integer() and abs(real) < _MOST else None, real)


def _fits_unsigned(text: str) -> int | None:
    try:
        found = int(text.lstrip("+").replace("_", ""), 0)
    except ValueError:
        return None
    return found if found < 1 << 64 else None
