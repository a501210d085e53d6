"""One operator on one key: quantifiers, IfExists, missing and multi-valued keys.

Facts: facts/identity.md#conditions.

key absent          positive false · negated true · IfExists true · ForAllValues true · ForAnyValue always false
key multi-valued    without a quantifier always false, for Allow and for Deny, even with one value and IfExists
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from keyless.policy.arns import NoArnPattern
from keyless.policy.context import Context
from keyless.policy.globs import Match, Parts, has_variables, literal, read
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
    def of(
        cls, operator: Operator, key: str, expected: tuple[str, ...], *, variables: bool, deny: bool = False
    ) -> Condition:
        """Compile ``expected`` once; ``variables``: the document's version knows them; ``deny``: whose it is."""
        variables = variables and operator.base.startswith(_WITH_VARIABLES)
        parts = _parts(operator, expected, variables=variables)
        check = _check(operator, key.lower(), parts)
        if operator.base.startswith("Arn"):
            check = _with_errors(check, deny=deny)
        return cls(operator, key, expected, variables, key.lower(), check)

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
    if any(has_variables(parts) for parts in expected):
        meets = _meets_varying(how, expected)
        return _of_a_set(how, key, meets) if how.quantifier else _of_one(how, key, meets)
    fits = _fits_one(how, expected)
    if how.base == "Null":
        return lambda context: fits("true" if context[key] is None else "false")
    if how.quantifier:
        return _of_a_set(how, key, _meets(how, fits))
    if how.readable:
        return _of_one(how, key, _meets(how, fits))
    negated, absent = how.negated, how.negated or how.if_exists

    def check(context: Context) -> bool:
        value = context[key]
        if isinstance(value, str):
            return fits(value) is not negated
        return absent if value is None else False

    return check


def _with_errors(check: Check, *, deny: bool) -> Check:
    """What is expected and is no ARN is an error: an Allow does not apply then, a Deny does."""

    def checked(context: Context) -> bool:
        try:
            return check(context)
        except NoArnPattern:
            return deny

    return checked


def _fits_one(how: Operator, expected: Sequence[Parts]) -> Match:
    """Whether a value fits one of the expected ones, asked in their order; they do not depend on the request."""
    if how.base in ("StringEquals", "StringNotEquals"):
        return frozenset(literal(parts) for parts in expected).__contains__
    tests = [how.compile(parts) for parts in expected]
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _meets(how: Operator, fits: Match) -> Meets:
    """Whether one value meets the condition."""
    readable, negated = how.readable, how.negated

    def meets(value: str, _: Context) -> bool:
        if readable and not readable(value):
            return False
        return fits(value) is not negated

    return meets


def _meets_varying(how: Operator, expected: Sequence[Parts]) -> Meets:
    """The same where variables need the request. An expected value that does not resolve is met by nothing."""
    readable, negated = how.readable, how.negated
    fits = how.bound(expected)

    def meets(value: str, context: Context) -> bool:
        if readable and not readable(value):
            return False
        return fits(value, context) is not negated

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
