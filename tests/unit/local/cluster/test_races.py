"""Two requests for one name while admission waits: the first that is done wins, the other is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from keyless.local.cluster import Cluster, ClusterSettings
from unit.local.cluster.support import Kubectl

MAPS = "/api/v1/namespaces/default/configmaps"


class Gate:
    """A webhook that lets everything through, once the test opens it."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.open = asyncio.Event()

    async def post(self, config: Mapping[str, Any], body: dict[str, Any], timeout_seconds: float) -> bytes:
        self.arrived.release()
        await self.open.wait()
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return orjson.dumps({**review, "response": {"uid": body["request"]["uid"], "allowed": True}})

    async def aclose(self) -> None:
        pass


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def gated(settings: ClusterSettings, gate: Gate) -> AsyncIterator[Kubectl]:
    cluster = Cluster(settings, webhooks=gate)
    kubectl = Kubectl(cluster)
    await kubectl.ok("POST", MAPS, {"metadata": {"name": "there"}, "data": {"a": "1"}})
    yield kubectl
    await cluster.aclose()


async def _guard(kubectl: Kubectl, kind: str) -> None:
    rule = {
        "operations": ["*"],
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["configmaps"],
    }
    webhook = {
        "name": "gate.example.org",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    path = f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}webhookconfigurations"
    await kubectl.ok("POST", path, {"metadata": {"name": "gate"}, "webhooks": [webhook]})


async def together(gate: Gate, *requests: Any) -> list[Any]:
    """Send all, let them go on once each waits in the webhook."""
    tasks = [asyncio.create_task(request) for request in requests]
    for _ in tasks:
        await gate.arrived.acquire()
    gate.open.set()
    return await asyncio.gather(*tasks)


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_of_two_creates_of_one_name_the_second_overwrites_nothing(gated: Kubectl, gate: Gate, kind: str) -> None:
    await _guard(gated, kind)
    bodies = [{"metadata": {"name": "m"}, "data": {"who": who}} for who in ("first", "second")]
    answers = await together(gate, *(gated("POST", MAPS, body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, 409]
    refused = next(answer for answer in answers if answer.status == 409)
    assert refused.body["reason"] == "AlreadyExists"
    made = next(answer for answer in answers if answer.status == 201)
    assert (await gated.ok("GET", f"{MAPS}/m"))["metadata"]["uid"] == made.body["metadata"]["uid"]


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_two_changes_from_one_version_do_not_both_succeed(gated: Kubectl, gate: Gate, kind: str) -> None:
    there = await gated.ok("GET", f"{MAPS}/there")
    await _guard(gated, kind)
    answers = await together(
        gate, *(gated("PUT", f"{MAPS}/there", {**there, "data": {"a": value}}) for value in ("2", "3"))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_a_change_of_what_is_deleted_meanwhile_does_not_bring_it_back(
    gated: Kubectl, gate: Gate, kind: str
) -> None:
    await _guard(gated, kind)
    change = asyncio.create_task(gated("PUT", f"{MAPS}/there", {"metadata": {"name": "there"}, "data": {"a": "2"}}))
    await gate.arrived.acquire()
    entry = next(e for e in gated.cluster.store.list("keyless", "", "configmaps") if e.key.name == "there")
    gated.cluster.store.delete(entry.key)
    gate.open.set()
    assert (await change).status == 404
    assert (await gated("GET", f"{MAPS}/there")).status == 404


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_patches_of_different_fields_are_both_kept(gated: Kubectl, gate: Gate, kind: str) -> None:
    await _guard(gated, kind)
    merge = "application/merge-patch+json"
    answers = await together(
        gate,
        *(gated("PATCH", f"{MAPS}/there", {"data": {key: "x"}}, content_type=merge) for key in ("b", "c")),
    )
    assert [answer.status for answer in answers] == [200, 200]
    assert (await gated.ok("GET", f"{MAPS}/there"))["data"] == {"a": "1", "b": "x", "c": "x"}


async def test_nothing_is_made_in_a_namespace_that_went_while_a_webhook_was_asked(gated: Kubectl, gate: Gate) -> None:
    await gated.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "going"}})
    await _guard(gated, "Mutating")
    path = "/api/v1/namespaces/going/configmaps"
    made = asyncio.create_task(gated("POST", path, {"metadata": {"name": "m"}}))
    await gate.arrived.acquire()
    await gated.ok("DELETE", "/api/v1/namespaces/going")
    gate.open.set()
    assert (await made).status == 403
