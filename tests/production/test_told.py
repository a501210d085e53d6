"""Pods come out equal, whether a policy or the webhook tells them of the cloud: on API servers with and without it.

No node takes part: two API servers on loopback. ``KEYLESS_RECORD=1`` writes what came out, which the fast tests hold
the webhook to.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.told_pods.shapes import PODS, outline, plain
from production.binaries import built
from production.told import WITHOUT_POLICIES, Told

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
POLICY = {"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
AT = "/apis/admissionregistration.k8s.io/v1/"
WEBHOOK = {"mutatingwebhookconfigurations"}
RECORDED = Path(__file__).parents[1] / "conformance" / "told_pods" / "recorded.json"


@pytest.fixture(scope="module")
def by_policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    yield from _told(Told(tmp_path_factory.mktemp("p"), built()))


@pytest.fixture(scope="module")
def by_webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    yield from _told(Told(tmp_path_factory.mktemp("w"), built(), *WITHOUT_POLICIES))


def _told(found: Told) -> Iterator[Told]:
    try:
        asyncio.run(found.up())
        yield found
    finally:
        found.down()


async def both(by_policy: Told, by_webhook: Told, asked: dict[str, Any]) -> tuple[Any, Any]:
    """What comes of a pod in either cluster, without what is of its own each time."""
    one, other = await by_policy.made(asked), await by_webhook.made(asked)
    return plain(one, by_policy.authority), plain(other, by_webhook.authority)


async def test_each_cluster_has_the_one_that_it_can_have(by_policy: Told, by_webhook: Told) -> None:
    assert await by_policy.registered() == POLICY
    assert await by_webhook.registered() == WEBHOOK


@pytest.mark.parametrize("asked", PODS.values(), ids=PODS)
async def test_a_pod_comes_out_equal_of_both(by_policy: Told, by_webhook: Told, asked: dict[str, Any]) -> None:
    one, other = await both(by_policy, by_webhook, asked)
    assert one["kind"] == "Pod", one
    assert one == other
    spared = asked["metadata"].get("labels") or asked["metadata"].get("namespace")
    for kind in ("containers", "initContainers"):
        for container in one["spec"].get(kind, ()):
            told = {each["name"] for each in container.get("env") or ()} >= {"AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"}
            assert told is not bool(spared), container


@pytest.mark.parametrize("asked", PODS.values(), ids=PODS)
async def test_a_pod_that_is_made_again_as_it_came_out_stays_as_it_is(
    by_policy: Told, by_webhook: Told, asked: dict[str, Any]
) -> None:
    for cluster in (by_policy, by_webhook):
        made = plain(await cluster.made(asked))
        again = plain(await cluster.made(made))
        assert again == made


async def test_what_comes_out_is_what_the_fast_tests_hold_the_webhook_to(by_policy: Told) -> None:
    found = {name: outline(plain(await by_policy.made(asked), by_policy.authority)) for name, asked in PODS.items()}
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    if os.environ.get("KEYLESS_RECORD"):
        RECORDED.write_text(text)
    assert RECORDED.read_text() == text


async def test_what_somebody_spoils_is_brought_back(by_webhook: Told) -> None:
    async with by_webhook.client() as client:
        await client.delete(AT + "mutatingwebhookconfigurations/keyless-cloud")
    async with asyncio.timeout(90):
        while await by_webhook.registered() != WEBHOOK:
            await asyncio.sleep(0.5)
    await by_webhook.in_force()


async def test_a_cluster_that_can_have_the_other_one_now_has_that_alone(by_policy: Told) -> None:
    for flags, registered in ((("--told-by=webhook",), WEBHOOK), ((), POLICY)):
        by_policy.end_cloud()
        by_policy.start_cloud(*flags)
        assert await by_policy.registered() == registered
        await by_policy.in_force()


async def test_while_the_webhook_is_away_no_pod_is_made_that_would_ask_aws_itself(by_webhook: Told) -> None:
    by_webhook.end_cloud()
    try:
        refused = await by_webhook.made(PODS["one container"])
        assert (refused["kind"], refused["code"]) == ("Status", 500), refused
        assert "pods.cloud.keyless.dev" in refused["message"]
        for name in ("a pod that skips it", "a pod of the cluster's own"):
            assert (await by_webhook.made(PODS[name]))["kind"] == "Pod"
    finally:
        by_webhook.start_cloud()
        await by_webhook.in_force()
