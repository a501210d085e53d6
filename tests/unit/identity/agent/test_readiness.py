"""Ready is who has shown that credentials can be had."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from keyless.aws.errors import AwsPermanent, AwsTransient, Said
from keyless.identity.agent import readiness as module
from keyless.identity.agent.model import PodCredentials
from keyless.identity.agent.readiness import PROVEN_FOR, Readiness

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class World:
    """STS, EKS Auth and a clock."""

    def __init__(self):
        self.now, self.asked, self.sts, self.eks = NOON, 0, None, None
        self.readiness = Readiness(self.identity, now=lambda: self.now)
        self.fetch = self.readiness.watching(self.upstream)

    async def identity(self):
        self.asked += 1
        if self.sts:
            raise self.sts
        return "arn"

    async def upstream(self, _token):
        if self.eks:
            raise self.eks
        return PodCredentials("ASIA", "s", "t", self.now + timedelta(hours=1))

    async def pod_asks(self):
        try:
            await self.fetch("t")
        except (AwsPermanent, AwsTransient) as error:
            return error.code
        return ""


def failure(kind, code):
    return kind(Said("x", code, "no"))


async def test_without_an_identity_of_its_own_it_is_not_ready_until_it_has_one():
    world = World()
    world.sts = failure(AwsPermanent, "NoCredentials")
    assert "the agent's own identity: NoCredentials" in await world.readiness.trouble()
    world.sts = None
    assert await world.readiness.trouble() == ""


async def test_it_is_asked_once_in_a_while_and_never_while_pods_show_it():
    world = World()
    for _ in range(10):
        assert await world.readiness.trouble() == ""
    assert world.asked == 1
    world.now += PROVEN_FOR
    await world.pod_asks()
    await world.readiness.trouble()
    assert world.asked == 1
    world.now += PROVEN_FOR
    await world.readiness.trouble()
    assert world.asked == 2


async def test_while_eks_auth_is_away_it_says_so_and_a_refusal_of_one_pod_says_that_it_is_back():
    world = World()
    world.eks = failure(AwsTransient, "ThrottlingException")
    assert await world.pod_asks() == "ThrottlingException"
    assert await world.readiness.trouble() == "EKS Auth: ThrottlingException: no"
    world.eks = failure(AwsPermanent, "ResourceNotFoundException")
    await world.pod_asks()
    assert await world.readiness.trouble() == ""


async def test_an_sts_that_hangs_is_an_answer_in_time_and_many_probes_ask_once(monkeypatch):
    monkeypatch.setattr(module, "ASK_SECONDS", 0.0)
    world = World()

    async def hangs():
        world.asked += 1
        await asyncio.Event().wait()

    readiness = Readiness(hangs, now=lambda: NOON)
    assert "gave no answer" in await readiness.trouble()


@pytest.mark.parametrize("many", [20])
async def test_many_probes_at_once_ask_once(many):
    world = World()
    assert set(await asyncio.gather(*(world.readiness.trouble() for _ in range(many)))) == {""}
    assert world.asked == 1
