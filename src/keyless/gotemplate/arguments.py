"""Whether a value may be a function's argument: Go's types are strict, an int64 is no int and a number no text."""

from __future__ import annotations

from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.nodes import Constant, Number
from keyless.gotemplate.times import Time
from keyless.gotemplate.values import Map, type_of

_NAMES = {"s": "string", "i": "int", "f": "float64", "b": "bool", "m": "map[string]interface {}", "t": "time.Time"}
_TYPES: dict[str, type] = {"s": bytes, "i": int, "f": float, "b": bool, "m": Map, "t": Time}


def check_count(function: Function, count: int) -> None:
    """Raise ``Problem`` unless ``function`` takes ``count`` arguments."""
    fixed = len(function.fixed)
    if count < fixed or (count > fixed and not function.rest):
        most = "at least " if function.rest else ""
        raise Problem(f"takes {most}{fixed} argument{'' if fixed == 1 else 's'}, found {count}")


def expected(function: Function, position: int) -> str:
    """Return the letter of the type that an argument must have."""
    return function.fixed[position] if position < len(function.fixed) else function.rest


def literal(operand: Constant | Number, letter: str, position: int) -> Any:
    """Return a literal as a parameter's type: 1 is a float64 where one is asked for, 1.0 an int."""
    if isinstance(operand, Constant):
        if operand.value is None and letter not in {"a", "m"}:
            raise _wrong(None, letter, position)
        return checked(operand.value, letter, position)
    if letter == "i" and operand.whole is not None:
        return operand.whole
    if letter == "f":
        return operand.real
    if letter == "a" and operand.value is not None:
        return operand.value
    if letter == "a":
        raise Problem(f"argument {position + 1} overflows int")
    raise _wrong(operand.value, letter, position)


def checked(value: Any, letter: str, position: int) -> Any:
    """Return ``value`` when it has the type; raises ``Problem``."""
    if letter == "a" or type(value) is _TYPES[letter]:
        return value
    if value is None and letter == "m":
        return Map(is_nil=True)
    raise _wrong(value, letter, position)


def _wrong(value: Any, letter: str, position: int) -> Problem:
    found, wanted = type_of(value), _NAMES[letter]
    hint = "; convert it with int" if (wanted, found) == ("int", "int64") else ""
    return Problem(f"argument {position + 1}: needs a {wanted}, found {found}{hint}")
