"""Cut a template into text and the tokens of its actions, as Go's lexer does.

Grammar: https://pkg.go.dev/text/template (Text and spaces, Actions, Arguments)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from keyless.gotemplate.errors import TemplateError

Kind = Literal[
    "text", "open", "close", "space", "string", "char", "number", "name", "field", "dot", "variable", "mark", "end"
]
_SPACES = " \t\r\n"
# Every alternative is linear; what Go's lexer would refuse is a token too few here and refused below.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<string>"(?:\\[^\n]|[^"\\\n])*"|`[^`]*`)
      | (?P<char>'(?:\\[^\n]|[^'\\\n])*')
      | (?P<variable>\$\w*)
      | (?P<field>\.(?!\d)\w+)
      | (?P<dot>\.(?!\d))
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?
                        |0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?
                        |(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?)i?)
      | (?P<name>[^\W\d]\w*)
      | (?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_WORDS = frozenset({"variable", "field", "name", "dot"})


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
        shown = shown.rstrip(_SPACES) if trims else shown
        if shown:
            yield Token("text", shown, line)
        line += text.count("\n")
        if start < 0:
            yield Token("end", "", line)
            return
        begin = start + len(left) + (2 if trims else 0)
        end = _comment_end(name, source, begin, right, line)
        if end is None:
            yield Token("open", left, line)
            lexer = _Action(name, source, begin, right, line)
            yield from lexer.found()
            end = lexer.position
            yield Token("close", right, line + source.count("\n", begin, end))
        trim_next = end >= 2 and source[end - 1] == "-" and source[end - 2] in _SPACES and end - 2 >= begin
        line += source.count("\n", begin, end)
        position = end + len(right)


def _trims_left(source: str, at: int) -> bool:
    return source.startswith("-", at) and at + 1 < len(source) and source[at + 1] in _SPACES


def _comment_end(name: str, source: str, begin: int, right: str, line: int) -> int | None:
    """Return where the closing delimiter of a comment stands; None when this is no comment."""
    if not source.startswith("/*", begin):
        return None
    end = source.find("*/", begin + 2)
    if end < 0:
        raise TemplateError(name, line, "unclosed comment")
    end += 2
    if end < len(source) and source[end] in _SPACES and source.startswith("-" + right, end + 1):
        return end + 2
    if not source.startswith(right, end):
        raise TemplateError(name, line, "a comment must fill its action")
    return end


class _Action:
    """The inside of one action; afterwards ``position`` is where its closing delimiter stands."""

    def __init__(self, name: str, source: str, position: int, right: str, line: int) -> None:
        self.position = position
        self._name, self._source, self._right, self._line = name, source, right, line
        self._depth = 0

    def _fault(self, problem: str) -> TemplateError:
        return TemplateError(self._name, self._line, problem)

    def _closes(self) -> int | None:
        """Return how far the closing delimiter is away when it is next, a trim marker before it included."""
        source, at = self._source, self.position
        if at < len(source) and source[at] in _SPACES and source.startswith("-" + self._right, at + 1):
            return 2
        return 0 if source.startswith(self._right, at) else None

    def found(self) -> Iterator[Token]:
        source = self._source
        while True:
            ahead = self._closes()
            if ahead is not None:
                if self._depth:
                    raise self._fault("unclosed parenthesis")
                self.position += ahead
                return
            match = _TOKEN.match(source, self.position)
            if match is None:
                near = source[self.position : self.position + 1]
                raise self._fault(f"unexpected {near!r} in action" if near else "unclosed action")
            yield self._token(match)

    def _token(self, match: re.Match[str]) -> Token:
        kind, text = match.lastgroup, match.group()
        if kind == "space" and self._source.startswith("-" + self._right, match.end()) and len(text) > 1:
            text = text[:-1]  # a trim marker needs the last of the spaces before it
        self.position += len(text)
        token = Token(kind, text, self._line)  # type: ignore[arg-type]  # the groups are the kinds
        self._line += text.count("\n")
        if kind in _WORDS:
            self._must_end(text)
        elif kind == "number":
            after = self._source[self.position : self.position + 1]
            if after and (after.isalnum() or after in "_+-"):
                raise self._fault("bad number")
        elif text == "(":
            self._depth += 1
        elif text == ")":
            self._depth -= 1
            if self._depth < 0:
                raise self._fault("unexpected right parenthesis")
        return token

    def _must_end(self, text: str) -> None:
        """Refuse what goes on after a name: .a-b is no field."""
        after = self._source[self.position : self.position + 1]
        if after and after not in " \t\r\n.,|:)(" and not self._source.startswith(self._right, self.position):
            raise self._fault(f"unexpected {after!r} after {text!r}")
