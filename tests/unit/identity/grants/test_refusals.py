"""AccessDenied at each call of plan, apply and destroy: who lacks what is told, and nothing is half done for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from keyless.aws import AwsPermanent
from keyless.aws.errors import failure
from keyless.identity.grants import Asked, Mode, Plan, Way, Wish, apply, gather, plan, undo
from keyless.identity.grants.plan import operator_policy
from keyless.identity.grants.refusals import mending
from keyless.identity.verify import Cluster
from keyless.policy.amend import statements
from unit.identity.grants.test_grants import DATA, host_namespace
from unit.local.cloud.support import ACCOUNT, World, document

CLUSTER = Cluster("keyless", "https://issuer.example/id", ACCOUNT, "us-west-2")
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/operator/test"
PHASES = ("come", "go", "destroy")


def asked(way: Way, *numbers: int) -> Asked:
    wish = Wish("billing", "vector", "keyless-billing", (DATA,), tuple(map(host_namespace, numbers)))
    return Asked(CLUSTER, way, Mode.EXACT, (wish,))


def policy(way: Way, lacking: str = "") -> str:
    """The operator's own, without one action."""
    kept = []
    for one in statements(operator_policy(asked(way))):
        listed = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        if rest := [action for action in listed if action != lacking]:
            kept.append({**one, "Action": rest})
    return document(*map(dict, kept))


def actions(way: Way) -> list[str]:
    found = [one["Action"] for one in statements(operator_policy(asked(way)))]
    return [each for one in found for each in (one if isinstance(one, list) else [one])]


class Operator:
    """Whoever applies, with a role of its own in the local cloud; ``asked`` are the actions it was seen to need."""

    def __init__(self, world: World, way: Way) -> None:
        self._way, self._iam = way, world.aws("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        role = self._iam.create_role(RoleName="operator", AssumeRolePolicyDocument=document(trust))["Role"]
        assumed = world.aws("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
        self._clients = {name: world.aws(name, assumed["Credentials"]) for name in ("iam", "eks")}

    def may(self, text: str) -> None:
        self._iam.put_role_policy(RoleName="operator", PolicyName="own", PolicyDocument=text)

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._clients[service]._make_api_call(operation, params)
        except ClientError as error:
            raise failure(operation, error) from error
        return answer

    def do(self, phase: str) -> str:
        """One phase, as far as it comes; returns what stopped it."""
        wanted = asked(self._way, *{"come": (1, 2), "go": (2, 3), "destroy": ()}[phase])
        try:
            have = asyncio.run(gather(wanted, self))
            made: Plan = undo(wanted, have) if phase == "destroy" else plan(wanted, have)
        except AwsPermanent as error:
            return str(error)

        async def pause(_: float) -> None:
            raise AssertionError("a refusal is not waited out")

        return asyncio.run(apply(made, self, pause=pause, tell=lambda _: None)).stopped


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def state(world: World) -> Any:
    """What the account has, but for ids and dates."""
    iam, eks = world.aws("iam"), world.aws("eks")
    roles = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        if name.startswith("keyless-billing"):
            kept = {p: iam.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"] for p in policies(iam, name)}
            roles[name] = (role["AssumeRolePolicyDocument"], kept)
    listed = eks.list_pod_identity_associations(clusterName="keyless")["associations"]
    return roles, sorted((one["namespace"], one["serviceAccount"]) for one in listed)


def policies(iam: Any, name: str) -> list[str]:
    found: list[str] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return found


#: in the operator's policy for what these three phases do not meet
ELSEWHERE = {
    (Way.IRSA, "iam:ListOpenIDConnectProviders"): "keyless verify",
    (Way.PODS, "iam:ListOpenIDConnectProviders"): "keyless verify",
    (Way.IRSA, "iam:AddClientIDToOpenIDConnectProvider"): "a provider that is there without our audience",
    **{(Way.IRSA, f"iam:Tag{kind}"): "asked for by AWS alone, of tags" for kind in ("Role", "OpenIDConnectProvider")},
    **{(Way.PODS, action): "asked for by AWS alone, of tags" for action in ("iam:TagRole", "eks:TagResource")},
    (Way.PODS, "iam:UpdateAssumeRolePolicy"): "a role that was there and does not trust the service",
    (Way.PODS, "eks:DescribeCluster"): "the cluster's issuer, before anything is planned",
}


@pytest.mark.parametrize(("way", "lacking"), [(way, action) for way in Way for action in actions(way)])
def test_what_lacks_is_told_with_its_statement_and_once_it_is_there_the_rest_is_done(
    world: World, way: Way, lacking: str
) -> None:
    operator, stopped, phase = Operator(world, way), "", PHASES[0]
    expected: dict[str, Any] = {}
    operator.may(policy(way, lacking))
    for phase in PHASES:
        stopped = operator.do(phase)
        if stopped:
            told(operator.do(phase), lacking, way)
            told(stopped, lacking, way)
            operator.may(policy(way))
            assert operator.do(phase) == ""
            break
    assert bool(stopped) is ((way, lacking) not in ELSEWHERE), stopped
    operator.may(policy(way))
    for later in PHASES[PHASES.index(phase) :]:
        assert operator.do(later) == ""
        expected[later] = state(world)
    assert expected["destroy"] == ({}, [])
    if "go" in expected:
        namespaces = json.dumps(expected["go"])
        assert [host_namespace(n) in namespaces for n in (1, 2, 3)] == [False, True, True]


def told(stopped: str, lacking: str, way: Way) -> None:
    """Who lacks which action on which resource, and a statement of the operator's policy that has it."""
    assert f"{CALLER} is not authorized to perform: {lacking} on resource: " in stopped
    needs = stopped.partition(f"; {CALLER} needs {lacking} on ")[2]
    resource, _, rest = needs.partition(": add ")
    assert resource.startswith(("arn:aws:iam:", "arn:aws:eks:", "role keyless-billing")), stopped
    added, _ = json.JSONDecoder().raw_decode(rest)
    (whole,) = (one for one in statements(operator_policy(asked(way))) if lacking in one["Action"])
    assert added == {**whole, "Action": lacking}
    assert len(stopped) < 1000, "a condition has no room for more"


SENTENCE = (
    "User: arn:aws:iam::1:user/ann is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::1:role/r"
)
OPERATOR = {"Statement": [{"Effect": "Allow", "Action": ["iam:CreateRole", "iam:GetRole"], "Resource": "r"}]}
ADD = 'needs iam:CreateRole on arn:aws:iam::1:role/r: add {"Effect":"Allow","Action":"iam:CreateRole","Resource":"r"}'


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f"{SENTENCE} because no identity-based policy allows the iam:CreateRole action", ADD),
        (SENTENCE, ADD),
        (SENTENCE.replace("arn:aws:iam::1:role/r", "role r"), ADD.replace("arn:aws:iam::1:role/r", "role r")),
        (f"{SENTENCE} with an explicit deny in a service control policy", "a service control policy denies it"),
        (f"{SENTENCE} with an explicit deny in an identity-based policy", "identity-based policy denies it"),
        (f"{SENTENCE} with an explicit deny in a permissions boundary", "a permissions boundary denies it"),
        (f"{SENTENCE} because no permissions boundary allows the iam:CreateRole action", "boundary does not allow it"),
        ("no words of AWS's", 'the caller needs iam:GetRole: add {"Effect":"Allow","Action":"iam:GetRole"'),
        ("User: a is not authorized to perform: s3:PutObject", "a needs s3:PutObject"),
    ],
)
def test_a_deny_gets_no_statement_and_any_other_words_name_the_call(message: str, expected: str) -> None:
    found = mending(message, "iam:GetRole", OPERATOR)
    assert expected in found
    assert ("add {" in found) is ("add {" in expected)
