"""The trust matrix: whom a trust policy admits by web identity, as Allow and as Deny."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyless.policy import Outcome, Policies, Request, evaluate
from unit.policy.asking import HOST, PROVIDER, TOKEN, named

TEXT = (Path(__file__).parent / "trust.json").read_text("utf-8")
CASES: list[dict[str, Any]] = json.loads(TEXT.replace("{host}", HOST).replace("{provider}", PROVIDER))
CONTEXT = {
    f"{HOST}:sub": "system:serviceaccount:ns:vector",
    f"{HOST}:aud": "sts.amazonaws.com",
    f"{HOST}:oaud": ("sts.amazonaws.com",),
    "aws:FederatedProvider": PROVIDER,
}
REQUEST = Request("sts:AssumeRoleWithWebIdentity", "arn:aws:iam::111122223333:role/billing", TOKEN, CONTEXT)


def of_case(case: dict[str, Any], effect: str) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": effect, "Principal": case.get("principal", {"Federated": PROVIDER})}
    if "notaction" in case:
        made["NotAction"] = case["notaction"]
    else:
        made["Action"] = case.get("action", "sts:AssumeRoleWithWebIdentity")
    if case.get("condition"):
        made["Condition"] = case["condition"]
    return made


@pytest.mark.parametrize("case", [pytest.param(case, id=case["why"]) for case in CASES])
def test_an_allow_admits_whom_it_should(case: dict[str, Any]) -> None:
    decision = evaluate(REQUEST, Policies(resource=named(of_case(case, "Allow"), kind="trust")))
    assert decision.outcome is (Outcome.ALLOWED if case["admits"] else Outcome.IMPLICIT_DENY)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["why"]) for case in CASES])
def test_a_deny_keeps_out_whom_the_allow_would_admit(case: dict[str, Any]) -> None:
    everyone = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"}
    policies = Policies(resource=named(everyone, of_case(case, "Deny"), kind="trust"))
    # A Deny for everybody also hits tokens, although an Allow for everybody lets none in.
    hits = case["admits"] or case.get("principal") == {"AWS": "*"}
    assert evaluate(REQUEST, policies).outcome is (Outcome.EXPLICIT_DENY if hits else Outcome.ALLOWED)
