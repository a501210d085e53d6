"""A pod whose role would refuse it is told so when it is made, and no pod waits for the telling."""

import asyncio

import pytest

from keyless.identity.injection.app import Webhook
from keyless.identity.injection.directory import AssociationFile, Directory
from keyless.identity.injection.settings import Settings
from keyless.identity.injection.trusting import FRESH_SECONDS, Trusts
from unit.identity.injection.test_app import FakeServiceAccounts, a_review
from unit.identity.verify.chains import HOST, ROLE, web, written
from unit.identity.verify.test_gather import failed

SUBJECT, AUDIENCE = "system:serviceaccount:ns:vector", "sts.amazonaws.com"


class Iam:
    """GetRole, and a clock."""

    def __init__(self, *statements, arn=ROLE):
        self.answer = {"Role": {"Arn": arn, "AssumeRolePolicyDocument": written(*statements)}}
        self.now, self.asked, self.gate = 0.0, 0, asyncio.Event()
        self.gate.set()
        self.trusts = Trusts(self.call, HOST, now=lambda: self.now)

    async def call(self, service, operation, /, **params):
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert (service, operation, params) == ("iam", "GetRole", {"RoleName": "billing"})
        return self.answer


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (web(SUBJECT), ""),
        (web("system:serviceaccount:*:vector", operator="StringLike"), ""),
        (web("system:serviceaccount:ns:default"), "would refuse"),
        (web(SUBJECT, aud="somebody.else"), "would refuse"),
        (web(SUBJECT, host="oidc.eks.eu-west-1.amazonaws.com/id/A"), "no statement admits it from arn:aws:iam::"),
        ({**web(SUBJECT), "Effect": "Deny"}, "denies it"),
    ],
)
async def test_the_warning_is_what_sts_would_decide(statement, said):
    found = await Iam(statement).trusts.warning(ROLE, SUBJECT, AUDIENCE)
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failed("GetRole", "NoSuchEntity"), "there is no such role"),
        (failed("GetRole", "AccessDenied"), ""),
        (failed("GetRole", "Throttling"), ""),
        ({"Role": {"Arn": f"{ROLE}2", "AssumeRolePolicyDocument": written(web(SUBJECT))}}, "there is no such role"),
        ({"Role": {"Arn": ROLE, "AssumeRolePolicyDocument": "no policy"}}, ""),
        ({}, ""),
    ],
)
async def test_what_cannot_be_read_warns_of_nothing_and_a_role_that_is_not_there_is_told(answer, said):
    iam = Iam()
    iam.answer = answer
    found = await iam.trusts.warning(ROLE, SUBJECT, AUDIENCE)
    assert said in found
    assert bool(found) is bool(said)


async def test_a_role_is_read_once_in_a_while_for_all_pods_and_mended_trust_ends_the_warning():
    iam = Iam(web("system:serviceaccount:other:vector"))
    warnings = await asyncio.gather(*(iam.trusts.warning(ROLE, SUBJECT, AUDIENCE) for _ in range(20)))
    assert all(warnings)
    assert iam.asked == 1
    iam.answer = {"Role": {"Arn": ROLE, "AssumeRolePolicyDocument": written(web(SUBJECT))}}
    iam.now = FRESH_SECONDS
    await iam.trusts.warning(ROLE, SUBJECT, AUDIENCE)  # the old word, while the new one is read
    while iam.trusts._flights:
        await asyncio.sleep(0)
    assert await iam.trusts.warning(ROLE, SUBJECT, AUDIENCE) == ""
    assert iam.asked == 2


async def test_no_pod_waits_long_for_an_iam_that_hangs(monkeypatch):
    monkeypatch.setattr("keyless.identity.injection.trusting.FIRST_SECONDS", 0.0)
    iam = Iam(web("x"))
    iam.gate.clear()
    assert await iam.trusts.warning(ROLE, SUBJECT, AUDIENCE) == ""
    iam.gate.set()
    while iam.trusts._flights:
        await asyncio.sleep(0)


async def test_the_review_carries_it_and_the_pod_is_allowed_and_patched_all_the_same():
    account = {"metadata": {"name": "vector", "annotations": {"eks.amazonaws.com/role-arn": ROLE}}}
    iam = Iam(web("system:serviceaccount:other:vector"))
    directory = Directory(FakeServiceAccounts(cached=account), AssociationFile(""), lookup_seconds=1.0)
    response = (await Webhook(directory, Settings(), trusts=iam.trusts).review(a_review()))["response"]
    assert response["allowed"] is True
    assert response["patch"]
    (warning,) = response["warnings"]
    assert f"{ROLE} would refuse {SUBJECT} with audience {AUDIENCE}" in warning
