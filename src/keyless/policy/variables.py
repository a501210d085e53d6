"""Patterns with policy variables, compiled once: a request only brings the values.

Facts: facts/identity.md#variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Generic, TypeVar

from keyless.policy.globs import Match, Part, Parts, Values, Variable, Wild, in_order, matcher, runs_of

Bound = Callable[[str, Values], bool]
"""Whether a text fits, with the variables' values from the request; one that does not resolve fits nothing."""
T = TypeVar("T")

# The sessions of one role differ by their tags; more that take turns than this, and each asks the slower way.
_MOST_KEPT = 16


def resolve(parts: Parts, values: Values) -> Parts | None:
    """Put values in for variables; ``None`` when one has neither a single value nor a usable default."""
    resolved: list[Part] = []
    for part in parts:
        if isinstance(part, Variable):
            value = _value(part, values)
            if value is None:
                return None
            resolved.append(value)
        else:
            resolved.append(part)
    return tuple(resolved)


def keys_of(patterns: Iterable[Parts]) -> tuple[str, ...]:
    """The keys that the variables ask for, each once."""
    return tuple(dict.fromkeys(part.key for parts in patterns for part in parts if isinstance(part, Variable)))


def bound(parts: Parts) -> Bound:
    """Compile ``parts``; nothing of it is compiled again when a request comes, but for patterns with ``?``."""
    if Wild.ONE in parts:
        return by_resolving(parts, matcher)
    runs = runs_of(parts)
    first = runs[0]
    head = str(first[0]) if first and isinstance(first[0], str) else ""
    rest = first[1:] if head else first
    one = _one_variable(rest)
    ends_open = len(runs) == 2 and not runs[1]
    if one and (ends_open or len(runs) == 1):
        return _after_a_text(head, *one, open_=ends_open)
    return _any_shape(head, runs)


def by_resolving(parts: Parts, compile_: Callable[[Parts], Match]) -> Bound:
    """Compile anew for each request: for the shapes that nothing quicker is known for."""

    def test(text: str, values: Values) -> bool:
        resolved = resolve(parts, values)
        return resolved is not None and compile_(resolved)(text)

    return test


def _value(variable: Variable, values: Values) -> str | None:
    """A key with several values never resolves, not even to its default."""
    value = values[variable.key]
    if value is None:
        return variable.default
    return value if isinstance(value, str) else None


def _one_variable(parts: Sequence[Part]) -> tuple[Variable, str] | None:
    """A variable and the text behind it, where that is all."""
    if not parts or not isinstance(parts[0], Variable) or not all(isinstance(part, str) for part in parts[1:]):
        return None
    return parts[0], "".join(map(str, parts[1:]))


def _after_a_text(head: str, variable: Variable, tail: str, *, open_: bool) -> Bound:
    """What nearly all policies have: a text, a variable, a text, and perhaps a star."""
    key, default, start = variable.key, variable.default, len(head)

    def test(text: str, values: Values) -> bool:
        if not text.startswith(head):  # before anything is looked up: most of many statements end here
            return False
        value = values[key]
        if value.__class__ is not str:
            if value is not None or default is None:
                return False
            value = default
        wanted = f"{value}{tail}"
        return text.startswith(wanted, start) if open_ else len(text) == start + len(wanted) and text.endswith(wanted)

    return test


def _any_shape(head: str, runs: list[list[Part]]) -> Bound:
    def test(text: str, values: Values) -> bool:
        if not text.startswith(head):
            return False
        texts = []
        for run in runs:
            pieces = []
            for part in run:
                piece = _value(part, values) if isinstance(part, Variable) else part
                if piece is None:
                    return False
                pieces.append(piece)
            texts.append("".join(map(str, pieces)))
        return text == texts[0] if len(texts) == 1 else in_order(texts, text)

    return test


class Memo(Generic[T]):
    """What patterns become for the values of one request, kept for the next request with the same values.

    It is the second such request that has it made: who never asks twice does not pay for it. What is kept changes no
    answer.
    """

    __slots__ = ("_kept", "_make", "_values")

    def __init__(self, keys: tuple[str, ...], make: Callable[[Values], T]) -> None:
        self._values = itemgetter(*keys)
        self._make = make
        self._kept: dict[object, T | None] = {}

    def of(self, values: Values) -> T | None:
        """Made for these values, or ``None``: the first time they are seen."""
        asked = self._values(values)
        found = self._kept.get(asked)
        if found is not None:
            return found
        if asked in self._kept:
            found = self._kept[asked] = self._make(values)
            return found
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[asked] = None
        return None
