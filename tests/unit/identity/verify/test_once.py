"""One look asks each question once: held by random questions over regions, and by a look at many control planes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.aws import AwsPermanent, Session
from keyless.aws.errors import Said
from keyless.identity.verify.once import Once
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS
from unit.identity.verify import test_gather
from unit.identity.verify.chains import ANNOTATION, ROLE

kube = test_gather.kube
OPERATIONS = ("GetRole", "GetPolicy", "HeadBucket")


class Counting:
    """Answers with the question; ``GetPolicy`` fails."""

    def __init__(self, region: str = "eu-west-1", asked: Counter[str] | None = None) -> None:
        self.region, self.asked = region, Counter() if asked is None else asked

    def in_region(self, region: str) -> Counting:
        """The same count elsewhere."""
        return Counting(region, self.asked)

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        question = f"{self.region} {service} {operation} {params}"
        self.asked[question] += 1
        await asyncio.sleep(0)
        if operation == "GetPolicy":
            raise AwsPermanent(Said(operation, "AccessDenied", question))
        return {"is": question}


questions = st.tuples(st.sampled_from(("eu-west-1", "us-west-2")), st.sampled_from(OPERATIONS), st.integers(1, 3))


@effort(60)
@given(st.lists(questions, min_size=1, max_size=30))
def test_the_same_question_is_asked_once_and_each_has_its_own_answer(asked: list[tuple[str, str, int]]) -> None:
    aws = Counting()

    async def run() -> list[str]:
        once = Once(cast("Session", aws))

        async def one(region: str, operation: str, number: int) -> str:
            try:
                return str((await once.in_region(region).call("iam", operation, N=number))["is"])
            except AwsPermanent as error:
                return error.message

        return list(await asyncio.gather(*(one(*each) for each in asked)))

    answers = asyncio.run(run())
    assert answers == [f"{region} iam {operation} { ({'N': number}) }" for region, operation, number in asked]
    assert set(aws.asked.values()) == {1}
    assert len(aws.asked) == len(set(asked))


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    once = Once(cast("Session", Counting()))
    first, second = (asyncio.create_task(once.call("iam", "GetRole")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)["is"].startswith("eu-west-1 iam GetRole")


@pytest.mark.parametrize("count", [2, 12])
async def test_a_look_at_many_control_planes_asks_aws_no_more_than_at_one(kube: MemoryKube, count: int) -> None:
    alone = test_gather.healthy()
    await test_gather.read(kube, alone)
    for number in range(2, count + 1):
        namespace = f"mxp-{number}-system"
        status = {"hostNamespace": namespace, "conditions": []}
        await kube.create(NAMESPACES, {"metadata": {"name": namespace}})
        await kube.create(
            CONTROLPLANES, {"metadata": {"name": f"ctp{number}", "namespace": "default"}, "status": status}
        )
        account = {"name": "vector", "namespace": namespace, "annotations": {ANNOTATION: ROLE}}
        await kube.create(SERVICEACCOUNTS, {"metadata": account})
        await kube.create(DEPLOYMENTS, {"metadata": {"name": "vector", "namespace": namespace}, "spec": {}})
        made = test_gather.pod(f"vector-{number}", namespace=namespace)
        await kube.create(PODS, made)
    many = test_gather.healthy()
    found = await test_gather.read(kube, many)
    assert len(found) == count
    assert sorted(many.calls) == sorted(alone.calls)
