"""Issuers that everybody can have tokens of need a trust policy that says who is meant (identity.md Q4)."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cloud.iam.shared_issuers import REQUIRED, unscoped
from unit.local.cloud.support import ACCOUNT, World, document, irsa_trust, pods_trust, refusal

GITHUB = "token.actions.githubusercontent.com"


def trust(issuer: str = GITHUB, action: Any = "sts:AssumeRoleWithWebIdentity", **condition: Any) -> str:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": action}
    return document({**statement, **({"Condition": condition} if condition else {})})


@pytest.mark.parametrize(("issuer", "key"), sorted(REQUIRED.items()))
def test_every_shared_issuer_must_have_its_claim_tested(issuer: str, key: str) -> None:
    assert key in unscoped(trust(issuer))
    assert unscoped(trust(issuer, StringEquals={key.upper(): "mine"})) == ""


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}},
        {"StringLike": {f"{GITHUB}:sub": "*"}},
        {"StringLike": {f"{GITHUB}:sub": ["repo:mine/*", "*"]}},
        {"StringNotEquals": {f"{GITHUB}:sub": "repo:theirs/x"}},
        {"Null": {f"{GITHUB}:sub": "false"}},
        {"StringEquals": {f"{GITHUB}:sub": ""}},
    ],
)
def test_a_test_that_lets_everybody_in_is_none(condition: dict[str, Any]) -> None:
    assert unscoped(trust(**condition))


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {f"{GITHUB}:sub": "repo:mine/*"}},
        {"ForAnyValue:StringLike": {f"{GITHUB}:sub": ["repo:mine/a:*", "repo:mine/b:*"]}},
        {"StringEqualsIfExists": {f"{GITHUB}:sub": "repo:mine/a:ref:refs/heads/main"}},
    ],
)
def test_a_test_of_the_subject_is_enough(condition: dict[str, Any]) -> None:
    assert unscoped(trust(**condition)) == ""


def test_only_statements_that_let_somebody_in_are_looked_at() -> None:
    assert unscoped(trust(action="sts:TagSession")) == ""
    assert unscoped(trust(action=["sts:TagSession", "sts:Assume*"]))
    assert unscoped(irsa_trust()) == ""
    assert unscoped(pods_trust()) == ""


def test_creating_and_changing_a_role_are_refused(world: World) -> None:
    iam = world.aws("iam")
    wide = trust(StringEquals={f"{GITHUB}:aud": "sts.amazonaws.com"})
    code, message, status = refusal(iam.create_role, RoleName="ci", AssumeRolePolicyDocument=wide)
    assert (code, status) == ("MalformedPolicyDocument", 400)
    assert f"{GITHUB}:sub" in message
    iam.create_role(RoleName="ci", AssumeRolePolicyDocument=trust(StringLike={f"{GITHUB}:sub": "repo:mine/*"}))
    answer = refusal(iam.update_assume_role_policy, RoleName="ci", PolicyDocument=wide)
    assert answer[0] == "MalformedPolicyDocument"
