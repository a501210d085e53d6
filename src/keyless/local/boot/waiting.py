"""Wait until the API says that something is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keyless.api import KeylessError, Permanent
from keyless.kube import Event, Kube, KubeObject, Resource, is_true
from keyless.kube.informer import Informer
from keyless.kube.resources import PODS

LOG_LIMIT = 300

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


async def wait_for_rollout(
    kube: Kube, res: Resource, name: str, namespace: str, missing: Says, *, seconds: float
) -> None:
    """Like ``wait_for``, for what makes pods: a failure tells what the pods say, too."""
    try:
        await wait_for(kube, res, name, namespace, missing, seconds=seconds)
    except Permanent as error:
        found = await kube.get(res, name, namespace)
        told = await _what_pods_say(kube, namespace, found["spec"]["selector"]["matchLabels"])
        raise Permanent(f"{error}; {told or 'it has no pods'}") from None


async def _what_pods_say(kube: Kube, namespace: str, labels: dict[str, str]) -> str:
    """The state of each container that is not ready, with the last line of its log."""
    told: list[str] = []
    for pod in (await kube.list(PODS, namespace, labels=labels)).items:
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            if not container["ready"]:
                state: KubeObject = next(iter(container["state"].values()), {})
                last_line = await _last_line(kube, pod, container["name"])
                told.append(f"pod {pod['metadata']['name']}: {state.get('reason', 'not ready')}: {last_line}")
    return "; ".join(told)


async def _last_line(kube: Kube, pod: KubeObject, container: str) -> str:
    path = PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"], "log")
    try:
        answer = await kube.request("GET", path, params={"container": container, "tailLines": "1"})
    except KeylessError:
        return "no log"
    return str(answer).strip()[:LOG_LIMIT] or "no log"


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


def daemon_set_is_missing(daemon_set: KubeObject) -> str:
    """What a DaemonSet still lacks. Pure."""
    status = daemon_set.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(daemon_set["metadata"].get("generation") or 0):
        return "its newest specification was not looked at yet"
    wanted, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    return "" if ready >= wanted else f"{ready} of {wanted} pods are ready"


def readiness_is_missing(obj: KubeObject) -> str:
    """Why the condition Ready does not hold. Pure."""
    if is_true(obj, "Ready"):
        return ""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    told = [f"{c['type']}={c['status']} {c.get('reason', '')} {c.get('message', '')}".strip() for c in conditions]
    return "; ".join(told) or "no condition yet"
