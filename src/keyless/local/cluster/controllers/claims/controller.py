"""Bind claims to volumes, and let volumes go with their claims."""

from __future__ import annotations

from contextlib import suppress

from keyless.kube import AlreadyExists, NotFound
from keyless.kube.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES
from keyless.local.cluster.controllers.claims.plan import is_abandoned, plan, volume_name
from keyless.local.cluster.controllers.workloads import tell, write_status
from keyless.local.cluster.controllers.world import World

COMPONENT = "persistentvolume-controller"


async def reconcile_claim(world: World, namespace: str, name: str) -> None:
    """One step for one claim; each write brings the next."""
    claim = world.get(PERSISTENTVOLUMECLAIMS, name, namespace)
    if claim is None:
        return
    volume = world.get(PERSISTENTVOLUMES, volume_name(claim))
    decided = plan(claim, volume)
    if decided.volume:
        with suppress(AlreadyExists):
            await world.kube.create(PERSISTENTVOLUMES, decided.volume)
        message = f"Successfully provisioned volume {volume_name(claim)}"
        await tell(world, claim, ("Normal", "ProvisioningSucceeded", message), COMPONENT)
    if decided.bind:
        await world.kube.patch(PERSISTENTVOLUMECLAIMS, name, decided.bind, namespace)
    if decided.volume_status and volume:
        await write_status(world, PERSISTENTVOLUMES, volume, decided.volume_status)
    if decided.claim_status:
        await write_status(world, PERSISTENTVOLUMECLAIMS, claim, decided.claim_status)


async def reconcile_volume(world: World, name: str) -> None:
    """Remove a volume whose claim is gone; the node removes the folder."""
    volume = world.get(PERSISTENTVOLUMES, name)
    if volume is None:
        return
    reference = volume["spec"].get("claimRef") or {}
    claim = world.get(PERSISTENTVOLUMECLAIMS, reference.get("name", ""), reference.get("namespace", ""))
    if is_abandoned(volume, claim):
        with suppress(NotFound):
            await world.kube.delete(PERSISTENTVOLUMES, name, uid=volume["metadata"]["uid"])
