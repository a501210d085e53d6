"""Cut a template into text and the tokens of its actions.

Grammar: https://pkg.go.dev/text/template (Text and spaces, Actions, Arguments) and Go's string and number literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from keyless.gotemplate.errors import TemplateError

Kind = Literal["text", "open", "close", "space", "string", "char", "number", "name", "field", "dot", "variable", "mark"]
_SPACES = " \t\r\n"
# RE2-like on purpose: every alternative is linear.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"(?:\\[^\n]|[^"\\\n])*"|`[^`]*`)
      | (?P<char>'(?:\\[^\n]+?|[^'\\\n])')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
                        |(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?))
      | (?P<variable>\$\w*)
      | (?P<field>\.[^\W\d]\w*)
      | (?P<dot>\.)
      | (?P<name>[^\W\d]\w*)
      | (?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """One piece; ``text`` is as written, but for text between actions, which is trimmed."""

    kind: Kind
    text: str
    line: int


def tokens(name: str, source: str, left: str = "{{", right: str = "}}") -> Iterator[Token]:
    """Yield the tokens of ``source``; raises ``TemplateError``."""
    position, line, trim_next = 0, 1, False
    while True:
        start = source.find(left, position)
        text = source[position:] if start < 0 else source[position:start]
        trims = start >= 0 and _trims_left(source, start + len(left))
        shown = text.lstrip(_SPACES) if trim_next else text
        yield Token("text", shown.rstrip(_SPACES) if trims else shown, line)
        if start < 0:
            return
        line += text.count("\n")
        position = start + len(left) + (2 if trims else 0)
        end = _comment_end(name, source, position, right, line)
        if end is None:
            yield Token("open", left, line)
            end, inside = _action_end(name, source, position, right, line)
            yield from inside
            yield Token("close", right, line + source.count("\n", position, end))
        trim_next = end >= 2 and source[end - 1] == "-" and source[end - 2] in _SPACES and source.startswith(right, end)
        line += source.count("\n", position, end)
        position = end + len(right)


def _trims_left(source: str, at: int) -> bool:
    return source.startswith("-", at) and source[at + 1 : at + 2] in _SPACES and at + 1 < len(source)


def _comment_end(name: str, source: str, position: int, right: str, line: int) -> int | None:
    """Return where the closing delimiter of a comment stands; None when this is no comment."""
    begin = position
    if not source.startswith("/*", begin):
        return None
    end = source.find("*/", begin)
    if end < 0:
        raise TemplateError(name, line, "unclosed comment")
    end += 2
    if source[end : end + 2] in {" -", "\t-", "\n-"}:
        end += 2
    if not source.startswith(right, end):
        raise TemplateError(name, line, "a comment must fill its action")
    return end


def _action_end(name: str, source: str, position: int, right: str, line: int) -> tuple[int, list[Token]]:
    found: list[Token] = []
    while True:
        if source.startswith(right, position):
            return position, found
        if source[position : position + 1] in _SPACES and source.startswith("-" + right, position + 1):
            return position + 2, found
        match = _TOKEN.match(source, position)
        if match is None:
            near = source[position : position + 1]
            raise TemplateError(name, line, f"unexpected {near!r} in action" if near else "unclosed action")
        kind, text = match.lastgroup, match.group()
        if kind == "space":
            stripped = _space_before_trim(source, match.end(), right)
            text = text[: len(text) - stripped]
        if text:
            found.append(Token(kind, text, line))  # type: ignore[arg-type]  # the groups are the kinds
        position += len(text)
        line += text.count("\n")


def _space_before_trim(source: str, end: int, right: str) -> int:
    """A trim marker needs the last of the spaces before it."""
    return 1 if source.startswith("-" + right, end) else 0


def unquoted(name: str, token: Token) -> str:
    """Return what a string literal means."""
    if token.text.startswith("`"):
        return token.text[1:-1].replace("\r", "")

    def escape(match: re.Match[str]) -> str:
        body = match.group(1)
        if body[0] in "xuU" and len(body) > 1:
            return chr(int(body[1:], 16))
        if body[0] in "01234567" and len(body) == 3:
            return chr(int(body, 8))
        if body in _ESCAPES:
            return _ESCAPES[body]
        raise TemplateError(name, token.line, f"unknown escape \\{body} in a string")

    return _ESCAPE.sub(escape, token.text[1:-1])


def number(name: str, token: Token) -> int | float:
    """Return what a number literal means."""
    text = token.text.replace("_", "")
    try:
        if re.fullmatch(r"[+-]?\d+", text):
            sign = text.lstrip("+-")
            octal = len(sign) > 1 and sign[0] == "0" and set(sign) <= set("01234567")
            return int(text, 8) if octal else int(text)
        if re.match(r"[+-]?0[xXoObB]", text):
            return int(text, 0)
        return float(text)
    except ValueError:
        raise TemplateError(name, token.line, f"bad number {token.text}") from None
