"""One operator on one key: quantifiers, IfExists, missing and multi-valued keys (identity.md rules 8–11).

key absent          positive false · negated true · IfExists true · ForAllValues true · ForAnyValue false
key multi-valued    without a quantifier always false, for Allow and for Deny, even with one value and IfExists
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keyless.policy.context import Context
from keyless.policy.globs import Lookup
from keyless.policy.model import ConditionTrace
from keyless.policy.operators import Operator, Test

_BY_MEMBERSHIP = ("StringEquals", "StringNotEquals")


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled ``"Operator": {"key": expected}``; ``key`` as written."""

    operator: Operator
    key: str
    expected: tuple[str, ...]
    lowered: str = field(repr=False)
    tests: tuple[Test, ...] = field(repr=False, compare=False)
    plain: frozenset[str] | None = field(repr=False)
    """The expected values, where a single value need only be one of them: the condition that most policies have."""

    @classmethod
    def of(cls, operator: Operator, key: str, expected: tuple[str, ...], *, variables: bool) -> Condition:
        """Compile ``expected`` once."""
        tests = tuple(operator.compile(value, variables) for value in expected)
        fixed = operator.base in _BY_MEMBERSHIP and not (variables and any("${" in value for value in expected))
        return cls(operator, key, expected, key.lower(), tests, frozenset(expected) if fixed else None)

    def holds(self, context: Context) -> bool:
        """Whether the condition is met."""
        value, how = context.get(self.lowered), self.operator
        if self.plain is not None and isinstance(value, str):
            return (value in self.plain) is not how.negated
        if how.base == "Null":
            absent = "true" if value is None else "false"
            return self._matches_one(absent, context.single)
        if value is None:
            return how.if_exists or how.quantifier == "ForAllValues" or (how.negated and not how.quantifier)
        if not how.quantifier:
            return isinstance(value, str) and self._meets(value, context.single)
        values = (value,) if isinstance(value, str) else value
        every = all if how.quantifier == "ForAllValues" else any
        return every(self._meets(one, context.single) for one in values)

    def trace(self, context: Context) -> ConditionTrace:
        """The result with everything that led to it."""
        actual = context.get(self.lowered)
        return ConditionTrace(self.operator.name, self.key, self.expected, actual, self.holds(context))

    def _meets(self, value: str, lookup: Lookup) -> bool:
        return self._matches_one(value, lookup) is not self.operator.negated

    def _matches_one(self, value: str, lookup: Lookup) -> bool:
        for test in self.tests:  # noqa: SIM110 - a loop is faster than any(…), and every condition comes through here
            if test(value, lookup):
                return True
        return False
