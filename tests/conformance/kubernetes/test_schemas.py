"""Custom resources: pruning, defaults, faults and CEL rules against the recorded answers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from conformance.kubernetes.replay import differences, plain, recording
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.schema import Structural

WIDE, CEL = recording("schema-wide"), recording("schema-cel")
BAD_NAME = re.compile(r"[A-Z_]")
# Names are checked where objects are made, not by the schema: those cases are not this function's.
CASES = [
    (told["schema"], case)
    for told in (WIDE, CEL)
    for case in told["cases"]
    if not BAD_NAME.search(case["sent"]["metadata"]["name"])
]


@pytest.mark.parametrize(("schema", "case"), CASES, ids=lambda value: str(value.get("sent", {}).get("spec", ""))[:60])
def test_a_custom_resource_is_stored_or_refused_as_on_the_server(schema: dict[str, Any], case: dict[str, Any]) -> None:
    compiled, sent, old = Structural.compile(schema), case["sent"], case.get("old")
    try:
        pruned, unknown = compiled.prune(sent)
    except Malformed as refusal:
        assert_is_said(str(refusal).split("json: ")[-1], case)
        return
    strict = case.get("strict") or ""
    assert unknown == sorted(re.findall(r'unknown field "([^"]+)"', strict))
    ours = compiled.default(pruned)
    errors = compiled.validate(ours, compiled.default(compiled.prune(old)[0]) if old else None)
    if case["status"] == 422:
        causes = case["answer"]["details"]["causes"]
        found = [(error.path, error.reason, error.body) for error in errors]
        assert found == [(cause["field"], cause["reason"], cause["message"]) for cause in causes]
        return
    assert errors == []
    theirs = {**plain(case["answer"]), **{key: case["answer"][key] for key in ("spec",) if key in case["answer"]}}
    assert differences({**plain(ours), **({"spec": ours["spec"]} if "spec" in ours else {})}, theirs) == []


def assert_is_said(text: str, case: dict[str, Any]) -> None:
    assert case["status"] == 400
    assert text in case["answer"]["message"]
