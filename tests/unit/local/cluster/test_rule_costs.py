"""Rules that may cost too much: refused with their definition, ended while an object is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cel_expr_python.cel import Expression
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.local.cluster.schema import looping
from keyless.local.cluster.schema.costs import budget
from keyless.local.cluster.schema.costs.declarations import declared
from keyless.local.cluster.schema.costs.estimate import estimated
from keyless.local.cluster.schema.costs.ranges import MOST, Range
from keyless.local.cluster.schema.costs.syntax import Fold, Ident, parsed
from keyless.local.cluster.schema.looping import Answer, evaluated, plain
from keyless.local.cluster.schema.rules import Rule, compile_rule
from unit.local.cluster.support import Kubectl, crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.org/v1/namespaces/default/widgets"
UNIQUE = "self.all(x, self.exists_one(y, x == y))"


def listing(rule: str = UNIQUE, **bounds: Any) -> dict[str, Any]:
    body: dict[str, Any] = crd()
    items = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [{"rule": rule}], **bounds}
    schema: dict[str, Any] = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["items"] = items
    return body


async def test_a_definition_whose_rule_is_far_too_dear_is_refused_with_what_to_do(kubectl: Kubectl) -> None:
    refusal = await kubectl.refused("POST", CRDS, listing())
    place = "spec.validation.openAPIV3Schema.properties[spec].properties[items].x-kubernetes-validations[0].rule"
    assert refusal["code"] == 422
    assert [cause["reason"] for cause in refusal["details"]["causes"]] == ["FieldValueForbidden"] * 3
    assert refusal["details"]["causes"][0] == {
        "reason": "FieldValueForbidden",
        "field": place,
        "message": "Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the "
        "rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
    }
    await kubectl.ok("POST", CRDS, listing(maxItems=300))


async def test_a_definition_that_was_taken_can_be_changed_beside_its_dear_rule(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = listing(maxItems=3000)
    with monkeypatch.context() as patched:
        patched.setattr(budget, "RULE_LIMIT", MOST)
        made = await kubectl.ok("POST", CRDS, dear)
    named = {**made["metadata"], "labels": {"a": "b"}}
    again = await kubectl.ok("PUT", f"{CRDS}/widgets.example.org", {**dear, "metadata": named})
    dear["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "changed"
    refusal = await kubectl.refused("PUT", f"{CRDS}/widgets.example.org", {**dear, "metadata": again["metadata"]})
    assert "exceeds budget by factor of 3.6x" in refusal["message"]


async def test_a_rule_that_goes_on_too_long_is_ended_and_told(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, listing(maxItems=1000))
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    refusal = await kubectl.refused("POST", WIDGETS, {**widget, "spec": {"items": list(range(1000))}})
    assert refusal["code"] == 422
    assert refusal["details"]["causes"][0]["field"] == "spec.items"
    assert "'operation cancelled: actual cost limit exceeded': no further validation rules" in refusal["message"]
    await kubectl.ok("POST", WIDGETS, {**widget, "spec": {"items": list(range(90))}})


async def test_a_rule_within_its_budget_is_answered_however_often_it_loops(kubectl: Kubectl) -> None:
    await kubectl.ok("POST", CRDS, listing(maxItems=1000))
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    await kubectl.ok("POST", WIDGETS, {**widget, "spec": {"items": list(range(300))}})
    other = {"metadata": {"name": "other"}}
    refusal = await kubectl.refused("POST", WIDGETS, {**widget, "spec": {"items": [*range(300), 299]}, **other})
    assert "failed rule" in refusal["message"]


NUMBERS = st.lists(st.integers(0, 6), max_size=7)
LONG = [
    "self.all(x, self.exists(y, y == x + 1) || x > 3)",
    "self.exists(x, 6 / x == 3)",
    "self.all(x, 6 / x >= 1)",
    "self.exists_one(x, self.all(y, y <= x))",
    "self.filter(x, x > 2).all(x, self.exists(y, y < x))",
    "self.map(x, self.filter(y, y > x).size()).exists(n, n == 2)",
    "!(self.exists(x, x == 5) && self.exists(x, 1 / x == 1))",
    "self.size() > 4 ? self.all(x, x < 6) : self.exists(x, x == 0)",
    "self.exists_one(x, 1 / x == 1)",
    "self.exists(x, x == 2) || self.all(x, 1 / x >= 0)",
]


@effort(60)
@given(rule=st.sampled_from(LONG), values=NUMBERS, most=st.integers(1, 4))
def test_a_rule_in_pieces_comes_to_what_it_comes_to_whole(rule: str, values: list[int], most: int) -> None:
    compiled = compile_rule({"rule": rule}, {"type": "array", "items": {"type": "integer"}}, "rules[0]")
    assert isinstance(compiled, Rule)
    whole = plain(compiled.expression, {"self": values})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(looping, "plain", sparing(most))
        found = evaluated(compiled.expression, compiled.environment, {"self": values})
    assert (found.kind, found.kind == "ERROR" or found.value) == (whole.kind, whole.kind == "ERROR" or whole.value)


def sparing(most: int) -> Callable[[Expression, Mapping[str, Any]], Answer]:
    """An evaluation that is ended where a loop goes through more than so many items."""

    def evaluate(expression: Expression, data: Mapping[str, Any]) -> Answer:
        if _longest(parsed(expression.serialize()), data) > most:
            raise RuntimeError(looping.ENDED)
        return plain(expression, data)

    return evaluate


def _longest(tree: Any, data: Mapping[str, Any]) -> int:
    """How many items the longest loop over a variable has."""
    found = 0
    if isinstance(tree, Fold) and isinstance(tree.over, Ident):
        found = len(data[tree.over.name]) if isinstance(data.get(tree.over.name), list) else 0
    below = [getattr(tree, name) for name in getattr(tree, "__slots__", ())]
    inner = [part for part in below if hasattr(part, "__slots__")]
    inner += [part for parts in below if isinstance(parts, tuple) for part in parts]
    return max([found, *(_longest(part, data) for part in inner)])


def cost(rule: str, schema: dict[str, Any]) -> int:
    compiled = compile_rule({"rule": rule}, schema, "rules[0]")
    kind = declared(schema)
    assert isinstance(compiled, Rule)
    assert kind is not None
    return estimated(parsed(compiled.expression.serialize()), kind).most


TEXT = st.integers(0, 5000)


@effort(40)
@given(TEXT, TEXT, st.integers(0, 5000), st.integers(0, 5000))
def test_a_larger_bound_never_makes_a_rule_cheaper(short: int, more: int, few: int, others: int) -> None:
    rule = "self.all(x, self.exists(y, x.contains(y)))"

    def bounded(length: int, count: int) -> dict[str, Any]:
        return {"type": "array", "maxItems": count, "items": {"type": "string", "maxLength": length}}

    least = cost(rule, bounded(short, few))
    assert least <= cost(rule, bounded(short + more, few)) <= cost(rule, bounded(short + more, few + others)) <= MOST


@effort(20)
@given(st.integers(1, 200))
def test_a_long_rule_costs_what_its_parts_cost(terms: int) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert cost(" && ".join(["self.n > 0"] * terms), schema) == terms * 3


RANGES = st.builds(lambda least, more: Range(least, min(least + more, MOST)), *[st.integers(0, MOST)] * 2)


@effort(100)
@given(RANGES, RANGES, st.sampled_from([0.1, 0.2, 0.25, 1.0, 2.0]))
def test_sizes_and_costs_stay_in_order_and_within_64_bits(one: Range, other: Range, factor: float) -> None:
    for made in (one.plus(other), one.times(other), one.or_(other), one.scaled(factor)):
        assert 0 <= made.least <= made.most <= MOST
