"""Where a compiled schema has rules, and how often each such place can be in one object. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cel_expr_python.cel import Expression

from keyless.local.cluster.schema.costs.budget import Compiled, Placed
from keyless.local.cluster.schema.costs.ranges import MOST
from keyless.local.cluster.schema.costs.syntax import Expr, Fold, parsed
from keyless.local.cluster.schema.model import Node
from keyless.local.cluster.schema.rules import Rule


def places(node: Node, path: str, times: int | None = 1, *, is_root: bool = True) -> Iterator[Placed]:
    """All places with rules, those of the inner ones first."""
    if node.has_rules_below:
        yield from _below(node, path, _times_below(node, times))
    if node.rules:
        rules = tuple(_compiled(rule) for rule in node.rules)
        yield Placed(path, node.schema, times, rules, is_root or node.embedded)


def _below(node: Node, path: str, times: int | None) -> Iterator[Placed]:
    for name, inner in node.properties.items():
        yield from places(inner, f"{path}.properties[{name}]", times, is_root=False)
    if node.additional is not None:
        yield from places(node.additional, f"{path}.additionalProperties", times, is_root=False)
    if node.items is not None:
        yield from places(node.items, f"{path}.items", times, is_root=False)


def _times_below(node: Node, times: int | None) -> int | None:
    """None: nothing says how often."""
    if times is None:
        return None
    if node.type == "object" and node.schema.get("additionalProperties"):
        most = node.schema.get("maxProperties")
    elif node.type == "array":
        most = node.schema.get("maxItems")
    else:
        return times
    return None if most is None else min(times * max(int(most), 0), MOST)


def _compiled(rule: Rule) -> Compiled:
    message = _tree(rule.message_expression, rule) if rule.message_expression is not None else None
    return Compiled(_tree(rule.expression, rule), message, rule.optional)


def _tree(expression: Expression, rule: Rule) -> Expr:
    tree = parsed(expression.serialize())
    # An optional oldSelf is bound around the rule here; what is judged is what its author wrote.
    return tree.result if rule.optional and isinstance(tree, Fold) else tree
