"""Secrets have a random suffix in their ARN: what can be decided without knowing it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyless.api import Access
from keyless.identity.verify import State
from keyless.identity.verify.model import Facts, Role
from keyless.policy import Named, parse
from unit.identity.verify.chains import ROLE, irsa, named, trust, web

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
