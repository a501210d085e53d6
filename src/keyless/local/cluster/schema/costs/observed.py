"""The most that a rule can cost for the value at hand: the estimate, with the sizes that are there. Pure.

It is never less than what a real API server counts, and more where a rule ends early: docs/reference/facts/cel-cost.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cel_expr_python.cel import Expression

from keyless.local.cluster.schema.costs.declarations import Decl, declared
from keyless.local.cluster.schema.costs.estimate import estimated
from keyless.local.cluster.schema.costs.ranges import MOST
from keyless.local.cluster.schema.costs.syntax import parsed

CALL_LIMIT = 1_000_000
"""Units that a real API server gives one evaluation."""


def observed_cost(
    expression: Expression, schema: Mapping[str, Any], values: Iterable[Any], *, is_resource: bool
) -> int:
    """Units for ``values`` (now and before), which have CEL's names of fields; without bound where there is no type."""
    kind = declared(schema, is_resource=is_resource)
    if kind is None:
        return MOST
    return estimated(parsed(expression.serialize()), observed(kind, list(values))).most


def observed(kind: Decl, values: list[Any]) -> Decl:
    """The type, as large as the largest of the values."""
    if kind.kind in {"string", "dyn"}:
        return replace(kind, most=max((len(value) for value in values if isinstance(value, str)), default=0))
    if kind.kind == "list" and kind.element is not None:
        lists = [value for value in values if isinstance(value, list)]
        inner = observed(kind.element, [item for value in lists for item in value])
        return replace(kind, most=max(map(len, lists), default=0), element=inner)
    maps = [value for value in values if isinstance(value, dict)]
    if kind.kind == "map" and kind.element is not None:
        inner = observed(kind.element, [item for value in maps for item in value.values()])
        return replace(kind, most=max(map(len, maps), default=0), element=inner)
    fields = {
        name: observed(field, [value[name] for value in maps if name in value]) for name, field in kind.fields.items()
    }
    return replace(kind, fields=fields) if kind.kind == "object" else kind
