"""A role's trust policy that names, in a statement of others, what was deleted: IAM takes nothing written from it."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import Any

import pytest

from keyless.api import Permanent
from keyless.identity.grants import gather, undo
from keyless.policy.amend import statements
from unit.identity.grants.fake_aws import FakeAws
from unit.identity.grants.test_grants import applied, asked, planned

OLD = "AROAEXAMPLEEXAMPLE123"
PEOPLE = "arn:aws:iam::111122223333:role/people"


def others(named: Any) -> dict[str, Any]:
    return {"Sid": "People", "Effect": "Allow", "Principal": {"AWS": named}, "Action": "sts:AssumeRole"}


def with_others(*listed: dict[str, Any]) -> FakeAws:
    """A role of ours for one control plane, to which somebody added statements."""
    aws = FakeAws()
    applied(asked(1), aws)
    trust = aws.roles["keyless-billing"]["AssumeRolePolicyDocument"]
    trust["Statement"] = [*listed, *trust["Statement"]]
    return aws


def test_what_needs_no_change_is_left_in_peace() -> None:
    assert planned(asked(1), with_others(others(OLD))).steps == ()


@pytest.mark.parametrize("named", [[OLD, PEOPLE], [PEOPLE, OLD, "AIDAEXAMPLEEXAMPLE123"]])
def test_a_change_is_refused_with_the_command_that_leaves_the_id_out(named: list[str]) -> None:
    aws = with_others(others(named))
    with pytest.raises(
        Permanent, match=f"keyless-billing: expected .* found a statement of others with .*{OLD}"
    ) as told:
        planned(asked(1, 2), aws)
    words = shlex.split(str(told.value).partition("refuses in whatever is written: ")[2])
    assert words[:5] == ["aws", "iam", "update-assume-role-policy", "--role-name", "keyless-billing"]
    after = json.loads(words[words.index("--policy-document") + 1])
    assert statements(after)[0] == others([PEOPLE])
    aws.roles["keyless-billing"]["AssumeRolePolicyDocument"] = after
    (step,) = planned(asked(1, 2), aws).steps
    assert OLD not in str(step.params)
    assert PEOPLE in str(step.params)


def test_to_take_it_away_is_refused_alike() -> None:
    have = asyncio.run(gather(asked(1), with_others(others([OLD, PEOPLE]))))
    with pytest.raises(Permanent, match=OLD):
        undo(asked(1), have)
