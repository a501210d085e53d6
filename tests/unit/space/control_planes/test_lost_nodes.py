"""A node that went with a pod on it: who reads the control plane knows which, since when, and what may be done."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.kube import Forbidden, KubeObject
from keyless.kube.errors import failure_status
from keyless.kube.resources import DEPLOYMENTS, NODES, PODS, STATEFULSETS
from keyless.kube.transport import Request
from keyless.space.control_planes.lost_nodes import suspects, told
from keyless.space.values import Values
from unit.space.world import BILLING, CTP1, World

OWN = Values(mode="kubernetes", billing=BILLING)
SILENT = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
          "message": "Kubelet stopped posting node status.", "lastTransitionTime": "2026-11-22T12:00:40Z"}  # fmt: skip
"""As kube-controller-manager writes it when a kubelet has been silent for 50 s."""
SICK = {**SILENT, "status": "False", "reason": "KubeletNotReady", "message": "container runtime is down"}
TAINT = "kubectl taint nodes n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"


def _node(*conditions: KubeObject, taints: Any = ()) -> KubeObject:
    return {"metadata": {"name": "n1"}, "spec": {"taints": [*taints]}, "status": {"conditions": [*conditions]}}


def _pod(name: str = "control-plane-0", *, ready: str = "False", **metadata: object) -> KubeObject:
    """As the API server shows it: the controllers say not ready, and its kubelet's last word is that it runs."""
    return {
        "metadata": {"name": name, **metadata},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


TERMINATING = {"deletionTimestamp": "2026-11-22T12:06:10Z", "deletionGracePeriodSeconds": 30}


@pytest.mark.parametrize("pod", [_pod(), _pod(**TERMINATING), _pod(ready="True", **TERMINATING)])
def test_a_node_that_is_silent_is_told_with_its_name_since_when_and_the_step(pod: KubeObject) -> None:
    assert suspects([pod]) == ("n1",)
    found = told([pod], {"n1": _node(SILENT)})
    assert "pod control-plane-0 is on node n1, which has not reported since 2026-11-22T12:00:40Z" in found
    assert f"only where it is off for good `{TAINT}` has the pod made elsewhere" in found
    assert "all goes on by itself" in found


@pytest.mark.parametrize(
    ("pod", "nodes", "words"),
    [
        (_pod(), {"n1": None}, "which is no node of the cluster any more: Kubernetes removes it"),
        (
            _pod(),
            {"n1": _node(SILENT, taints=[{"key": "node.kubernetes.io/out-of-service"}])},
            "when n1 is back `kubectl taint nodes n1 node.kubernetes.io/out-of-service-`",
        ),
        (_pod(), {"n1": _node(SICK)}, ""),
        (_pod(), {"n1": _node({**SILENT, "status": "True"})}, ""),
        (_pod(), {"n1": _node()}, ""),
        (_pod(), {"n1": {"metadata": {"name": "n1"}}}, ""),
        (_pod(), {}, ""),
        (_pod(ready="True"), {"n1": _node(SILENT)}, ""),
        ({"metadata": {"name": "waits"}, "spec": {}}, {"n1": _node(SILENT)}, ""),
    ],
)
def test_what_is_told_is_what_is_known(pod: KubeObject, nodes: Any, words: str) -> None:
    found = told([pod], nodes)
    assert words in found
    assert bool(found) == bool(words)


@pytest.fixture
async def world():
    made = World(OWN)
    yield made
    await made.tenants.aclose()


async def _lost(world: World) -> str:
    """Its node is silent, with its API server's pod and its collector's on it; the host namespace."""
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    world.host.put(NODES, _node(SILENT))
    world.broken = True
    (owner,) = world._objects(STATEFULSETS)
    world.host.put(STATEFULSETS, {**owner, "status": {**owner["status"], "readyReplicas": 0}})
    world._end_pods = world._start_pods = lambda: False
    labels = {**owner["metadata"]["labels"], "controller-revision-hash": owner["status"]["updateRevision"]}
    world.webhook = False
    world.host.put(PODS, _pod(namespace=namespace, labels=labels))
    return namespace


async def test_a_control_plane_on_it_says_so_and_nothing_is_forced(world: World) -> None:
    await _lost(world)
    world.host.calls.clear()
    for _ in range(6):
        await world.loop.reconcile(CTP1)
    ready = await world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "NodeLost")
    assert TAINT in ready["message"]
    assert TAINT in (await world.plane())["status"]["message"]
    assert not [each for each in world.host.calls if each.startswith("DELETE") or "/nodes/n1" in each[4:7]]


async def test_all_goes_on_when_it_is_back(world: World) -> None:
    namespace = await _lost(world)
    for _ in range(6):
        await world.loop.reconcile(CTP1)
    world.host.put(NODES, _node({**SILENT, "status": "True"}))
    world.host.put(
        PODS, {**await world.host.get(PODS, "control-plane-0", namespace), "status": _pod(ready="True")["status"]}
    )
    world.broken = False
    await world.settle()
    assert (await world.condition("Ready"))["reason"] == "Available"


async def test_components_on_it_say_so_too(world: World) -> None:
    world.create()
    await world.settle()
    namespace = await world.host_namespace()
    world.host.put(NODES, _node(SILENT))
    (pod,) = [each for each in world._objects(PODS) if each["metadata"]["name"].startswith("vector")]
    deployment = await world.host.get(DEPLOYMENTS, "vector", namespace)
    world.host.put(DEPLOYMENTS, {**deployment, "status": {"availableReplicas": 0}})
    world._end_pods = world._start_pods = lambda: False
    lost = _pod(pod["metadata"]["name"])
    world.host.put(PODS, {**pod, "spec": {**pod["spec"], **lost["spec"]}, "status": lost["status"]})
    for _ in range(3):
        await world.loop.reconcile(CTP1)
    found = await world.condition("ComponentsAvailable")
    assert (found["status"], found["reason"]) == ("False", "ComponentsUnavailable")
    assert TAINT in found["message"]
    assert (await world.condition("Ready"))["status"] == "True"


async def test_an_operator_that_may_not_read_nodes_goes_on_as_before(world: World) -> None:
    await _lost(world)
    before = world.host.before

    def refuse(request: Request) -> None:
        if "/nodes/" in request.path:
            raise Forbidden(failure_status(403, "Forbidden", "no"))
        before(request)

    world.host.before = refuse
    for _ in range(6):
        await world.loop.reconcile(CTP1)
    assert (await world.condition("Ready"))["reason"] == "Creating"
