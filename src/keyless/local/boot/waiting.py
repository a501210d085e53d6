"""Wait until the API says that something is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keyless.api import Permanent
from keyless.kube import Event, Kube, KubeObject, Resource, is_true
from keyless.kube.informer import Informer

Says = Callable[[KubeObject], str]
"""What is still missing about an object; empty when nothing is."""


async def wait_for(
    kube: Kube, res: Resource, name: str, namespace: str | None, missing: Says, *, seconds: float
) -> KubeObject:
    """Follow one object until nothing is missing; raises ``Permanent`` with what was missing last."""
    done = asyncio.Event()
    seen: list[KubeObject] = []
    last = "it does not exist"

    def look(event: Event) -> None:
        nonlocal last
        last = "it was deleted" if event.type == "DELETED" else missing(event.object)
        if not last:
            seen.append(event.object)
            done.set()

    informer = Informer(kube, res, namespace=namespace, fields=f"metadata.name={name}")
    informer.on_change(look)
    following = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        where = f"{namespace}/{name}" if namespace else name
        raise Permanent(f"{res.kind} {where}: expected to be ready within {seconds:g} s, found: {last}") from None
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return seen[-1]


def deployment_is_missing(deployment: KubeObject) -> str:
    """What a rollout still lacks. Pure."""
    status, spec = deployment.get("status") or {}, deployment["spec"]
    wanted = int(spec.get("replicas", 1))
    if int(status.get("observedGeneration") or 0) < int(deployment["metadata"].get("generation") or 0):
        return "its newest specification was not looked at yet"
    found = {key: int(status.get(key) or 0) for key in ("updatedReplicas", "availableReplicas", "replicas")}
    if all(count == wanted for count in found.values()):
        return ""
    return f"{found['availableReplicas']} of {wanted} replicas are available"


def readiness_is_missing(obj: KubeObject) -> str:
    """Why the condition Ready does not hold. Pure."""
    if is_true(obj, "Ready"):
        return ""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    told = [f"{c['type']}={c['status']} {c.get('reason', '')} {c.get('message', '')}".strip() for c in conditions]
    return "; ".join(told) or "no condition yet"
