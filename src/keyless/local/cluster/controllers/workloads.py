"""The writes that all workload controllers share, with the events Kubernetes records for them."""

from __future__ import annotations

import re
from contextlib import suppress

from keyless.api import KeylessError, Transient
from keyless.kube import KubeObject, NotFound, Resource, record
from keyless.kube.events import EventLevel
from keyless.kube.resources import PODS
from keyless.local.cluster.controllers.owners import Claim, adoption, release
from keyless.local.cluster.controllers.world import World


async def tell(
    world: World,
    involved: KubeObject,
    told: tuple[EventLevel, str, str],
    component: str,
) -> None:
    """Record an event (level, reason, message); a namespace that ends takes none, and the work goes on."""
    level, reason, message = told
    with suppress(KeylessError):
        await record(world.kube, involved, type=level, reason=reason, message=message, component=component)


async def adopt(world: World, res: Resource, claim: Claim, owner: KubeObject, owner_res: Resource) -> None:
    """Take over what was claimed."""
    for child in claim.adopted:
        metadata = child["metadata"]
        await world.kube.patch(res, metadata["name"], adoption(child, owner, owner_res), metadata["namespace"])


async def release_all(world: World, res: Resource, claim: Claim, owner: KubeObject) -> None:
    """Let go of what no longer fits the selector."""
    for child in claim.released:
        metadata = child["metadata"]
        await world.kube.patch(res, metadata["name"], release(child, owner), metadata["namespace"])


async def create_pod(world: World, owner: KubeObject, pod: KubeObject, component: str) -> None:
    """Make a pod and tell of it, or of why it was refused (admission, quota, a namespace that ends)."""
    try:
        made = await world.kube.create(PODS, pod, owner["metadata"]["namespace"])
    except KeylessError as error:
        refused = _as_transient(error, pod["metadata"]["generateName"])
        await tell(world, owner, ("Warning", "FailedCreate", f"Error creating: {refused}"), component)
        raise refused from error
    await tell(world, owner, ("Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}"), component)


def _as_transient(error: KeylessError, prefix: str) -> Transient:
    """What refuses a pod (an account, a quota, a webhook) may come or go without a trace on its owner: try again.

    The generated name is taken out of the text, as in Kubernetes: each try has another, and each would be news.
    """
    text = re.sub(re.escape(prefix) + "[a-z0-9]{5}", prefix, str(error))
    return Transient(text, retry_after_seconds=getattr(error, "retry_after_seconds", None))


async def delete_pod(world: World, owner: KubeObject, pod: KubeObject, component: str) -> None:
    """Remove a pod and tell of it; one that is gone already needs no telling."""
    metadata = pod["metadata"]
    try:
        await world.kube.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
    except NotFound:
        return
    except KeylessError as error:
        await tell(world, owner, ("Warning", "FailedDelete", f"Error deleting: {error}"), component)
        raise
    await tell(world, owner, ("Normal", "SuccessfulDelete", f"Deleted pod: {metadata['name']}"), component)


async def write_status(world: World, res: Resource, obj: KubeObject, status: KubeObject) -> None:
    """Store the status if it differs; an object that went meanwhile needs none."""
    if (obj.get("status") or {}) == status:
        return
    with suppress(NotFound):
        await world.kube.replace(res, {**obj, "status": status}, subresource="status")
