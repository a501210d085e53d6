"""Issuers that everybody can have tokens of need a trust policy that says who is meant.

Facts: facts/identity.md#shared-issuers.
"""

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


SHARED = [(issuer, key) for issuer, keys in sorted(REQUIRED.items()) for key in keys]
ENTERPRISE = f"{GITHUB}/octo-enterprise"


@pytest.mark.parametrize(("issuer", "key"), [*SHARED, (ENTERPRISE, f"{ENTERPRISE}:sub")])
def test_every_shared_issuer_must_have_its_claim_tested(issuer: str, key: str) -> None:
    assert key in unscoped(trust(issuer))
    assert unscoped(trust(issuer, StringEquals={key.upper(): "mine"})) == ""


def test_the_refusal_names_provider_operators_and_claims() -> None:
    assert unscoped(trust()) == (
        f"Trust policy with trusted principal arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB} must evaluate, using "
        f"StringEquals, StringLike or StringEqualsIgnoreCase, {GITHUB}:sub or {GITHUB}:job_workflow_ref which is not "
        "scoped to all."
    )


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}},
        {"StringEquals": {f"{GITHUB}:repository": "mine/x"}},
        {"StringLike": {f"{GITHUB}:sub": "*"}},
        {"StringLike": {f"{GITHUB}:sub": "**?"}},
        {"StringLike": {f"{GITHUB}:sub": "*:mine/x"}},
        {"StringLike": {f"{GITHUB}:sub": "?epo:mine/x"}},
        {"StringLike": {f"{GITHUB}:job_workflow_ref": "*/x.yml"}},
        {"StringLike": {f"{GITHUB}:sub": ["repo:mine/*", "*"]}},
        {"StringNotEquals": {f"{GITHUB}:sub": "repo:theirs/x"}},
        {"StringNotLike": {f"{GITHUB}:sub": "repo:theirs/*"}},
        {"StringEqualsIfExists": {f"{GITHUB}:sub": "repo:mine/a:ref:refs/heads/main"}},
        {"StringLikeIfExists": {f"{GITHUB}:sub": "repo:mine/*"}},
        {"ForAnyValue:StringLikeIfExists": {f"{GITHUB}:sub": "repo:mine/*"}},
        {"StringEqualsIgnoreCaseIfExists": {f"{GITHUB}:sub": "repo:mine/x"}},
        {"Bool": {f"{GITHUB}:sub": "true"}},
        {"NumericEquals": {f"{GITHUB}:sub": "7"}},
        {"Null": {f"{GITHUB}:sub": "false"}},
        {"StringEquals": {f"{GITHUB}:sub": ""}},
        {"StringEquals": {f"{ENTERPRISE}:sub": "repo:mine/x"}},
    ],
)
def test_a_test_that_lets_everybody_in_is_none(condition: dict[str, Any]) -> None:
    assert unscoped(trust(**condition))


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {f"{GITHUB}:sub": "repo:mine/*"}},
        {"StringLike": {f"{GITHUB}:sub": "repo:*"}},
        {"ForAnyValue:StringLike": {f"{GITHUB}:sub": ["repo:mine/a:*", "repo:mine/b:*"]}},
        {"StringEqualsIgnoreCase": {f"{GITHUB}:sub": "repo:Mine/a:ref:refs/heads/main"}},
        {"StringLike": {f"{GITHUB}:job_workflow_ref": "mine/a/.github/workflows/*"}},
        {"StringLike": {f"{GITHUB}:sub": "*"}, "StringEquals": {f"{GITHUB}:job_workflow_ref": "mine/a/x.yml@main"}},
    ],
)
def test_a_test_of_the_subject_or_the_workflow_is_enough(condition: dict[str, Any]) -> None:
    assert unscoped(trust(**condition)) == ""


def test_an_enterprise_of_github_is_github() -> None:
    subject = {f"{GITHUB}:sub": "repo:mine/x"}
    assert f"{ENTERPRISE}:sub or {ENTERPRISE}:job_workflow_ref" in unscoped(trust(ENTERPRISE, StringEquals=subject))
    workflow = {f"{ENTERPRISE}:job_workflow_ref": "mine/a/x.yml@main"}
    assert unscoped(trust(ENTERPRISE, StringEquals=workflow)) == ""
    assert unscoped(trust(f"{GITHUB}.example")) == ""


def test_all_actions_but_others_let_somebody_in() -> None:
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"
    for action, lets_in in (("sts:TagSession", True), ("sts:Assume*", False)):
        statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "NotAction": action}
        assert bool(unscoped(document(statement))) is lets_in


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
