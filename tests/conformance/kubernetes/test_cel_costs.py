"""What rules may cost, as a real API server estimates it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.kubernetes.cel_costs import DEFINITIONS, EXPRESSIONS, SCHEMA
from keyless.local.cluster.schema import Structural
from keyless.local.cluster.schema.costs.budget import costs
from keyless.local.cluster.schema.costs.places import places
from keyless.local.cluster.schema.model import compile_schema

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recordings" / "cel_costs.json").read_text())


def test_every_rule_and_definition_was_recorded() -> None:
    assert sorted(RECORDED["costs"]) == sorted(EXPRESSIONS)
    assert sorted(RECORDED["definitions"]) == sorted(DEFINITIONS)
    refused = [name for name, found in RECORDED["definitions"].items() if found["status"] == 422]
    assert len(refused) >= 20
    assert len(DEFINITIONS) - len(refused) >= 20


@pytest.mark.parametrize("rule", EXPRESSIONS)
def test_a_rule_costs_what_the_server_estimates(rule: str) -> None:
    schema = {"type": "object", "properties": {"spec": {**SCHEMA, "x-kubernetes-validations": [{"rule": rule}]}}}
    found = [cost.units for place in places(compile_schema(schema), "root") for cost in costs(place)]
    expected = RECORDED["costs"][rule]
    if isinstance(expected, str):
        # Too dear even once: the server says no more than that.
        assert re.search("factor of more than 100x", expected)
        assert found[0] > 1_000_000_000
    else:
        assert found == [expected]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_taken_or_refused_as_by_the_server(name: str) -> None:
    errors = Structural.compile({"type": "object", **DEFINITIONS[name]}).too_dear()
    found = sorted([error.path, error.reason, error.body] for error in errors)
    assert found == RECORDED["definitions"][name].get("causes", [])
