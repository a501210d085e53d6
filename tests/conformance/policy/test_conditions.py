"""The condition matrix: the rules of facts/identity.md, every case as an Allow and as a Deny.

``conditions.json``: per entry the rule and why, an operator, what the policy expects, and cases of (actual value, does
it hold). ``null`` is an absent key, a list a multi-valued one; "error": an Allow does not apply, a Deny does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyless.policy import Policies
from unit.policy.asking import ask, named, statement, under

ENTRIES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "conditions.json").read_text("utf-8"))
KEY = "aws:RequestTag/Value"
CASES = [
    pytest.param(entry, actual, holds, id=f"rule {entry['rule']}: {entry['why']}: {entry['operator']} {actual!r}")
    for entry in ENTRIES
    for actual, holds in entry["cases"]
]


@pytest.mark.parametrize(("entry", "actual", "holds"), CASES)
def test_a_condition_holds_as_at_aws(entry: dict[str, Any], actual: Any, holds: bool | str) -> None:
    context = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.get("context", {}).items()
    }
    if actual is not None:
        context["AWS:requesttag/VALUE"] = tuple(actual) if isinstance(actual, list) else actual
    condition, version = {entry["operator"]: {KEY: entry["expected"]}}, entry.get("version", "2012-10-17")
    if holds == "error":
        assert_neither_allows_nor_spares(condition, context, version)
    else:
        assert under(condition, context, version=version) is holds


def assert_neither_allows_nor_spares(condition: dict[str, Any], context: dict[str, Any], version: str) -> None:
    """An error in a condition: an Allow does not apply, a Deny does."""
    allow, deny = statement(Condition=condition), statement("Deny", Condition=condition)
    allowed = ask(Policies(identity=(named(allow, version=version),)), context=context)
    denied = ask(Policies(identity=(named(statement(), deny, version=version),)), context=context)
    assert (allowed.outcome, denied.outcome) == ("ImplicitDeny", "ExplicitDeny")


def test_the_matrix_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 330
    assert {entry["rule"] for entry in ENTRIES} == {8, 9, 10, 11, 12, 13, 14}
