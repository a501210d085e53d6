"""AWS's simulator beside our engine: the same question, the same documents, and a difference is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from keyless.identity.explain.checking import Checked, check, document, lines
from keyless.identity.verify.model import Role
from keyless.policy import Unreadable
from unit.identity.explain.test_explain import KEY, ROLE, evidence, policies
from unit.identity.verify.test_gather import ALLOW, FakeAws


def simulator(decision: str = "allowed", **more: Any) -> FakeAws:
    return FakeAws({"SimulatePrincipalPolicy": {"EvaluationResults": [{"EvalDecision": decision, **more}]}})


async def checked(aws: FakeAws, changes: dict[str, Any] | None = None, **question: Any) -> Checked:
    session: Any = aws
    return await check(session, await evidence(changes, **question))


async def test_it_is_asked_the_same_and_agrees() -> None:
    asked: list[dict[str, Any]] = []

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params)
        return {"EvaluationResults": [{"EvalDecision": "allowed"}]}

    found = await checked(
        FakeAws({"SimulatePrincipalPolicy": answer}), context={"aws:SourceIp": "10.0.0.1", "x:y": ("a", "b")}
    )
    assert found == Checked("allowed", "allowed")
    (params,) = asked
    assert (params["PolicySourceArn"], params["ActionNames"], params["ResourceArns"]) == (ROLE, ["s3:PutObject"], [KEY])
    told = {one["ContextKeyName"]: (one["ContextKeyType"], one["ContextKeyValues"]) for one in params["ContextEntries"]}
    assert told["aws:SourceIp"] == ("string", ["10.0.0.1"])
    assert told["x:y"] == ("stringList", ["a", "b"])
    assert not [key for key in told if key.lower().startswith("aws:principalarn")]


@pytest.mark.parametrize("theirs", ["implicitDeny", "explicitDeny", ""])
async def test_a_difference_is_told(theirs: str) -> None:
    found = await checked(simulator(theirs))
    assert found.differs
    assert "DIFFERS" in lines(found)[0]
    assert document(found)["agrees"] is False


async def test_a_policy_of_the_resource_is_not_the_simulators_matter() -> None:
    """What the bucket denies is denied, and yet both say "allowed" of the role's own policies."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    bucket = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [deny]})}
    assert await checked(simulator(), {"GetBucketPolicy": bucket}) == Checked("allowed", "allowed")


@pytest.mark.parametrize(
    ("statement", "ours"),
    [
        (ALLOW, "allowed"),
        ({**ALLOW, "Effect": "Deny"}, "explicitDeny"),
        ({**ALLOW, "Action": "s3:GetObject"}, "implicitDeny"),
    ],
)
async def test_our_word_is_in_the_simulators_language(statement: dict[str, Any], ours: str) -> None:
    assert (await checked(simulator(), {"GetRolePolicy": policies(statement)})).ours == ours


@pytest.mark.parametrize("answer", ["AccessDenied", "Throttling", {}, {"EvaluationResults": []}])
async def test_what_cannot_be_asked_is_no_difference(answer: Any) -> None:
    found = await checked(FakeAws({"SimulatePrincipalPolicy": answer}))
    assert found.unasked
    assert not found.differs
    assert "not compared" in lines(found)[0]


async def test_without_a_role_or_with_a_policy_that_was_not_read_there_is_nothing_to_compare() -> None:
    assert (await checked(simulator(), annotation="")).unasked == "there is no role to ask about"
    known = await evidence()
    role = known.chain.role
    assert isinstance(role, Role)
    blind = replace(role, identity=(Unreadable("p", "the caller lacks iam:GetRolePolicy"),))
    session: Any = simulator()
    found = await check(session, replace(known, chain=replace(known.chain, role=blind)))
    assert "could not read" in found.unasked
