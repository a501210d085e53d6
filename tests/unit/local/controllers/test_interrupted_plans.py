"""Every plan of several steps, stopped after any of them, is continued to the same end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyless.api import KeylessError
from keyless.kube import Unavailable, timestamp
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import (
    DAEMONSETS,
    DEPLOYMENTS,
    LOGICALCLUSTERS,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
)
from keyless.local.cluster.controllers.accounts import controller as accounts
from keyless.local.cluster.controllers.claims import controller as claims
from keyless.local.cluster.controllers.daemonset import controller as daemonset
from keyless.local.cluster.controllers.deployment import controller as deployment
from keyless.local.cluster.controllers.logical_clusters import controller as logical_clusters
from keyless.local.cluster.controllers.logical_clusters.plan import OWNER, Facts
from keyless.local.cluster.controllers.replicaset import controller as replicaset

FACTS = Facts("https://127.0.0.1:6443", "CA", "keyless")


class MemoryWorld:
    """Controllers against the memory server, pass by pass, with a pretended node."""

    def __init__(self):
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.kube = MemoryKube(now=self.now)
        self.clusters = {}
        self.fail_at = None
        self.writes = 0
        self.kube.before = self._before

    def now(self):
        return self.time

    def get(self, res, name, namespace=""):
        found = [obj for obj in self.kube.stored(res, namespace or None) if obj["metadata"]["name"] == name]
        return found[0] if found else None

    def list(self, res, namespace=None):
        return self.kube.stored(res, namespace)

    def has(self, name):
        return name in self.clusters

    def ensure_cluster(self, name, owner=None):
        self._step()
        self.clusters[name] = owner

    def remove_cluster(self, name):
        self._step()
        self.clusters.pop(name, None)

    def _before(self, request):
        if request.method != "GET" and "/events" not in request.path:
            self._step()

    def _step(self):
        """Fail once, at the chosen write: the process dies there."""
        self.writes += 1
        if self.writes == self.fail_at:
            raise Unavailable(failure_status(503, "", "stopped here"))

    async def converge(self):
        """Pass after pass until nothing is written any more; an interrupted pass is simply followed by the next."""
        for _ in range(200):
            before = self.writes
            for one in self._passes():
                try:
                    await one
                except KeylessError:
                    continue
            if self.writes == before:
                return
            self.time += timedelta(seconds=1)
        raise AssertionError("no end in sight")

    def _passes(self):
        for res, work in ((DEPLOYMENTS, deployment), (REPLICASETS, replicaset), (DAEMONSETS, daemonset)):
            for obj in self.list(res):
                yield work.reconcile(self, obj["metadata"]["namespace"], obj["metadata"]["name"])
        for claim in self.list(PERSISTENTVOLUMECLAIMS):
            yield claims.reconcile_claim(self, claim["metadata"]["namespace"], claim["metadata"]["name"])
        for volume in self.list(PERSISTENTVOLUMES):
            yield claims.reconcile_volume(self, volume["metadata"]["name"])
        for obj in self.list(LOGICALCLUSTERS):
            yield logical_clusters.reconcile(self, self, FACTS, obj["metadata"]["name"])
        for namespace in self.list(NAMESPACES):
            yield accounts.reconcile(self, namespace["metadata"]["name"], "CA")
        self._start_pods()

    def _start_pods(self):
        for pod in self.list(PODS):
            if not pod.get("status"):
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp(self.time)}
                self.kube.put(PODS, {**pod, "status": {"phase": "Running", "conditions": [ready]}})


def web(image="one", **spec):
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
            **spec,
        },
    }


def node():
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": "local-node"}, "status": {"conditions": conditions}}


async def roll(world):
    await world.converge()
    await world.kube.patch(DEPLOYMENTS, "web", {"spec": {"template": web("two")["spec"]["template"]}}, "default")


async def start_deployment(world):
    await world.kube.create(DEPLOYMENTS, web())


async def start_recreation(world):
    await world.kube.create(DEPLOYMENTS, web(strategy={"type": "Recreate"}))
    await roll(world)


async def start_rolling(world):
    await world.kube.create(DEPLOYMENTS, web(revisionHistoryLimit=0))
    await roll(world)


async def start_scaling(world):
    await world.kube.create(DEPLOYMENTS, web())
    await world.converge()
    await world.kube.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 5}}, "default")


async def start_adoption(world):
    orphan = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}, "spec": {}}
    world.kube.put(PODS, orphan)
    spec = web()["spec"]
    await world.kube.create(REPLICASETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})


async def start_daemons(world):
    world.kube.put(NODES, node())
    spec = {key: value for key, value in web()["spec"].items() if key != "replicas"}
    await world.kube.create(DAEMONSETS, {"metadata": {"name": "agent", "namespace": "default"}, "spec": spec})
    await world.converge()
    await world.kube.patch(DAEMONSETS, "agent", {"spec": {"template": web("two")["spec"]["template"]}}, "default")


async def start_claim(world):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    await world.kube.create(PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "spool"}, "spec": spec}, "default")


async def start_claim_deletion(world):
    await start_claim(world)
    await world.converge()
    await world.kube.delete(PERSISTENTVOLUMECLAIMS, "spool", "default")


async def start_logical_cluster(world):
    metadata = {"name": "mxp-1-system", "annotations": {OWNER: "system:serviceaccount:default:spaces-operator"}}
    await world.kube.create(LOGICALCLUSTERS, {"metadata": metadata})


async def start_logical_cluster_deletion(world):
    await start_logical_cluster(world)
    await world.converge()
    await world.kube.delete(LOGICALCLUSTERS, "mxp-1-system")


def pods(world):
    return sorted(pod["spec"].get("containers", [{"image": "adopted"}])[0]["image"] for pod in world.list(PODS))


def sets(world):
    return sorted(
        (rs["spec"]["template"]["spec"]["containers"][0]["image"], rs["spec"]["replicas"])
        for rs in world.list(REPLICASETS)
    )


def rolled_out(world):
    [found] = world.list(DEPLOYMENTS)
    status = found["status"]
    return {condition["type"]: condition["reason"] for condition in status["conditions"]}


COMPLETE = {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}

SCENARIOS = {
    "a first rollout": (
        start_deployment,
        lambda w: (pods(w), sets(w), rolled_out(w)),
        (["one"] * 2, [("one", 2)], COMPLETE),
    ),
    "a rolling update": (
        start_rolling,
        lambda w: (pods(w), sets(w), rolled_out(w)),
        (["two"] * 2, [("two", 2)], COMPLETE),
    ),
    "a recreation": (
        start_recreation,
        lambda w: (pods(w), sets(w), rolled_out(w)),
        (["two"] * 2, [("one", 0), ("two", 2)], COMPLETE),
    ),
    "a scaling": (start_scaling, lambda w: (pods(w), sets(w)), (["one"] * 5, [("one", 5)])),
    "an adoption": (start_adoption, pods, ["adopted", "one"]),
    "an update of daemons": (start_daemons, pods, ["two"]),
    "a claim": (
        start_claim,
        lambda w: [
            obj["status"]["phase"] for res in (PERSISTENTVOLUMES, PERSISTENTVOLUMECLAIMS) for obj in w.list(res)
        ],
        ["Bound", "Bound"],
    ),
    "a claim's deletion": (start_claim_deletion, lambda w: w.list(PERSISTENTVOLUMES), []),
    "a logical cluster": (
        start_logical_cluster,
        lambda w: (w.clusters, w.list(LOGICALCLUSTERS)[0]["status"]["conditions"][0]["status"]),
        ({"mxp-1-system": "system:serviceaccount:default:spaces-operator"}, "True"),
    ),
    "a logical cluster's deletion": (
        start_logical_cluster_deletion,
        lambda w: (w.clusters, w.list(LOGICALCLUSTERS)),
        ({}, []),
    ),
}


async def run(scenario, fail_at=None):
    """Start the scenario, stop at the given write after its start, and let it converge; returns the writes made."""
    start, _, _ = SCENARIOS[scenario]
    world = MemoryWorld()
    await start(world)
    began = world.writes
    world.fail_at = None if fail_at is None else began + fail_at
    await world.converge()
    return world, world.writes - began


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_plan_stopped_after_any_step_converges(scenario):
    _, look, expected = SCENARIOS[scenario]
    world, steps = await run(scenario)
    assert look(world) == expected
    assert steps >= 1
    for step in range(1, steps + 1):
        world, _ = await run(scenario, fail_at=step)
        assert look(world) == expected, f"stopped at write {step} of {steps}"


async def test_what_every_namespace_has_is_made_again_when_it_goes():
    world = MemoryWorld()
    await world.converge()
    await world.kube.delete(SERVICEACCOUNTS, "default", "kube-system")
    await world.converge()
    assert world.get(SERVICEACCOUNTS, "default", "kube-system")


async def test_a_logical_cluster_named_like_the_host_is_refused_and_touches_nothing():
    world = MemoryWorld()
    await world.kube.create(LOGICALCLUSTERS, {"metadata": {"name": "keyless"}})
    await world.converge()
    [condition] = world.get(LOGICALCLUSTERS, "keyless")["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "NameTaken")
    await world.kube.delete(LOGICALCLUSTERS, "keyless")
    await world.converge()
    assert world.clusters == {}
