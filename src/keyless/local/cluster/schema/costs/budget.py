"""Whether the rules of a schema stay within what a definition may cost, and what is said of one that does not. Pure.

Limits: docs/reference/facts/cel-cost.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from keyless.local.cluster.faults import FieldError, forbidden
from keyless.local.cluster.schema.costs.declarations import REQUEST_BYTES, declared
from keyless.local.cluster.schema.costs.estimate import estimated
from keyless.local.cluster.schema.costs.ranges import MOST
from keyless.local.cluster.schema.costs.syntax import Expr

RULE_LIMIT, TOTAL_LIMIT = 10_000_000, 100_000_000
NAMED_SHARE, NAMED_MOST = TOTAL_LIMIT // 100, 4
"""Which rules are named where the total is too much: those of at least a hundredth of it, the dearest four."""
WAY_OUT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


class Compiled(NamedTuple):
    """A rule as far as its cost goes; ``message`` is None for one that is a text."""

    rule: Expr
    message: Expr | None
    optional: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """Rules at one place of the schema: how often the schema lets the place be there, None without bound."""

    path: str
    schema: Mapping[str, Any]
    times: int | None
    rules: tuple[Compiled, ...]
    is_resource: bool


class Cost(NamedTuple):
    """What one expression may cost in one object."""

    path: str
    word: str
    units: int


def too_dear(places: Iterator[Placed], root: str, *, each: bool = True) -> list[FieldError]:
    """What is over the limits. ``each`` false: only the total is judged, as for a schema that did not change."""
    found = [cost for place in places for cost in costs(place)]
    errors = [
        forbidden(cost.path, _told(cost.word, cost.units, RULE_LIMIT)) for cost in found if cost.units > RULE_LIMIT
    ]
    total = sum(cost.units for cost in found)
    if total <= TOTAL_LIMIT:
        return errors if each else []
    dearest = sorted((cost for cost in found if cost.units >= NAMED_SHARE), key=lambda cost: -cost.units)[:NAMED_MOST]
    text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    return [
        *(errors if each else []),
        *(forbidden(cost.path, text) for cost in dearest),
        forbidden(root, _told(what, min(total, MOST), TOTAL_LIMIT)),
    ]


def costs(place: Placed) -> Iterator[Cost]:
    """Of each rule and of each message that is made by one."""
    kind = declared(place.schema, is_resource=place.is_resource)
    if kind is None:
        return
    # Without a bound above it: as often as the smallest value that the schema lets in fits into a request.
    times = REQUEST_BYTES // (kind.shortest + 1) if place.times is None else place.times
    for index, rule in enumerate(place.rules):
        path = f"{place.path}.x-kubernetes-validations[{index}]"
        once = estimated(rule.rule, kind, optional_old=rule.optional).most
        yield Cost(f"{path}.rule", "estimated rule cost", min(once * times, MOST))
        if rule.message is not None:
            # Once: a message is made of one rule that failed.
            once = estimated(rule.message, kind, optional_old=rule.optional).most
            yield Cost(f"{path}.messageExpression", "estimated messageExpression cost", once)


def _told(what: str, units: int, limit: int) -> str:
    factor = units / limit
    if factor > 100:
        shown = "more than 100x"
    else:
        shown = f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {WAY_OUT}"
