"""What policies admit, without a request: who may assume a role by web identity, and whether one covers another.

``admits_all`` proves; it does not search. A True is certain; a False means that no statement of ``a`` was found that
visibly covers a part of ``b``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from keyless.policy.conditions import Condition
from keyless.policy.globs import Parts, covers, read
from keyless.policy.principals import PrincipalSet
from keyless.policy.statements import Actions, Document, Resources, Statement

_WEB_IDENTITY = "sts:assumerolewithwebidentity"
_EQUALS = ("StringEquals", "ForAnyValue:StringEquals")
_LIKE = ("StringLike", "ForAnyValue:StringLike")
# Beyond this many combinations of one statement's values nothing is proven: the bound on time and memory.
_MOST_ATOMS = 20_000


@dataclass(frozen=True, slots=True)
class Admission:
    """One way into a role by web identity.

    ``provider``: the OIDC provider's ARN. ``subjects`` and ``audiences``: patterns (``*`` and ``?`` are wildcards only
    where ``subjects_are_patterns``); empty means any. ``further``: other conditions, as "operator key values".
    """

    provider: str
    subjects: tuple[str, ...]
    subjects_are_patterns: bool
    audiences: tuple[str, ...]
    statement: str
    further: tuple[str, ...] = ()


def admitted(trust: Document) -> tuple[Admission, ...]:
    """The ways into a role by AssumeRoleWithWebIdentity, one per Allow statement and provider."""
    return tuple(
        _admission(statement, provider)
        for statement in trust.statements
        if not statement.deny and statement.principals and statement.actions.match(_WEB_IDENTITY)
        for provider in sorted(statement.principals.federated)
    )


def _admission(statement: Statement, provider: str) -> Admission:
    host = provider.partition(":oidc-provider/")[2] or provider
    subjects = _first(statement, f"{host}:sub")
    audiences = _first(statement, f"{host}:aud")
    rest = [c for c in statement.conditions if c not in (subjects, audiences)]
    return Admission(
        provider=provider,
        subjects=subjects.expected if subjects else (),
        subjects_are_patterns=bool(subjects and subjects.operator.name in _LIKE),
        audiences=audiences.expected if audiences else (),
        statement=statement.sid or f"statement {statement.index}",
        further=tuple(f"{c.operator.name} {c.key} {', '.join(c.expected)}" for c in rest),
    )


def _first(statement: Statement, key: str) -> Condition | None:
    """The positive string condition on ``key``, which reads as a list of what is admitted."""
    fitting = (c for c in statement.conditions if c.lowered == key.lower() and c.operator.name in (*_EQUALS, *_LIKE))
    return next(fitting, None)


def admits_all(a: Document, b: Document) -> bool:
    """True when it is proven that ``a`` allows every request that ``b`` allows; False means not proven.

    Each Allow of ``b`` is cut into atoms (one action, resource, principal and condition value each), and each atom
    must be covered by one Allow of ``a``; each Deny of ``a`` must be covered by a Deny of ``b``.
    """
    if a.version != b.version:
        return False  # the same ${…} is a variable in one and a text in the other
    allows = [s for s in a.statements if not s.deny]
    denies = [s for s in b.statements if s.deny]
    return all(
        any(_covers(wide, atom) for wide in allows) for s in b.statements if not s.deny for atom in _atoms(s)
    ) and all(any(_covers(wide, atom) for wide in denies) for s in a.statements if s.deny for atom in _atoms(s))


def _atoms(statement: Statement) -> Iterator[Statement]:
    """The statement as a union of smaller ones; itself where cutting would be wrong or too much."""
    actions = _each_action(statement.actions)
    resources = _each_resource(statement.resources)
    principals = _each_principal(statement.principals)
    conditions = [_each_value(condition) for condition in statement.conditions]
    count = len(actions) * len(resources) * len(principals)
    for values in conditions:
        count *= len(values)
    if count > _MOST_ATOMS:
        yield statement
        return
    for action, resource, principal in itertools.product(actions, resources, principals):
        for chosen in itertools.product(*conditions):
            yield replace(statement, actions=action, resources=resource, principals=principal, conditions=chosen)


def _each_action(actions: Actions) -> list[Actions]:
    if actions.negated:
        return [actions]
    return [replace(actions, exact=frozenset(), patterns=(), parts=(part,)) for part in actions.parts]


def _each_resource(resources: Resources | None) -> list[Resources | None]:
    if resources is None or resources.negated:
        return [resources]
    return [Resources((pattern,), negated=False) for pattern in resources.patterns]


def _each_principal(principals: PrincipalSet | None) -> list[PrincipalSet | None]:
    if principals is None or principals.negated:
        return [principals]
    single = [PrincipalSet(everyone=True)] if principals.everyone else []
    single += [PrincipalSet(accounts=frozenset({entry})) for entry in sorted(principals.accounts)]
    single += [PrincipalSet(aws=frozenset({entry})) for entry in sorted(principals.aws)]
    single += [PrincipalSet(services=frozenset({entry})) for entry in sorted(principals.services)]
    single += [PrincipalSet(federated=frozenset({entry})) for entry in sorted(principals.federated)]
    single += [PrincipalSet(canonical=frozenset({entry})) for entry in sorted(principals.canonical)]
    return [*single]


def _each_value(condition: Condition) -> list[Condition]:
    """A positive condition without quantifier on several values is a union over them."""
    if condition.operator.negated or condition.operator.quantifier or condition.operator.base == "Null":
        return [condition]
    return [replace(condition, expected=(value,)) for value in condition.expected]


def _covers(wide: Statement, atom: Statement) -> bool:
    return (
        _covers_actions(wide, atom)
        and _covers_resources(wide.resources, atom.resources)
        and _covers_principals(wide.principals, atom.principals)
        and all(any(_implies(given, wanted) for given in atom.conditions) for wanted in wide.conditions)
    )


def _covers_actions(wide: Statement, atom: Statement) -> bool:
    if wide.actions.negated or atom.actions.negated:
        return wide.actions == atom.actions or (not wide.actions.negated and _is_star(wide.actions.parts))
    return all(any(covers(pattern, narrow) for pattern in wide.actions.parts) for narrow in atom.actions.parts)


def _is_star(parts: tuple[Parts, ...]) -> bool:
    return any(covers(pattern, read("*", wildcards=True, variables=False)) for pattern in parts)


def _covers_resources(wide: Resources | None, narrow: Resources | None) -> bool:
    if wide is None or wide == narrow:
        return True
    if narrow is None or wide.negated or narrow.negated:
        return False
    return all(any(pattern.covers(other) for pattern in wide.patterns) for other in narrow.patterns)


def _covers_principals(wide: PrincipalSet | None, narrow: PrincipalSet | None) -> bool:
    if wide is None or wide == narrow:
        return True
    if narrow is None or wide.negated or narrow.negated:
        return False
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
    """Whether a request that meets ``given`` meets ``wanted``: the same test, or a list or pattern that is wider."""
    if given.lowered != wanted.lowered:
        return False
    if given.operator == wanted.operator and set(given.expected) == set(wanted.expected):
        return True
    names = (given.operator.name, wanted.operator.name)
    if names[0] not in ("StringEquals", "StringLike") or names[1] not in (*_EQUALS, *_LIKE):
        return False
    return all(any(_value_covers(w, g, names) for w in wanted.expected) for g in given.expected)


def _value_covers(wanted: str, given: str, names: tuple[str, str]) -> bool:
    wide = read(wanted, wildcards=names[1] in _LIKE, variables=True)
    narrow = read(given, wildcards=names[0] in _LIKE, variables=True)
    return covers(wide, narrow)
