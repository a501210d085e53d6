"""Rules that may cost too much: refused with their definition, ended while an object is checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.local.cluster.schema.costs import budget
from keyless.local.cluster.schema.costs.declarations import declared
from keyless.local.cluster.schema.costs.estimate import estimated
from keyless.local.cluster.schema.costs.ranges import MOST, Range
from keyless.local.cluster.schema.costs.syntax import parsed
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


def cost(rule: str, schema: dict[str, Any]) -> int:
    compiled = compile_rule({"rule": rule}, schema, "rules[0]")
    kind = declared(schema)
    assert isinstance(compiled, Rule)
    assert kind is not None
    return estimated(parsed(compiled.expression.serialize()), kind).most


TEXT = st.integers(0, 5000)


@given(TEXT, TEXT, st.integers(0, 5000), st.integers(0, 5000))
def test_a_larger_bound_never_makes_a_rule_cheaper(short: int, more: int, few: int, others: int) -> None:
    rule = "self.all(x, self.exists(y, x.contains(y)))"

    def bounded(length: int, count: int) -> dict[str, Any]:
        return {"type": "array", "maxItems": count, "items": {"type": "string", "maxLength": length}}

    least = cost(rule, bounded(short, few))
    assert least <= cost(rule, bounded(short + more, few)) <= cost(rule, bounded(short + more, few + others)) <= MOST


@given(st.integers(1, 200))
def test_a_long_rule_costs_what_its_parts_cost(terms: int) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert cost(" && ".join(["self.n > 0"] * terms), schema) == terms * 3


RANGES = st.builds(lambda least, more: Range(least, min(least + more, MOST)), *[st.integers(0, MOST)] * 2)


@given(RANGES, RANGES, st.sampled_from([0.1, 0.2, 0.25, 1.0, 2.0]))
def test_sizes_and_costs_stay_in_order_and_within_64_bits(one: Range, other: Range, factor: float) -> None:
    for made in (one.plus(other), one.times(other), one.or_(other), one.scaled(factor)):
        assert 0 <= made.least <= made.most <= MOST
