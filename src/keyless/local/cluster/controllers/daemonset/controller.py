"""Keep DaemonSets at one pod for each node."""

from __future__ import annotations

from keyless.kube import KubeObject
from keyless.kube.resources import DAEMONSETS, NODES, PODS
from keyless.local.cluster.controllers.daemonset.plan import Plan, plan, status
from keyless.local.cluster.controllers.workloads import adopt, create_pod, delete_pod, release_all, write_status
from keyless.local.cluster.controllers.world import World

COMPONENT = "daemonset-controller"


async def reconcile(world: World, namespace: str, name: str) -> float | None:
    """One pass over one DaemonSet."""
    daemon_set = world.get(DAEMONSETS, name, namespace)
    if daemon_set is None:
        return None
    nodes = world.list(NODES)
    decided = plan(daemon_set, world.list(PODS, namespace), nodes, world.now())
    try:
        await _apply(world, daemon_set, decided)
    finally:
        new = status(daemon_set, world.list(PODS, namespace), nodes, world.now())
        await write_status(world, DAEMONSETS, daemon_set, new)
    seconds = daemon_set["spec"].get("minReadySeconds")
    waiting = new["numberReady"] != new.get("numberAvailable", 0)
    return float(seconds) if seconds and waiting else None


async def _apply(world: World, daemon_set: KubeObject, decided: Plan) -> None:
    await adopt(world, PODS, decided.claim, daemon_set, DAEMONSETS)
    await release_all(world, PODS, decided.claim, daemon_set)
    for pod in decided.delete:
        await delete_pod(world, daemon_set, pod, COMPONENT)
    for pod in decided.create:
        await create_pod(world, daemon_set, pod, COMPONENT)
