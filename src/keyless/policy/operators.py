"""The condition operators: how one actual value meets one expected value.

Quantifiers, IfExists and missing keys are :mod:`keyless.policy.conditions`' business. A number, date or binary value
that cannot be read, on either side, and a variable that does not resolve, match nothing: positive operators are then
false and negated ones true. With addresses and ARNs it is the other way: an actual value that is none makes the
negated operators false too (facts/identity.md#values).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt
from typing import Any, Literal

from keyless.policy import readers
from keyless.policy.arns import arn_bound, arn_matcher, is_arn
from keyless.policy.globs import Match, Parts, literal, matcher
from keyless.policy.variables import Bound, bound, bound_but_for_case

Compile = Callable[[Parts], Match]
"""An expected value, read and without variables, to a test of actual values."""
Quantifier = Literal["", "ForAllValues", "ForAnyValue"]
_QUANTIFIERS: tuple[Quantifier, Quantifier] = ("ForAllValues", "ForAnyValue")


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator taken apart; ``name`` as written, ``wildcards``: whether ``*`` and ``?`` mean anything.

    ``bound`` compiles expected values that have variables; ``readable``: the actual values that the operator is asked
    about at all, the others meet it never, negated or not.
    """

    name: str
    base: str
    quantifier: Quantifier
    if_exists: bool
    negated: bool
    wildcards: bool
    compile: Compile
    bound: Callable[[Sequence[Parts]], Bound] = field(repr=False, compare=False)
    readable: Match | None = field(default=None, repr=False, compare=False)


def operator(name: str) -> Operator | None:
    """The operator of that name, or ``None``. Names count with their case."""
    rest = name
    quantifier: Quantifier = ""
    for prefix in _QUANTIFIERS:
        if name.startswith(f"{prefix}:"):
            quantifier, rest = prefix, name[len(prefix) + 1 :]
    base = rest.removesuffix("IfExists")
    known = _TABLE.get(base)
    if known is None or (base == "Null" and base != rest):
        return None
    compile_, negated = known
    return Operator(
        name,
        base,
        quantifier,
        base != rest,
        negated,
        wildcards=compile_ in _PATTERNS,
        compile=compile_,
        bound=_BOUND.get(compile_, bound),
        readable=_READABLE.get(base),
    )


def _text(parts: Parts) -> str:
    return literal(parts) or ""


def _equal(parts: Parts) -> Match:
    return _text(parts).__eq__


def _equal_but_for_case(parts: Parts) -> Match:
    wanted = _text(parts).lower()
    return lambda actual: actual.lower() == wanted


def _typed(
    reader: Callable[[str], Any], holds: Callable[[Any, Any], bool], *, actual: Callable[[str], Any] | None = None
) -> Compile:
    """An operator on read values: ``holds(actual, expected)``, both as ``reader`` reads them unless told otherwise."""
    read_actual = actual or reader

    def compile_(parts: Parts) -> Match:
        wanted = reader(_text(parts))
        if wanted is None:
            return lambda _: False

        def test(value: str) -> bool:
            found = read_actual(value)
            return found is not None and holds(found, wanted)

        return test

    return compile_


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "LessThan": lt,
    "LessThanEquals": le,
    "GreaterThan": gt,
    "GreaterThanEquals": ge,
}


def _ordered(kind: str, reader: Callable[[str], object]) -> dict[str, tuple[Compile, bool]]:
    equal = _typed(reader, eq)
    orders = {f"{kind}{name}": (_typed(reader, holds), False) for name, holds in _ORDERS.items()}
    return {f"{kind}Equals": (equal, False), f"{kind}NotEquals": (equal, True), **orders}


_INSIDE = _typed(readers.network, readers.Network.lies_in, actual=readers.address)
_SAME_TRUTH = _typed(readers.truth, eq)
_PATTERNS: tuple[Compile, ...] = (matcher, arn_matcher)
_BOUND: dict[Compile, Callable[[Sequence[Parts]], Bound]] = {
    _equal: bound,
    _equal_but_for_case: bound_but_for_case,
    matcher: bound,
    arn_matcher: arn_bound,
}
_READABLE: dict[str, Match] = {
    "NotIpAddress": lambda text: readers.address(text) is not None,
    **dict.fromkeys(("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"), is_arn),
}

_TABLE: dict[str, tuple[Compile, bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_but_for_case, False),
    "StringNotEqualsIgnoreCase": (_equal_but_for_case, True),
    "StringLike": (matcher, False),
    "StringNotLike": (matcher, True),
    **_ordered("Numeric", readers.number),
    **_ordered("Date", readers.moment),
    "Bool": (_SAME_TRUTH, False),
    "BinaryEquals": (_typed(readers.binary, eq), False),
    "IpAddress": (_INSIDE, False),
    "NotIpAddress": (_INSIDE, True),
    "ArnEquals": (arn_matcher, False),
    "ArnLike": (arn_matcher, False),
    "ArnNotEquals": (arn_matcher, True),
    "ArnNotLike": (arn_matcher, True),
    "Null": (_SAME_TRUTH, False),
}
