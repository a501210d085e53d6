"""Which kubelet and which container a request for logs means."""

from __future__ import annotations

import pytest

from unit.local.cluster.support import Kubectl, pod

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def two(kubectl: Kubectl) -> Kubectl:
    await kubectl.account("default")
    containers = [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]
    await kubectl.ok("POST", PODS, pod(containers=containers))
    return kubectl


async def test_a_pod_that_is_missing_is_not_found(kubectl: Kubectl) -> None:
    assert (await kubectl.refused("GET", f"{PODS}/p/log"))["message"] == 'pods "p" not found'


async def test_the_container_must_be_named_when_there_are_several(two: Kubectl) -> None:
    refusal = await two.refused("GET", f"{PODS}/p/log")
    assert refusal["message"] == "a container name must be specified for pod p, choose one of: [a b]"
    refusal = await two.refused("GET", f"{PODS}/p/log", params={"container": "c"})
    assert refusal["message"] == "container c is not valid for pod p"


async def test_a_pod_without_a_node_or_a_node_without_a_kubelet_is_told(two: Kubectl) -> None:
    asked = {"container": "a"}
    refusal = await two.refused("GET", f"{PODS}/p/log", params=asked)
    assert refusal["message"] == "pod p does not have a host assigned"
    await two.ok("POST", f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "local-node"}})
    refusal = await two.refused("GET", f"{PODS}/p/log", params=asked)
    assert 'node "local-node" has no kubelet address' in refusal["message"]
