"""Two teams in two control planes: resources appear and vanish, and what was used is stored at once."""

from __future__ import annotations

import asyncio
from typing import Any

from keyless.cli.demo import objects, stand_ins
from keyless.cli.demo.following import SECOND
from keyless.cli.demo.looks import WAIT_SECONDS
from keyless.cli.demo.stage import Stage, until
from keyless.kube import NotFound, Resource, is_true
from keyless.kube.resources import CONTROLPLANES, CRDS, DEPLOYMENTS

PLANES = ("ctp1", SECOND)


async def appeared(stage: Stage, vpcs: Resource) -> str:
    """The kind and its resources in the second control plane."""
    async with stage.second() as second:
        await stand_ins.apply(second, [objects.vpc_crd()], CRDS)

        async def served() -> dict[str, Any] | None:
            found = await second.get(CRDS, "vpcs.ec2.aws.upbound.io")
            return found if is_true(found, "Established") else None

        await until(served, seconds=WAIT_SECONDS, what="expected the kind VPC to be established")
        return await stand_ins.apply(second, objects.second_vpcs(), vpcs)


async def vanished(stage: Stage, vpcs: Resource) -> str:
    """One of each control plane."""
    async with stage.second() as second:
        await stage.tenant.delete(vpcs, "batch")
        await second.delete(vpcs, "crawler")
    return 'vpc.ec2.aws.upbound.io "batch" deleted\nvpc.ec2.aws.upbound.io "crawler" deleted'


async def restarted(stage: Stage) -> str:
    """``kubectl rollout restart deployment vector`` in both host namespaces: it stores all it has."""
    told = [await stand_ins.rollout_restart(stage, "vector", await _place(stage, name)) for name in PLANES]
    return "\n".join(told)


async def stored(stage: Stage) -> str:
    """How far each has stored since; a new pod has followed the old one."""
    return "\n".join(await asyncio.gather(*(_stored(stage, name) for name in PLANES)))


async def _stored(stage: Stage, name: str) -> str:
    place = await _place(stage, name)

    async def ask() -> str | None:
        try:
            found = await stage.host.get(DEPLOYMENTS, "vector", place)
        except NotFound:
            return None
        status, wanted = found.get("status") or {}, found["metadata"].get("generation")
        if status.get("observedGeneration") != wanted or status.get("updatedReplicas") != 1:
            return None
        if status.get("availableReplicas") != 1 or status.get("replicas") != 1:
            return None
        plane = await stage.host.get(CONTROLPLANES, name, "default")
        told = ((plane.get("status") or {}).get("billing") or {}).get("storedTo")
        return f"{name:<8} stored up to {told}" if told else None

    what = f"expected the collector of {name} to be replaced and to have stored"
    said: str = await until(ask, seconds=WAIT_SECONDS, what=what)
    return said


async def _place(stage: Stage, name: str) -> str:
    plane = await stage.host.get(CONTROLPLANES, name, "default")
    return str(plane["status"]["hostNamespace"])
