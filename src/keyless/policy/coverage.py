"""Whether one policy allows all that another does, without a request.

This proves; it does not search. A True is certain; a False means that no statement was found that visibly covers a
part of the other policy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from keyless.policy.arns import ArnPattern
from keyless.policy.conditions import Condition
from keyless.policy.globs import Parts, Wild, covers, may_meet
from keyless.policy.principals import PrincipalSet
from keyless.policy.readers import truth
from keyless.policy.statements import Actions, Document, Resources, Statement

# Beyond this many combinations of a document's values nothing is cut further: the bound on time and memory.
_MOST_ATOMS = 5_000
_STRINGS = ("StringEquals", "StringLike", "StringNotEquals", "StringNotLike")
_ANYTHING: Parts = (Wild.ANY,)


def admits_all(a: Document, b: Document) -> bool:
    """True when it is proven that ``a`` allows every request that ``b`` allows; False means not proven.

    Each Allow of ``b`` must be covered by an Allow of ``a``, as a whole or cut into atoms (one action, resource,
    principal and condition value each); each Deny of ``a`` by a Deny of ``b``.
    """
    if a.version != b.version:
        return False  # the same ${…} is a variable in one and a text in the other
    return _all_covered(_of(b, deny=False), _of(a, deny=False)) and _all_covered(_of(a, deny=True), _of(b, deny=True))


def _of(document: Document, *, deny: bool) -> list[Statement]:
    return [statement for statement in document.statements if statement.deny is deny]


def _all_covered(narrow: Sequence[Statement], wide: Sequence[Statement]) -> bool:
    most = _MOST_ATOMS // max(len(narrow), 1)
    return all(_is_covered(statement, wide) or _is_covered_in_parts(statement, wide, most) for statement in narrow)


def _is_covered(narrow: Statement, wide: Sequence[Statement]) -> bool:
    return any(_covers(statement, narrow) for statement in wide)


def _is_covered_in_parts(narrow: Statement, wide: Sequence[Statement], most: int) -> bool:
    """The statement as a union of smaller ones, each of them covered; not tried where they are too many."""
    actions = _each_action(narrow.actions)
    resources = _each_resource(narrow.resources)
    principals = _each_principal(narrow.principals)
    conditions = [_each_value(condition) for condition in narrow.conditions]
    count = len(actions) * len(resources) * len(principals) * math.prod(len(values) for values in conditions)
    if count > most:
        return False
    return all(
        _is_covered(replace(narrow, actions=a, resources=r, principals=p, conditions=chosen), wide)
        for a, r, p in itertools.product(actions, resources, principals)
        for chosen in itertools.product(*conditions)
    )


def _each_action(actions: Actions) -> list[Actions]:
    if actions.negated:
        return [actions]
    return [Actions.of((name,), negated=False) for name in actions.names]


def _each_resource(resources: Resources | None) -> list[Resources | None]:
    if resources is None or resources.negated:
        return [resources]
    return [Resources((pattern,), negated=False) for pattern in resources.patterns]


def _each_principal(principals: PrincipalSet | None) -> list[PrincipalSet | None]:
    if principals is None or principals.negated:
        return [principals]
    none = PrincipalSet(trust=principals.trust)
    single = [replace(none, everyone=True)] if principals.everyone else []
    single += [replace(none, accounts=frozenset({entry})) for entry in sorted(principals.accounts)]
    single += [replace(none, aws=frozenset({entry})) for entry in sorted(principals.aws)]
    single += [replace(none, services=frozenset({entry})) for entry in sorted(principals.services)]
    single += [replace(none, federated=frozenset({entry})) for entry in sorted(principals.federated)]
    single += [replace(none, canonical=frozenset({entry})) for entry in sorted(principals.canonical)]
    return [*single]


def _each_value(condition: Condition) -> list[Condition]:
    """A positive condition without quantifier on several values is a union over them.

    One without values is not the empty union: with IfExists it holds where the key is absent.
    """
    how = condition.operator
    if how.negated or how.quantifier or how.base == "Null" or not condition.expected:
        return [condition]
    return [replace(condition, expected=(value,)) for value in condition.expected]


def _covers(wide: Statement, narrow: Statement) -> bool:
    """Cheapest first: conditions mostly fail by their key."""
    return (
        _covers_principals(wide.principals, narrow.principals, deny=wide.deny)
        and all(any(_implies(given, wanted) for given in narrow.conditions) for wanted in wide.conditions)
        and _covers_resources(wide.resources, narrow.resources)
        and _covers_actions(wide.actions, narrow.actions)
    )


def _covers_actions(wide: Actions, narrow: Actions) -> bool:
    if wide.negated and narrow.negated:  # what the wide one leaves out, the narrow one must leave out
        return all(any(covers(out, part) for out in narrow.parts) for part in wide.parts)
    if wide.negated:
        return not any(may_meet(out, part) for out in wide.parts for part in narrow.parts)
    if narrow.negated:
        return any(covers(part, _ANYTHING) for part in wide.parts)
    return all(any(covers(pattern, part) for pattern in wide.parts) for part in narrow.parts)


def _covers_resources(wide: Resources | None, narrow: Resources | None) -> bool:
    if wide is None or narrow is None:
        return wide is narrow
    if wide.negated and narrow.negated:
        return all(any(out.covers(pattern) for out in narrow.patterns) for pattern in wide.patterns)
    if wide.negated:
        return not any(_arns_may_meet(out, pattern) for out in wide.patterns for pattern in narrow.patterns)
    if narrow.negated:
        return any(pattern.text == "*" for pattern in wide.patterns)
    return all(any(pattern.covers(other) for pattern in wide.patterns) for other in narrow.patterns)


def _arns_may_meet(a: ArnPattern, b: ArnPattern) -> bool:
    pairs = zip(a.segments, b.segments, strict=False)  # a bare "*" has none, and meets everything
    return all(may_meet(one, other) for one, other in pairs)


def _covers_principals(wide: PrincipalSet | None, narrow: PrincipalSet | None, *, deny: bool) -> bool:
    if wide is None or narrow is None or wide == narrow:
        return wide == narrow
    if wide.negated or narrow.negated:
        return False
    if deny and wide.everyone:
        return True
    if narrow.everyone and not wide.everyone:
        return False
    return (
        # "*" grants more than an account's entry, but less than the entry of one user or session (rule 3).
        (wide.everyone or narrow.accounts <= wide.accounts)
        and narrow.aws <= wide.aws
        and narrow.services <= wide.services
        and narrow.federated <= wide.federated
        and narrow.canonical <= wide.canonical
    )


def _implies(given: Condition, wanted: Condition) -> bool:
    """Whether a request that meets ``given`` meets ``wanted``."""
    if given.lowered != wanted.lowered:
        return False
    own, asked = given.operator, wanted.operator
    if own == asked and _same_values(given, wanted):
        return True
    is_there = not (own.negated or own.if_exists or own.quantifier or own.base == "Null")
    if asked.base == "Null":
        return is_there and not all(truth(value) for value in wanted.expected)
    if own.base not in _STRINGS or asked.base not in _STRINGS:
        return False
    if own.negated:
        same = asked.negated and own.quantifier == asked.quantifier and own.if_exists == asked.if_exists
        return same and _each_covered(wanted.parts, by=given.parts)
    # A key that is there with one value is a set of one: quantifiers and IfExists change nothing.
    comparable = is_there or (own.quantifier == asked.quantifier and own.if_exists == asked.if_exists)
    if asked.negated:
        return comparable and not any(may_meet(out, value) for out in wanted.parts for value in given.parts)
    return comparable and _each_covered(given.parts, by=wanted.parts)


def _same_values(a: Condition, b: Condition) -> bool:
    """The order of ARNs counts: what fits before one that is none is met, what comes after it is not."""
    if a.operator.base.startswith("Arn"):
        return a.expected == b.expected
    return set(a.expected) == set(b.expected)


def _each_covered(parts: Sequence[Parts], *, by: Sequence[Parts]) -> bool:
    return all(any(covers(wide, narrow) for wide in by) for narrow in parts)
