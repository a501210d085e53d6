"""The syntax tree of a template. Values only; every node knows its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text, trimmed."""

    line: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Constant:
    """A string (bytes), boolean or nil written in the template."""

    line: int
    value: Any


@dataclass(frozen=True, slots=True)
class Number:
    """A number written in the template: what it is by itself, and as the int or float64 that a parameter asks for.

    None is what it cannot be.
    """

    line: int
    value: int | float | None
    whole: int | None
    real: float


@dataclass(frozen=True, slots=True)
class Dot:
    """The cursor."""

    line: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; ``$`` is the data the template was given."""

    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function's name."""

    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """``operand.field.field``; a bare ``.field`` has ``Dot`` as operand."""

    line: int
    operand: Operand
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """Operands beside one another: the first may be a function, the rest are its arguments."""

    line: int
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by ``|``; may declare (``:=``) or assign (``=``) variables."""

    line: int
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False


Operand = Constant | Number | Dot | Variable | Function | Chain | Pipeline


@dataclass(frozen=True, slots=True)
class Action:
    """Print a pipeline's value, unless it only sets variables."""

    line: int
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """``if``, ``with`` or ``range``."""

    line: int
    kind: Literal["if", "with", "range"]
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """``template "name" pipeline``; a ``block`` is a definition and a call."""

    line: int
    name: bytes
    pipeline: Pipeline | None


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    line: int
    kind: Literal["break", "continue"]


Node = Text | Action | Branch | Call | Jump
