"""The condition operators: how one actual value meets one expected value.

Quantifiers, IfExists and missing keys are :mod:`keyless.policy.conditions`' business. A value that cannot be read, on
either side, and a variable that does not resolve, match nothing: positive operators are then false and negated ones
true (identity.md rules 12–14).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from keyless.policy import readers
from keyless.policy.arns import compile_arn
from keyless.policy.globs import Lookup, has_variables, literal, matcher, read, resolve

Test = Callable[[str, Lookup], bool]
Compile = Callable[[str, bool], Test]
"""An expected value, and whether variables count (Version 2012-10-17), to a test of actual values."""
Quantifier = Literal["", "ForAllValues", "ForAnyValue"]
_QUANTIFIERS: tuple[Quantifier, Quantifier] = ("ForAllValues", "ForAnyValue")


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator taken apart; ``name`` as written."""

    name: str
    base: str
    quantifier: Quantifier
    if_exists: bool
    negated: bool
    compile: Compile


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
    return Operator(name, base, quantifier, base != rest, negated, compile_)


def _string(change: Callable[[str], str]) -> Compile:
    def compile_(expected: str, variables: bool) -> Test:
        parts = read(expected, wildcards=False, variables=variables)
        fixed = literal(parts)
        if fixed is not None:
            wanted = change(fixed)
            return lambda actual, _: change(actual) == wanted

        def test(actual: str, lookup: Lookup) -> bool:
            resolved = resolve(parts, lookup)
            return resolved is not None and change(actual) == change(literal(resolved) or "")

        return test

    return compile_


def _like(expected: str, variables: bool) -> Test:
    parts = read(expected, wildcards=True, variables=variables)
    if not has_variables(parts):
        match = matcher(parts)
        return lambda actual, _: match(actual)

    def test(actual: str, lookup: Lookup) -> bool:
        resolved = resolve(parts, lookup)
        return resolved is not None and matcher(resolved)(actual)

    return test


def _arn(expected: str, variables: bool) -> Test:
    pattern = compile_arn(expected, variables=variables)
    return pattern.matches if pattern else lambda _actual, _lookup: False


def _typed(reader: Callable[[str], object], holds: Callable[[Any, Any], bool]) -> Compile:
    """An operator on read values: ``holds(actual, expected)``, both as ``reader`` reads them."""

    def compile_(expected: str, variables: bool) -> Test:
        parts = read(expected, wildcards=False, variables=variables)
        fixed = literal(parts)
        constant = None if fixed is None else reader(fixed)

        def test(actual: str, lookup: Lookup) -> bool:
            wanted = constant
            if fixed is None:
                resolved = resolve(parts, lookup)
                wanted = None if resolved is None else reader(literal(resolved) or "")
            found = reader(actual)
            return wanted is not None and found is not None and holds(found, wanted)

        return test

    return compile_


def _same(text: str) -> str:
    return text


def _equal(actual: object, expected: object) -> bool:
    return actual == expected


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "LessThan": lambda actual, expected: actual < expected,
    "LessThanEquals": lambda actual, expected: actual <= expected,
    "GreaterThan": lambda actual, expected: actual > expected,
    "GreaterThanEquals": lambda actual, expected: actual >= expected,
}


def _ordered(kind: str, reader: Callable[[str], object]) -> dict[str, tuple[Compile, bool]]:
    equal = _typed(reader, _equal)
    orders = {f"{kind}{name}": (_typed(reader, holds), False) for name, holds in _ORDERS.items()}
    return {f"{kind}Equals": (equal, False), f"{kind}NotEquals": (equal, True), **orders}


_INSIDE = _typed(readers.network, lambda actual, expected: expected.holds(actual))

_TABLE: dict[str, tuple[Compile, bool]] = {
    "StringEquals": (_string(_same), False),
    "StringNotEquals": (_string(_same), True),
    "StringEqualsIgnoreCase": (_string(str.lower), False),
    "StringNotEqualsIgnoreCase": (_string(str.lower), True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    **_ordered("Numeric", readers.number),
    **_ordered("Date", readers.moment),
    "Bool": (_typed(readers.truth, _equal), False),
    "BinaryEquals": (_typed(readers.binary, _equal), False),
    "IpAddress": (_INSIDE, False),
    "NotIpAddress": (_INSIDE, True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "Null": (_string(str.lower), False),
}
