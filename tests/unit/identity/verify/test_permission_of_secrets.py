"""Secrets have a random suffix in their ARN, and policies of their own: what can be decided, and what is told."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from keyless.api import Access, Reason
from keyless.identity.verify import State
from keyless.identity.verify.behind import Reached
from keyless.identity.verify.model import Facts, Role
from keyless.identity.verify.reached import reached
from keyless.policy import Named, Source, Unreadable, parse
from unit.identity.verify.chains import ACCOUNT, ROLE, irsa, named, trust, web, written
from unit.identity.verify.test_gather import FakeAws

SECRET = "arn:aws:secretsmanager:us-west-2:111122223333:secret:keyless/db"
ACCESS = Access(
    "external-secrets", "external-secrets-controller", ("secretsmanager:GetSecretValue",), (f"{SECRET}-??????",), "x"
)


def chain(resource: str) -> Facts:
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": resource}
    policy = Named("inline policy secrets", parse({"Version": "2012-10-17", "Statement": statement}, "identity"))
    return replace(irsa(), access=ACCESS, role=Role(ROLE, trust(web()), (policy,)))


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        (SECRET.replace("db", "*"), State.HELD),
        (f"{SECRET}-??????", State.HELD),
        (f"{SECRET}-AbCdEf", State.UNKNOWN),
        (SECRET, State.BROKEN),
        (SECRET.replace("db", "other-AbCdEf"), State.BROKEN),
    ],
)
def test_a_policy_on_a_secret(resource: str, state: State) -> None:
    assert named(chain(resource), "permission").state is state


OTHER = "444455556666"
GUARD = {"Sid": "Guard", "Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
LET = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
ELSE = {**LET, "Principal": {"AWS": "arn:aws:iam::111122223333:role/another"}}
UNSEEN = Unreadable("policy of it", "not readable: the caller lacks secretsmanager:GetResourcePolicy")


def policy(*statements: dict[str, Any]) -> Source:
    return Named("policy of the secret", parse(written(*statements), "resource"))


def of(account: str, own: Source | None, *, looked: bool = True, allowed: str = "*") -> Facts:
    """The role may read by its own policies; the secret is of an account, and has a policy of its own."""
    pattern = f"{SECRET}-??????".replace(ACCOUNT, account)
    facts = replace(chain(allowed), access=replace(ACCESS, resources=(pattern,)))
    return replace(facts, reached={pattern: Reached(pattern.replace("??????", "AbCdEf"), own)} if looked else {})


@pytest.mark.parametrize(
    ("account", "own", "state", "reason"),
    [
        (ACCOUNT, None, State.HELD, None),
        (ACCOUNT, policy(LET), State.HELD, None),
        (ACCOUNT, policy(ELSE), State.HELD, None),
        (ACCOUNT, policy(LET, GUARD), State.BROKEN, Reason.PERMISSION_DENIED_EXPLICITLY),
        (ACCOUNT, UNSEEN, State.UNKNOWN, None),
        (OTHER, None, State.BROKEN, Reason.PERMISSION_MISSING),
        (OTHER, policy(ELSE), State.BROKEN, Reason.PERMISSION_MISSING),
        (OTHER, policy(LET), State.HELD, None),
        (OTHER, policy(LET, GUARD), State.BROKEN, Reason.PERMISSION_DENIED_EXPLICITLY),
        (OTHER, UNSEEN, State.UNKNOWN, None),
    ],
)
def test_a_secrets_own_policy_counts_and_is_named(
    account: str, own: Source | None, state: State, reason: Reason | None
) -> None:
    link = named(of(account, own), "permission")
    assert (link.state, link.reason, link.fix) == (state, reason, "")
    if reason is Reason.PERMISSION_DENIED_EXPLICITLY:
        assert "(Guard) of policy of the secret" in link.found
        assert "(Guard)" in link.advice
    if reason is Reason.PERMISSION_MISSING:
        assert f"account {OTHER}" in link.advice
        assert ROLE in link.advice


def test_what_another_account_must_add_allows_it() -> None:
    advice = named(of(OTHER, None), "permission").advice
    words = shlex.split(advice.partition("let the role in: ")[2].partition(";")[0])
    assert words[:3] == ["aws", "secretsmanager", "put-resource-policy"]
    document = json.loads(words[words.index("--resource-policy") + 1])
    assert named(of(OTHER, policy(*document["Statement"])), "permission").state is State.HELD
    amended = named(of(OTHER, policy(ELSE)), "permission").advice
    assert "get-resource-policy" in amended
    added = json.loads(amended.partition("add ")[2].partition(" to the policy")[0])
    assert named(of(OTHER, policy(ELSE, added)), "permission").state is State.HELD


def test_a_secret_of_another_account_that_nobody_looked_at_is_not_called_refused() -> None:
    assert named(of(OTHER, None, looked=False), "permission").state is State.UNKNOWN


def test_where_the_role_itself_lacks_it_the_role_is_told_of() -> None:
    link = named(of(OTHER, policy(LET), allowed="arn:aws:secretsmanager:us-west-2:1:secret:none"), "permission")
    assert link.reason is Reason.PERMISSION_MISSING
    assert "put-role-policy" in link.fix


@pytest.mark.parametrize(
    ("code", "seen"),
    [("AccessDeniedException", True), ("ThrottlingException", True), ("ResourceNotFoundException", False)],
)
async def test_a_secret_that_may_not_be_described_may_have_a_policy_that_denies(code: str, seen: bool) -> None:
    pattern = f"{SECRET}-??????"
    found = await reached(FakeAws({"DescribeSecret": code}), ACCESS, [pattern])
    assert (pattern in found) is seen
    if seen:
        facts = replace(of(ACCOUNT, None), reached=found)
        assert named(facts, "permission").state is State.UNKNOWN
        # The role names the secret with its suffix, which nobody could look up: the policy is not called wrong.
        exact = replace(chain(f"{SECRET}-AbCdEf"), reached=found)
        assert named(exact, "permission").state is State.UNKNOWN
