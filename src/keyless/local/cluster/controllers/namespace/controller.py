"""Empty namespaces that end, then let them go."""

from __future__ import annotations

from keyless.api import KeylessError
from keyless.kube import KubeObject, NotFound, Resource
from keyless.kube.resources import NAMESPACES
from keyless.local.cluster.controllers.namespace.plan import plan, status, without_finalizer
from keyless.local.cluster.controllers.workloads import write_status
from keyless.local.cluster.controllers.world import World

AGAIN_SECONDS = 5.0
"""Changes of the content wake the controller; this is for content that never changes."""


async def reconcile(world: World, name: str) -> float | None:
    """One pass over one namespace."""
    namespace = world.get(NAMESPACES, name)
    if namespace is None:
        return None
    decided = plan(namespace, world.content(name))
    failures: list[str] = []
    for res, obj in decided.delete:
        try:
            await _delete(world, res, obj, name)
        except KeylessError as error:
            failures.append(str(error))
    if not decided.delete and not decided.finish and not namespace["metadata"].get("deletionTimestamp"):
        return None
    return await _finish(world, name, failures)


async def _delete(world: World, res: Resource, obj: KubeObject, namespace: str) -> None:
    metadata = obj["metadata"]
    try:
        await world.kube.delete(res, metadata["name"], namespace, uid=metadata["uid"])
    except NotFound:
        return


async def _finish(world: World, name: str, failures: list[str]) -> float | None:
    """Look again at what is left: say so, or end."""
    namespace = world.get(NAMESPACES, name)
    if namespace is None:
        return None
    content = world.content(name)
    if plan(namespace, content).finish:
        await world.kube.replace(NAMESPACES, without_finalizer(namespace), subresource="finalize")
        return None
    await write_status(world, NAMESPACES, namespace, status(namespace, content, failures, world.now()))
    return AGAIN_SECONDS
