"""Bring Deployments forward: gather, plan, apply one round, write the status."""

from __future__ import annotations

from keyless.kube import AlreadyExists, KubeObject, NotFound, condition_of
from keyless.kube.resources import DEPLOYMENTS, PODS, REPLICASETS
from keyless.local.cluster.controllers.deployment.model import Scale, replicas, sets_of, size_annotations
from keyless.local.cluster.controllers.deployment.plan import Plan, plan, status
from keyless.local.cluster.controllers.deployment.status import Said, seconds_left
from keyless.local.cluster.controllers.owners import claim, is_controlled_by
from keyless.local.cluster.controllers.pods import same_template
from keyless.local.cluster.controllers.workloads import adopt, release_all, tell, write_status
from keyless.local.cluster.controllers.world import World

COMPONENT = "deployment-controller"


async def reconcile(world: World, namespace: str, name: str) -> float | None:
    """One pass over one Deployment; returns when its deadline must be looked at again."""
    deployment = world.get(DEPLOYMENTS, name, namespace)
    if deployment is None:
        return None
    claimed = claim(deployment, world.list(REPLICASETS, namespace))
    await adopt(world, REPLICASETS, claimed, deployment, DEPLOYMENTS)
    await release_all(world, REPLICASETS, claimed, deployment)
    decided = plan(deployment, _own_sets(world, deployment), world.list(PODS, namespace))
    collisions: int | None = (deployment.get("status") or {}).get("collisionCount")
    said = decided.progressing
    if decided.create is not None:
        made = await _create(world, deployment, decided.create)
        if made is None:
            collisions = (collisions or 0) + 1  # the next hash differs: the count is part of it
        said = made or said
    else:
        await _change(world, deployment, decided)
    return await _write_status(world, namespace, name, said, collisions)


async def _change(world: World, deployment: KubeObject, decided: Plan) -> None:
    new, metadata = decided.sets.new, deployment["metadata"]
    if new is not None and decided.annotate_set:
        patch = {"metadata": {"annotations": decided.annotate_set}}
        await world.kube.patch(REPLICASETS, new["metadata"]["name"], patch, metadata["namespace"])
    if decided.annotate_deployment:
        patch = {"metadata": {"annotations": decided.annotate_deployment}}
        await world.kube.patch(DEPLOYMENTS, metadata["name"], patch, metadata["namespace"])
    for step in decided.scale:
        await _scale(world, deployment, step)
    for old in decided.delete:
        await _forget(world, old)


async def _create(world: World, deployment: KubeObject, replica_set: KubeObject) -> Said | None:
    """Make the new ReplicaSet; None when its name belongs to something else."""
    metadata = replica_set["metadata"]
    said = "True", "NewReplicaSetCreated", f'Created new replica set "{metadata["name"]}"'
    try:
        await world.kube.create(REPLICASETS, replica_set)
    except AlreadyExists:
        known = world.get(REPLICASETS, metadata["name"], metadata["namespace"])
        ours = known is not None and is_controlled_by(known, deployment)
        same = known is not None and same_template(known["spec"]["template"], deployment["spec"]["template"])
        return said if ours and same else None
    wanted = replicas(replica_set)
    if wanted:
        message = f"Scaled up replica set {metadata['name']} from 0 to {wanted}"
        await tell(world, deployment, ("Normal", "ScalingReplicaSet", message), COMPONENT)
    return said


async def _scale(world: World, deployment: KubeObject, step: Scale) -> None:
    metadata, before = step.replica_set["metadata"], replicas(step.replica_set)
    patch = {
        # The version guards the decision: it was made from exactly this state.
        "metadata": {"annotations": size_annotations(deployment), "resourceVersion": metadata["resourceVersion"]},
        "spec": {"replicas": step.replicas},
    }
    current = world.get(REPLICASETS, metadata["name"], metadata["namespace"])
    if current is not None and replicas(current) == before:
        patch["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"]
    await world.kube.patch(REPLICASETS, metadata["name"], patch, metadata["namespace"])
    if step.replicas != before:
        way = "up" if step.replicas > before else "down"
        message = f"Scaled {way} replica set {metadata['name']} from {before} to {step.replicas}"
        await tell(world, deployment, ("Normal", "ScalingReplicaSet", message), COMPONENT)


async def _forget(world: World, replica_set: KubeObject) -> None:
    metadata = replica_set["metadata"]
    try:
        await world.kube.delete(REPLICASETS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
    except NotFound:
        return


async def _write_status(
    world: World, namespace: str, name: str, said: Said | None, collisions: int | None
) -> float | None:
    deployment = world.get(DEPLOYMENTS, name, namespace)
    if deployment is None:
        return None
    sets = sets_of(deployment, _own_sets(world, deployment))
    new = status(deployment, sets, said, collisions, world.now())
    await write_status(world, DEPLOYMENTS, deployment, new)
    left = seconds_left(deployment, condition_of(new["conditions"], "Progressing"), world.now())
    return None if left is None else max(left, 0.0) + 1.0


def _own_sets(world: World, deployment: KubeObject) -> tuple[KubeObject, ...]:
    return claim(deployment, world.list(REPLICASETS, deployment["metadata"]["namespace"])).owned
