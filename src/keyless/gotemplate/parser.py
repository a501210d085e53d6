"""Read a template into its tree: recursive descent over the lexer's tokens, in the order of Go's parser.

Functions and variables are known before anything runs, as in Go.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from keyless.gotemplate.errors import TemplateError
from keyless.gotemplate.functions.absent import ABSENT
from keyless.gotemplate.lexer import Token, tokens
from keyless.gotemplate.literals import character, number, unquoted
from keyless.gotemplate.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Command,
    Constant,
    Dot,
    Function,
    Jump,
    Node,
    Number,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from keyless.gotemplate.values import decoded, encoded

MAX_NESTING = 150
MAX_LENGTH = 1 << 18
"""A template of 256 KiB takes a second to read; longer ones are refused."""
_BRANCHES = frozenset({"if", "with", "range"})
_KEYWORDS = _BRANCHES | {"end", "else", "define", "block", "template", "break", "continue", "nil"}
_CONSTANTS = {"true": True, "false": False, "nil": None}


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed template: its own nodes, and those of the templates it defines."""

    name: str
    nodes: tuple[Node, ...]
    defined: dict[bytes, tuple[Node, ...]]


def parse_tree(name: str, source: str, left: str, right: str, functions: Container[str]) -> Tree:
    """Parse ``source``; raises ``TemplateError``."""
    if len(source) > MAX_LENGTH:
        raise TemplateError(name, 1, f"the template is longer than {MAX_LENGTH} characters")
    parser = _Parser(name, list(tokens(name, source, left, right)), functions)
    try:
        nodes, _ = parser.nodes((), top=True)
    except RecursionError:
        raise parser.fault("nested too deeply") from None
    defined = parser.defined
    own = encoded(name)
    if not _is_empty(nodes):
        if not _is_empty(defined.get(own, ())):
            raise parser.fault(f"multiple definition of template {name!r}")
        defined[own] = nodes
    else:
        defined.setdefault(own, nodes)
    return Tree(name, defined[own], defined)


def _is_empty(nodes: Sequence[Node]) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)


class _Parser:
    def __init__(self, name: str, found: Sequence[Token], functions: Container[str]) -> None:
        self.name = name
        self.defined: dict[bytes, tuple[Node, ...]] = {}
        self._tokens = found
        self._functions = functions
        self._at = 0
        self._depth = 0
        self._loops = 0
        self._variables = ["$"]

    # tokens

    def fault(self, problem: str) -> TemplateError:
        """Return an error at the current line."""
        return TemplateError(self.name, self._tokens[min(self._at, len(self._tokens) - 1)].line, problem)

    def _peek(self) -> Token:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _skip_space(self) -> Token:
        while (token := self._peek()).kind == "space":
            self._at += 1
        return token

    def _accept(self, kind: str, text: str = "") -> Token | None:
        token = self._skip_space()
        if token.kind == kind and (not text or token.text == text):
            self._at += 1
            return token
        return None

    def _expect_close(self, after: str) -> None:
        if not self._accept("close"):
            raise self.fault(f"unexpected {self._skip_space().text!r} in {after}")

    # nodes

    def nodes(self, ends: tuple[str, ...], *, top: bool = False) -> tuple[tuple[Node, ...], str]:
        """Read nodes up to one of the ``ends``, which is returned (empty at the end of the text)."""
        self._deeper()
        found: list[Node] = []
        while (token := self._peek()).kind != "end":
            self._at += 1
            if token.kind == "text":
                found.append(Text(token.line, encoded(token.text)))
                continue
            keyword = self._skip_space()
            if keyword.kind == "name" and keyword.text in {"end", "else"}:
                if keyword.text not in ends:
                    raise self.fault(f"unexpected {{{{{keyword.text}}}}}")
                self._at += 1
                self._depth -= 1
                return tuple(found), keyword.text
            node = self._action(keyword, top=top)
            if node is not None:
                found.append(node)
        if ends:
            raise self.fault(f"no {{{{end}}}} for an opened action; expected one of {', '.join(ends)}")
        self._depth -= 1
        return tuple(found), ""

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.fault(f"nested deeper than {MAX_NESTING}")

    def _action(self, keyword: Token, *, top: bool) -> Node | None:
        word = keyword.text if keyword.kind == "name" else ""
        if word in _BRANCHES:
            self._at += 1
            return self._branch(keyword.line, cast('Literal["if", "with", "range"]', word))
        if word in {"break", "continue"}:
            self._at += 1
            self._expect_close(word)
            if not self._loops:
                raise self.fault(f"{{{{{word}}}}} outside {{{{range}}}}")
            return Jump(keyword.line, cast('Literal["break", "continue"]', word))
        if word in {"define", "block", "template"}:
            self._at += 1
            if word == "define" and not top:
                raise self.fault("{{define}} inside another action")
            return self._named(keyword.line, word)
        pipeline = self._pipeline()
        self._expect_close("action")
        return Action(keyword.line, pipeline)

    def _branch(self, line: int, kind: Literal["if", "with", "range"]) -> Branch:
        known = len(self._variables)
        self._deeper()
        pipeline = self._pipeline(declares_two=kind == "range")
        self._expect_close(kind)
        self._loops += kind == "range"
        body, ended = self.nodes(("end", "else"))
        self._loops -= kind == "range"
        otherwise = self._otherwise(kind) if ended == "else" else ()
        if ended == "end":
            self._expect_close("end")
        self._depth -= 1
        del self._variables[known:]
        return Branch(line, kind, pipeline, body, otherwise)

    def _otherwise(self, kind: Literal["if", "with", "range"]) -> tuple[Node, ...]:
        again = self._accept("name", "if") or self._accept("name", "with")
        if again:
            if kind == "range" or again.text != kind:
                raise self.fault(f"{{{{else {again.text}}}}} does not go with {{{{{kind}}}}}")
            return (self._branch(again.line, kind),)
        self._expect_close("else")
        otherwise, _ = self.nodes(("end",))
        self._expect_close("end")
        return otherwise

    def _named(self, line: int, word: str) -> Node | None:
        token = self._accept("string")
        if token is None:
            raise self.fault(f"{{{{{word}}}}} needs a quoted name")
        name = unquoted(self.name, token)
        pipeline = None
        if word == "block" or (word == "template" and self._skip_space().kind != "close"):
            pipeline = self._pipeline()
        self._expect_close(word)
        if word == "template":
            return Call(line, name, pipeline)
        # A definition knows neither the loops nor the variables around it.
        loops, self._loops = self._loops, 0
        variables, self._variables = self._variables, ["$"]
        body, _ = self.nodes(("end",))
        self._loops, self._variables = loops, variables
        self._expect_close("end")
        self._define(name, body)
        return None if word == "define" else Call(line, name, pipeline)

    def _define(self, name: bytes, body: tuple[Node, ...]) -> None:
        if _is_empty(self.defined.get(name, ())):
            self.defined[name] = body
        elif not _is_empty(body):
            raise self.fault(f"multiple definition of template {decoded(name)!r}")

    # pipelines

    def _pipeline(self, *, declares_two: bool = False) -> Pipeline:
        line = self._skip_space().line
        variables, assigns = self._declaration(declares_two)
        commands = [self._command()]
        while self._accept("mark", "|"):
            commands.append(self._command())
        for command in commands[1:]:
            if isinstance(command.operands[0], Constant | Number | Dot):
                raise self.fault("only a function can stand after |")
        return Pipeline(line, tuple(commands), variables, assigns)

    def _declaration(self, declares_two: bool) -> tuple[tuple[str, ...], bool]:
        start = self._at
        names: list[str] = []
        while token := self._accept("variable"):
            names.append(token.text)
            if sign := self._accept("mark", ":=") or self._accept("mark", "="):
                # Go knows the name from here on, also where it is assigned: a wrong one is found when it runs.
                self._variables += names
                return tuple(names), sign.text == "="
            if not (declares_two and len(names) == 1 and self._accept("mark", ",")):
                break
        self._at = start
        return (), False

    def _command(self) -> Command:
        line = self._skip_space().line
        operands: list[Operand] = []
        while True:
            token = self._skip_space()
            if token.kind == "close" or (token.kind == "mark" and token.text in "|)"):
                break
            operands.append(self._operand())
            after = self._peek()
            if after.kind not in {"space", "close"} and not (after.kind == "mark" and after.text in "|)"):
                raise self.fault(f"unexpected {after.text!r} after an operand")
        if not operands:
            raise self.fault("missing value for command")
        return Command(line, tuple(operands))

    def _operand(self) -> Operand:
        token = self._next()
        operand = self._term(token)
        fields: list[str] = [token.text[1:]] if token.kind == "field" else []
        while (following := self._peek()).kind == "field":
            self._at += 1
            fields.append(following.text[1:])
        if not fields:
            return operand
        if isinstance(operand, Constant | Number) or token.kind == "dot":
            raise self.fault("a constant has no fields")
        return Chain(token.line, operand, tuple(fields))

    def _term(self, token: Token) -> Operand:
        line = token.line
        if token.kind in {"field", "dot"}:
            return Dot(line)
        if token.kind == "variable":
            if token.text not in self._variables:
                raise self.fault(f"undefined variable {token.text!r}")
            return Variable(line, token.text)
        if token.kind == "string":
            return Constant(line, unquoted(self.name, token))
        if token.kind == "char":
            return character(self.name, token)
        if token.kind == "number":
            return number(self.name, token)
        if token.kind == "name":
            return self._word(token)
        if token.text == "(":
            return self._parenthesised()
        raise self.fault(f"unexpected {token.text!r}")

    def _word(self, token: Token) -> Operand:
        if token.text in _CONSTANTS:
            return Constant(token.line, _CONSTANTS[token.text])
        if token.text in _KEYWORDS:
            raise self.fault(f"unexpected {token.text!r}")
        if token.text in ABSENT:
            raise self.fault(f"function {token.text!r} is not available: {ABSENT[token.text]}")
        if token.text not in self._functions:
            raise self.fault(f"function {token.text!r} is not defined{_near(token.text, self._functions)}")
        return Function(token.line, token.text)

    def _parenthesised(self) -> Pipeline:
        self._deeper()
        inner = self._pipeline()
        if not self._accept("mark", ")"):
            raise self.fault("unclosed parenthesis")
        self._depth -= 1
        return inner


def _near(name: str, known: Container[str]) -> str:
    """Name the function that the author may have meant: names of functions are ours."""
    folded = name.replace("_", "").lower()
    close = sorted(other for other in cast("Sequence[str]", known) if other.lower() == folded)
    return f"; did you mean {close[0]!r}?" if close else ""
