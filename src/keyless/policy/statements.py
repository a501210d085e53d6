"""Compiled statements and documents: what :func:`keyless.policy.parse` makes and :func:`evaluate` asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from keyless.policy.arns import ArnPattern, resources_bound
from keyless.policy.conditions import Condition
from keyless.policy.context import Context
from keyless.policy.globs import Match, Parts, Values, anything, matcher, read
from keyless.policy.model import Kind, Layer, Request, StatementTrace
from keyless.policy.principals import Grant, PrincipalSet
from keyless.policy.variables import Bound, without_values

# Plans that a document keeps: a role is asked for a few actions, and whoever asks for all of them must not fill memory.
_MOST_PLANS = 128
# As names of this module: looking a member up in its class costs as much as half a statement.
_NONE, _DIRECT = Grant.NONE, Grant.DIRECT


@dataclass(slots=True, eq=False)
class Facts:
    """A request made ready for matching; ``action`` in lower case, ``bounded``: the caller has a permissions boundary.

    ``unread`` becomes true when a document was met that could not be read.
    Not frozen: one is made for each decision, and freezing costs more than deciding a statement.
    """

    request: Request
    action: str
    bounded: bool
    opened: Context | None = None
    unread: bool = False

    def context(self) -> Context:
        """Made when the first key is asked for: most statements are settled by action and resource alone."""
        if self.opened is None:
            self.opened = Context(self.request)
        return self.opened


@dataclass(frozen=True, slots=True)
class Actions:
    """Action or NotAction, in lower case; ``patterns`` are the tests of the names that have wildcards."""

    names: tuple[str, ...]
    negated: bool
    exact: frozenset[str] = field(repr=False, compare=False)
    patterns: tuple[Match, ...] = field(repr=False, compare=False)

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(names: tuple[str, ...], *, negated: bool) -> Actions:
        """Compile lower-case names; statements of many roles are about the same actions, and share one."""
        wild = [name for name in names if "*" in name or "?" in name]
        patterns = tuple(matcher(parts) for parts in _parts(wild))
        return Actions(names, negated, frozenset(names) - frozenset(wild), patterns)

    @property
    def parts(self) -> list[Parts]:
        """The names, read."""
        return _parts(self.names)

    def match(self, action: str) -> bool:
        """Whether the element includes a lower-case action."""
        if action in self.exact:
            return not self.negated
        for fits in self.patterns:  # a loop, not any(…): a first decision on a document comes through here for each
            if fits(action):
                return not self.negated
        return self.negated


def _parts(names: Sequence[str]) -> list[Parts]:
    return [read(name, wildcards=True, variables=False) for name in names]


@dataclass(frozen=True, slots=True)
class Resources:
    """Resource or NotResource: ``fixed`` is the whole test, ``bound`` the one where variables need the request."""

    patterns: tuple[ArnPattern, ...]
    negated: bool
    fixed: Match | None = field(default=None, repr=False, compare=False)
    bound: Bound | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, patterns: Sequence[ArnPattern], *, negated: bool) -> Resources:
        """Compile the patterns into one test."""
        matches = [pattern.match for pattern in patterns if pattern.match]
        if len(matches) == len(patterns):
            return cls(tuple(patterns), negated, fixed=_any_of(matches, negated=negated))
        return cls(tuple(patterns), negated, bound=resources_bound(patterns))

    def match(self, arn: str, context: Context) -> bool:
        """Whether the element includes ``arn``."""
        if self.bound is not None:
            return self.bound(arn, context) is not self.negated
        return self.fixed is not None and self.fixed(arn)


def _any_of(matches: list[Match], *, negated: bool) -> Match:
    if len(matches) == 1 and not negated:
        return matches[0]

    def match(arn: str) -> bool:
        for fits in matches:  # a loop, not any(…): every decision on such a statement comes through here
            if fits(arn):
                return not negated
        return negated

    return match


@dataclass(frozen=True, slots=True)
class Statement:
    """One compiled statement; ``resources`` and ``principals`` are ``None`` where the kind of policy has none."""

    index: int
    sid: str
    deny: bool
    actions: Actions
    resources: Resources | None
    principals: PrincipalSet | None
    conditions: tuple[Condition, ...]

    def means(self, facts: Facts) -> Grant:
        """What the statement means for a request that its action and its resources include."""
        grant = self._grant(facts)
        if grant and self.conditions:
            context = facts.context()
            for condition in self.conditions:
                if not condition.holds(context):
                    return _NONE
        return grant

    def _grant(self, facts: Facts) -> Grant:
        """What the principal element alone means."""
        if self.principals is None:
            return _DIRECT
        return self.principals.grant(facts.request.principal, deny=self.deny, bounded=facts.bounded)

    def trace(self, facts: Facts, *, layer: Layer, document: str) -> StatementTrace:
        """All parts, evaluated to the end even where one already fails."""
        context = facts.context()
        return StatementTrace(
            layer=layer,
            document=document,
            index=self.index,
            sid=self.sid,
            effect="Deny" if self.deny else "Allow",
            action=self.actions.match(facts.action),
            resource=self.resources is None or self.resources.match(facts.request.resource, context),
            principal=bool(self._grant(facts)),
            conditions=tuple(condition.trace(context) for condition in self.conditions),
        )


Step = tuple[Match, bool, Statement]
"""The test of the resource, whether that settles the statement, and the statement for the rest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The statements of a document that are about one action, in order.

    ``varying``: the same with the tests of resources that need a request's values, where variables stand in one.
    """

    denies: tuple[Step, ...]
    allows: tuple[Step, ...]
    varying: tuple[tuple[Bound, Step], ...] = ()

    @classmethod
    def of(cls, statements: Sequence[Statement]) -> Plan:
        """Compile ``statements``."""
        if any(one.resources and one.resources.bound for one in statements):
            return cls((), (), tuple((_bound(one.resources), _step(one)) for one in statements))
        return cls(*_apart(_step(statement) for statement in statements))

    def about(self, resource: str, values: Values) -> Plan:
        """The plan of those whose resources include this one for a request with these values."""
        return Plan(*_apart(step for fits, step in self.varying if fits(resource, values)))


def _apart(steps: Iterable[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Those that deny, and those that allow."""
    kept = tuple(steps)
    return tuple(step for step in kept if step[2].deny), tuple(step for step in kept if not step[2].deny)


def _bound(resources: Resources | None) -> Bound:
    if resources is None or resources.bound is None:
        return without_values(anything)  # its own step asks
    if not resources.negated:
        return resources.bound
    fits = resources.bound
    return lambda resource, values: not fits(resource, values)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed and compiled policy document; made by :func:`keyless.policy.parse` only.

    ``plans`` remembers what :meth:`plan` found. It is the one thing here that changes, and changes no answer.
    """

    kind: Kind
    version: str
    statements: tuple[Statement, ...]
    plans: dict[str, Plan] = field(default_factory=dict, init=False, repr=False, compare=False)

    def plan(self, action: str) -> Plan:
        """The plan for a lower-case action; ``plans.get(action)`` first is the quick way."""
        about = [statement for statement in self.statements if statement.actions.match(action)]
        made = Plan.of(about)
        if len(self.plans) >= _MOST_PLANS:
            self.plans.clear()
        self.plans[action] = made
        return made


def _step(statement: Statement) -> Step:
    resources = statement.resources
    fits = resources.fixed if resources else None
    decides = resources is not None and not statement.conditions and statement.principals is None
    return fits or anything, decides, statement
