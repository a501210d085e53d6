"""Keep ReplicaSets at their number of pods."""

from __future__ import annotations

from keyless.api import KeylessError
from keyless.kube import KubeObject
from keyless.kube.resources import PODS, REPLICASETS
from keyless.local.cluster.controllers.owners import controller_reference
from keyless.local.cluster.controllers.pods import pod_from
from keyless.local.cluster.controllers.replicaset.plan import Plan, plan, status
from keyless.local.cluster.controllers.workloads import adopt, create_pod, delete_pod, release_all, write_status
from keyless.local.cluster.controllers.world import World

COMPONENT = "replicaset-controller"


async def reconcile(world: World, namespace: str, name: str) -> float | None:
    """One pass over one ReplicaSet; a failed write shows in the status and is then tried again."""
    replica_set = world.get(REPLICASETS, name, namespace)
    if replica_set is None:
        return None
    failure: KeylessError | None = None
    decided = plan(replica_set, world.list(PODS, namespace))
    try:
        await _apply(world, replica_set, decided)
    except KeylessError as error:
        failure = error
    told = ("FailedCreate" if decided.create else "FailedDelete", str(failure)) if failure else None
    new = status(replica_set, world.list(PODS, namespace), told, world.now())
    await write_status(world, REPLICASETS, replica_set, new)
    if failure is not None:
        raise failure
    seconds = replica_set["spec"].get("minReadySeconds")
    waiting = new.get("readyReplicas", 0) != new.get("availableReplicas", 0)
    return float(seconds) if seconds and waiting else None


async def _apply(world: World, replica_set: KubeObject, decided: Plan) -> None:
    await adopt(world, PODS, decided.claim, replica_set, REPLICASETS)
    await release_all(world, PODS, decided.claim, replica_set)
    reference = controller_reference(replica_set, REPLICASETS)
    for _ in range(decided.create):
        await create_pod(
            world, replica_set, pod_from(replica_set["spec"]["template"], replica_set, reference), COMPONENT
        )
    for pod in decided.delete:
        await delete_pod(world, replica_set, pod, COMPONENT)
