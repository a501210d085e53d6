"""One operator on one key: quantifiers, IfExists, missing and multi-valued keys (identity.md rules 8–11).

key absent          positive false · negated true · IfExists true · ForAllValues true · ForAnyValue always false
key multi-valued    without a quantifier always false, for Allow and for Deny, even with one value and IfExists
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from keyless.policy.context import Context
from keyless.policy.globs import Match, Parts, has_variables, literal, read, resolve
from keyless.policy.model import ConditionTrace
from keyless.policy.operators import Operator

# Elsewhere (numbers, dates, Bool, addresses, binary values, Null) ``${…}`` is text, says AWS's page on variables.
_WITH_VARIABLES = ("String", "Arn")
Check = Callable[[Context], bool]
Meets = Callable[[str, Context], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled ``"Operator": {"key": expected}``; ``key`` as written, ``holds`` tells whether it is met."""

    operator: Operator
    key: str
    expected: tuple[str, ...]
    variables: bool = field(repr=False)
    lowered: str = field(repr=False)
    holds: Check = field(repr=False, compare=False)

    @classmethod
    def of(cls, operator: Operator, key: str, expected: tuple[str, ...], *, variables: bool) -> Condition:
        """Compile ``expected`` once; ``variables``: the document's version knows them."""
        variables = variables and operator.base.startswith(_WITH_VARIABLES)
        parts = _parts(operator, expected, variables=variables)
        return cls(operator, key, expected, variables, key.lower(), _check(operator, key.lower(), parts))

    @property
    def parts(self) -> list[Parts]:
        """The expected values, read. Again when an analysis asks: a decision needs them compiled only."""
        return _parts(self.operator, self.expected, variables=self.variables)

    def trace(self, context: Context) -> ConditionTrace:
        """The result with everything that led to it."""
        return ConditionTrace(self.operator.name, self.key, self.expected, context[self.lowered], self.holds(context))


def _parts(how: Operator, expected: Sequence[str], *, variables: bool) -> list[Parts]:
    return [read(value, wildcards=how.wildcards, variables=variables) for value in expected]


def _check(how: Operator, key: str, expected: Sequence[Parts]) -> Check:
    """The whole condition as one function; the shapes that most policies have get the shortest."""
    fits = _fits_one(how, [parts for parts in expected if not has_variables(parts)])
    varying = [parts for parts in expected if has_variables(parts)]
    meets = _meets(how, fits, varying)
    if how.base == "Null":
        return lambda context: meets("true" if context[key] is None else "false", context)
    if how.quantifier:
        return _of_a_set(how, key, meets)
    if varying:
        return _of_one(how, key, meets)
    negated, absent = how.negated, how.negated or how.if_exists

    def check(context: Context) -> bool:
        value = context[key]
        if isinstance(value, str):
            return fits(value) is not negated
        return absent if value is None else False

    return check


def _fits_one(how: Operator, expected: list[Parts]) -> Match:
    """Whether a value fits one of the expected ones that do not depend on the request."""
    if how.base in ("StringEquals", "StringNotEquals"):
        return frozenset(literal(parts) for parts in expected).__contains__
    tests = [how.compile(parts) for parts in expected]
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _meets(how: Operator, fits: Match, varying: list[Parts]) -> Meets:
    """Whether one value meets the condition. An expected value that does not resolve is met by nothing (rule 14)."""

    def meets(value: str, context: Context) -> bool:
        if fits(value):
            return not how.negated
        for parts in varying:
            resolved = resolve(parts, context.single)
            if resolved is not None and how.compile(resolved)(value):
                return not how.negated
        return how.negated

    return meets


def _of_one(how: Operator, key: str, meets: Meets) -> Check:
    def check(context: Context) -> bool:
        value = context[key]
        if value is None:
            return how.negated or how.if_exists
        return isinstance(value, str) and meets(value, context)

    return check


def _of_a_set(how: Operator, key: str, meets: Meets) -> Check:
    every = all if how.quantifier == "ForAllValues" else any
    absent = how.quantifier == "ForAllValues"  # IfExists is asked of each value, and there is none

    def check(context: Context) -> bool:
        value = context[key]
        if value is None:
            return absent
        return every(meets(one, context) for one in ((value,) if isinstance(value, str) else value))

    return check
