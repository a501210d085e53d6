"""Make and remove logical clusters as LogicalCluster objects of the host come and go."""

from __future__ import annotations

from contextlib import suppress
from importlib import resources
from typing import Protocol

import yaml

from keyless.kube import AlreadyExists, KubeObject
from keyless.kube.resources import CRDS, LOGICALCLUSTERS
from keyless.local.cluster.controllers.logical_clusters.plan import FINALIZER, OWNER, Facts, plan
from keyless.local.cluster.controllers.workloads import write_status
from keyless.local.cluster.controllers.world import World

DEFINITION = f"{LOGICALCLUSTERS.plural}.{LOGICALCLUSTERS.group}"
REVISION = "keyless.dev/revision"
"""Counted up in the carried definition whenever it changes, so that an older one in the state is replaced."""


class Clusters(Protocol):
    """Who makes and removes clusters."""

    def has(self, name: str) -> bool:
        """Whether it is there, whole."""
        ...

    def ensure_cluster(self, name: str, owner: str | None = None) -> None:
        """Make it if it is missing."""
        ...

    def remove_cluster(self, name: str) -> None:
        """Remove it with everything in it; nothing happens if it is gone already."""
        ...


def definition() -> KubeObject:
    """The CustomResourceDefinition, as carried."""
    parsed: KubeObject = yaml.safe_load(resources.files(__package__).joinpath("crd.yaml").read_text())
    return parsed


async def install(world: World) -> None:
    """Bring the definition into the host cluster, or up to date; the server's defaults in it are left alone."""
    wanted, found = definition(), world.get(CRDS, DEFINITION)
    if found is None:
        with suppress(AlreadyExists):
            await world.kube.create(CRDS, wanted)
    elif (found["metadata"].get("annotations") or {}).get(REVISION) != wanted["metadata"]["annotations"][REVISION]:
        metadata = {"annotations": wanted["metadata"]["annotations"]}
        await world.kube.patch(CRDS, DEFINITION, {"metadata": metadata, "spec": wanted["spec"]})


async def reconcile(world: World, clusters: Clusters, facts: Facts, name: str) -> None:
    """One pass over one LogicalCluster of the host."""
    obj = world.get(LOGICALCLUSTERS, name)
    if obj is None:
        return
    decided = plan(obj, facts, world.now())
    if decided.add_finalizer:
        obj = await _set_finalizers(world, obj, [*(obj["metadata"].get("finalizers") or ()), FINALIZER])
    if decided.ensure and not clusters.has(name):
        clusters.ensure_cluster(name, (obj["metadata"].get("annotations") or {}).get(OWNER))
    if decided.status:
        await write_status(world, LOGICALCLUSTERS, obj, decided.status)
    if decided.remove:
        clusters.remove_cluster(name)
    if decided.drop_finalizer:
        kept = [one for one in obj["metadata"]["finalizers"] if one != FINALIZER]
        await _set_finalizers(world, obj, kept)


async def _set_finalizers(world: World, obj: KubeObject, finalizers: list[str]) -> KubeObject:
    version = obj["metadata"]["resourceVersion"]
    patch = {"metadata": {"finalizers": finalizers or None, "resourceVersion": version}}
    return await world.kube.patch(LOGICALCLUSTERS, obj["metadata"]["name"], patch)
