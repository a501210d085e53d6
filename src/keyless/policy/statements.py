"""Compiled statements and documents: what :func:`keyless.policy.parse` makes and :func:`evaluate` asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyless.policy.arns import ArnPattern
from keyless.policy.conditions import Condition
from keyless.policy.context import Context
from keyless.policy.globs import Match, Parts
from keyless.policy.model import Kind, Layer, Principal, StatementTrace
from keyless.policy.principals import Grant, PrincipalSet


@dataclass(slots=True, eq=False)
class Facts:
    """A request made ready for matching; ``action`` in lower case. Never changed, and not frozen: one is made for each
    decision, and freezing is a third of its price.
    """

    action: str
    vendor: str
    resource: str
    principal: Principal
    bounded: bool
    context: Context


@dataclass(frozen=True, slots=True)
class Actions:
    """Action or NotAction: exact names and patterns, in lower case."""

    exact: frozenset[str]
    patterns: tuple[Match, ...] = field(repr=False, compare=False)
    parts: tuple[Parts, ...] = field(repr=False)
    negated: bool

    def match(self, action: str) -> bool:
        """Whether the element includes a lower-case action."""
        if action in self.exact:
            return not self.negated
        for fits in self.patterns:  # a loop, not any(…): this is the hottest line of the package
            if fits(action):
                return not self.negated
        return self.negated

    @property
    def vendors(self) -> frozenset[str] | None:
        """The services the element is about, or ``None`` when it may be about any."""
        if self.negated:
            return None
        vendors = {_vendor(part) for part in self.parts}
        return None if "" in vendors else frozenset(vendors)


def _vendor(parts: Parts) -> str:
    """The literal service of an action pattern, or nothing where a wildcard comes before the colon."""
    first = parts[0] if parts else ""
    return first.partition(":")[0] if isinstance(first, str) and ":" in first else ""


@dataclass(frozen=True, slots=True)
class Resources:
    """Resource or NotResource."""

    patterns: tuple[ArnPattern, ...]
    negated: bool

    def match(self, arn: str, context: Context) -> bool:
        """Whether the element includes ``arn``."""
        for pattern in self.patterns:
            fits = pattern.match  # by itself where no variable needs the request: one call less on the hottest path
            if fits(arn) if fits is not None else pattern.matches(arn, context.single):
                return not self.negated
        return self.negated


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

    def applies(self, facts: Facts) -> Grant:
        """What the statement means for the request; cheapest test first, since most statements fail the first."""
        if not self.actions.match(facts.action):
            return Grant.NONE
        if self.resources is not None and not self.resources.match(facts.resource, facts.context):
            return Grant.NONE
        grant = Grant.DIRECT if self.principals is None else self.grant(facts)
        if grant:
            for condition in self.conditions:
                if not condition.holds(facts.context):
                    return Grant.NONE
        return grant

    def grant(self, facts: Facts) -> Grant:
        """What the principal element alone means."""
        if self.principals is None:
            return Grant.DIRECT
        return self.principals.grant(facts.principal, deny=self.deny, bounded=facts.bounded)

    def trace(self, facts: Facts, *, layer: Layer, document: str) -> StatementTrace:
        """All parts, evaluated to the end even where one already fails."""
        return StatementTrace(
            layer=layer,
            document=document,
            index=self.index,
            sid=self.sid,
            effect="Deny" if self.deny else "Allow",
            action=self.actions.match(facts.action),
            resource=self.resources is None or self.resources.match(facts.resource, facts.context),
            principal=bool(self.grant(facts)),
            conditions=tuple(condition.trace(facts.context) for condition in self.conditions),
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed and compiled policy document; made by :func:`keyless.policy.parse` only."""

    kind: Kind
    version: str
    statements: tuple[Statement, ...]
    by_vendor: Mapping[str, tuple[Statement, ...]] = field(repr=False, compare=False)
    for_any: tuple[Statement, ...] = field(repr=False, compare=False)

    @classmethod
    def of(cls, kind: Kind, version: str, statements: tuple[Statement, ...]) -> Document:
        """Index the statements by the services they are about: most statements of a role concern other services."""
        vendors = {statement.index: statement.actions.vendors for statement in statements}
        named = frozenset[str]().union(*(found for found in vendors.values() if found))

        def about(vendor: str | None) -> tuple[Statement, ...]:
            return tuple(s for s in statements if (found := vendors[s.index]) is None or vendor in found)

        return cls(kind, version, statements, {vendor: about(vendor) for vendor in named}, about(None))

    def candidates(self, vendor: str) -> tuple[Statement, ...]:
        """The statements that may apply to an action of ``vendor``, in order."""
        return self.by_vendor.get(vendor, self.for_any)
