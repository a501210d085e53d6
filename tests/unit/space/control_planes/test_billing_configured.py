"""What the operator says of where usage goes, and with whose keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyless.kube.resources import DEPLOYMENTS, PERSISTENTVOLUMECLAIMS
from keyless.space.values import Billing, Persistence, Values, Workload
from unit.space.world import BILLING, ROLE, World

WITH_ROLE = Values(billing=BILLING, vector=Workload(annotations={"eks.amazonaws.com/role-arn": ROLE}))


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.tenants.aclose()


@pytest.mark.parametrize(
    ("billing", "status", "reason", "words"),
    [
        (Billing(True, "aws", ""), "False", "BillingNotConfigured", "enabled without billing.storage.aws.bucket"),
        (Billing(True, "aws", "My_Bucket"), "False", "BillingNotConfigured", "found 'My_Bucket'"),
        (Billing(True, "aws", "usage", "Oregon"), "False", "BillingNotConfigured", "found 'Oregon'"),
        (
            Billing(True, "aws", "usage", secret="mine"),
            "True",
            "StaticKeysSet",
            "workload identity is off: vector takes static keys from Secret mine",
        ),
    ],
)
async def test_where_usage_goes_is_judged_where_the_user_looks(
    world: World, billing: Billing, status: str, reason: str, words: str
) -> None:
    world.values = Values(billing=billing)
    world.create()
    await world.settle()
    told = await world.condition("BillingConfigured")
    assert (told["status"], told["reason"]) == (status, reason)
    assert words in told["message"]
    assert await world.exists(DEPLOYMENTS, "vector", await world.host_namespace()) is (status == "True")


async def test_keys_that_win_over_a_role_are_told_as_wrong(world: World) -> None:
    world.values = replace(WITH_ROLE, billing=replace(BILLING, secret="billing-storage"))
    world.create()
    await world.settle()
    told = await world.condition("BillingConfigured")
    assert (told["status"], told["reason"]) == ("False", "StaticKeysSet")
    assert f"the keys win over role {ROLE}" in told["message"]


@pytest.mark.parametrize(("volume", "kept"), [("", False), ("pv-1", True)])
async def test_left_to_choose_it_keeps_a_claim_that_has_its_volume_alone(world: World, volume: str, kept: bool) -> None:
    """Of a claim that nobody provisions a volume for, usage would wait for ever."""
    world.values = Values(billing=BILLING, persistence=Persistence(enabled=True))
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    claim = await world.host.get(PERSISTENTVOLUMECLAIMS, "vector-spool", namespace)
    world.host.put(PERSISTENTVOLUMECLAIMS, {**claim, "spec": {**claim["spec"], "volumeName": volume}})
    world.values = Values(billing=BILLING)
    await world.settle()
    pod = (await world.host.get(DEPLOYMENTS, "vector", namespace))["spec"]["template"]["spec"]
    (spool,) = [one for one in pod["volumes"] if one["name"] == "spool"]
    assert ("persistentVolumeClaim" in spool) == kept
    assert await world.exists(PERSISTENTVOLUMECLAIMS, "vector-spool", namespace)
