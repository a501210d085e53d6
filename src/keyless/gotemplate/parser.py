"""Read a template into its tree: recursive descent over the lexer's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from keyless.gotemplate.errors import TemplateError
from keyless.gotemplate.lexer import Token, number, tokens, unquoted
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
    Operand,
    Pipeline,
    Text,
    Variable,
)

MAX_NESTING = 100
_BRANCHES = frozenset({"if", "with", "range"})
_CONSTANTS = {"true": True, "false": False, "nil": None}


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed template: its own nodes, and those of the templates it defines."""

    name: str
    nodes: tuple[Node, ...]
    defined: dict[str, tuple[Node, ...]]


def parse_tree(name: str, source: str, left: str, right: str) -> Tree:
    """Parse ``source``; raises ``TemplateError``."""
    parser = _Parser(name, list(tokens(name, source, left, right)))
    nodes, ended = parser.nodes(())
    if ended:
        raise parser.fault(f"unexpected {{{{{ended}}}}}")
    return Tree(name, nodes, parser.defined)


class _Parser:
    def __init__(self, name: str, found: Sequence[Token]) -> None:
        self.name = name
        self.defined: dict[str, tuple[Node, ...]] = {}
        self._tokens = found
        self._at = 0
        self._depth = 0
        self._loops = 0

    # tokens

    def fault(self, problem: str) -> TemplateError:
        line = self._tokens[min(self._at, len(self._tokens) - 1)].line
        return TemplateError(self.name, line, problem)

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> Token:
        token = self._peek()
        if token is None:
            raise self.fault("unexpected end of the template")
        self._at += 1
        return token

    def _skip_space(self) -> Token:
        while (token := self._peek()) and token.kind == "space":
            self._at += 1
        if token is None:
            raise self.fault("unexpected end of the template")
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

    def nodes(self, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], str]:
        """Read nodes up to one of the ``ends``, which is returned (empty at the end of the text)."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.fault(f"nested deeper than {MAX_NESTING}")
        found: list[Node] = []
        while (token := self._peek()) is not None:
            self._at += 1
            if token.kind == "text":
                if token.text:
                    found.append(Text(token.line, token.text))
                continue
            keyword = self._skip_space()
            if keyword.kind == "name" and keyword.text in {"end", "else"}:
                if keyword.text not in ends:
                    raise self.fault(f"unexpected {{{{{keyword.text}}}}}")
                self._at += 1
                self._depth -= 1
                return tuple(found), keyword.text
            node = self._action(keyword)
            if node is not None:
                found.append(node)
        if ends:
            raise self.fault(f"no {{{{end}}}} for an opened action; expected one of {', '.join(ends)}")
        self._depth -= 1
        return tuple(found), ""

    def _action(self, keyword: Token) -> Node | None:
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
            return self._named(keyword.line, word)
        pipeline = self._pipeline()
        self._expect_close("action")
        return Action(keyword.line, pipeline)

    def _branch(self, line: int, kind: Literal["if", "with", "range"]) -> Branch:
        pipeline = self._pipeline(declares_two=kind == "range")
        self._expect_close(kind)
        self._loops += kind == "range"
        body, ended = self.nodes(("end", "else"))
        self._loops -= kind == "range"
        otherwise: tuple[Node, ...] = ()
        if ended == "else":
            again = self._accept("name", "if") or self._accept("name", "with")
            if again:
                if kind == "range" or again.text != kind:
                    raise self.fault(f"{{{{else {again.text}}}}} does not go with {{{{{kind}}}}}")
                return Branch(line, kind, pipeline, body, (self._branch(again.line, kind),))
            self._expect_close("else")
            otherwise, _ = self.nodes(("end",))
        self._expect_close("end")
        return Branch(line, kind, pipeline, body, otherwise)

    def _named(self, line: int, word: str) -> Node | None:
        token = self._accept("string")
        if token is None:
            raise self.fault(f"{{{{{word}}}}} needs a quoted name")
        name = unquoted(self.name, token)
        pipeline = None
        if word != "define" and self._skip_space().kind != "close":
            pipeline = self._pipeline()
        self._expect_close(word)
        if word == "template":
            return Call(line, name, pipeline)
        loops, self._loops = self._loops, 0
        body, _ = self.nodes(("end",))
        self._loops = loops
        self._expect_close("end")
        self.defined[name] = body
        return None if word == "define" else Call(line, name, pipeline)

    # pipelines

    def _pipeline(self, *, declares_two: bool = False) -> Pipeline:
        line = self._skip_space().line
        variables, assigns = self._declaration(declares_two)
        commands = [self._command()]
        while self._accept("mark", "|"):
            commands.append(self._command())
        for command in commands[1:]:
            if not isinstance(command.operands[0], Function | Chain | Variable):
                raise self.fault("only a function can stand after |")
        return Pipeline(line, tuple(commands), variables, assigns)

    def _declaration(self, declares_two: bool) -> tuple[tuple[str, ...], bool]:
        start = self._at
        names: list[str] = []
        while token := self._accept("variable"):
            names.append(token.text)
            if sign := self._accept("mark", ":=") or self._accept("mark", "="):
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
            if after and after.kind not in {"space", "close"} and not (after.kind == "mark" and after.text in "|)"):
                raise self.fault(f"unexpected {after.text!r} after an operand")
        if not operands:
            raise self.fault("missing value for command")
        return Command(line, tuple(operands))

    def _operand(self) -> Operand:
        token = self._next()
        operand = self._term(token)
        fields: list[str] = [token.text[1:]] if token.kind == "field" else []
        while (following := self._peek()) and following.kind == "field":
            self._at += 1
            fields.append(following.text[1:])
        if not fields:
            return operand
        if isinstance(operand, Constant):
            raise self.fault("a constant has no fields")
        return Chain(token.line, operand, tuple(fields))

    def _term(self, token: Token) -> Operand:
        line = token.line
        if token.kind in {"field", "dot"}:
            return Dot(line)
        if token.kind == "variable":
            return Variable(line, token.text)
        if token.kind == "string":
            return Constant(line, unquoted(self.name, token))
        if token.kind == "char":
            return Constant(line, ord(unquoted(self.name, token)))
        if token.kind == "number":
            return Constant(line, number(self.name, token))
        if token.kind == "name":
            return Constant(line, _CONSTANTS[token.text]) if token.text in _CONSTANTS else Function(line, token.text)
        if token.text == "(":
            return self._parenthesised()
        raise self.fault(f"unexpected {token.text!r}")

    def _parenthesised(self) -> Pipeline:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.fault(f"nested deeper than {MAX_NESTING}")
        inner = self._pipeline()
        if not self._accept("mark", ")"):
            raise self.fault("unclosed parenthesis")
        self._depth -= 1
        return inner
