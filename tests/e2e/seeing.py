"""Wait until the API says so: conditions, pods, objects that go. By watches, never by sleeping."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from keyless.kube import Event, Informer, Kube, Resource, condition_of
from keyless.kube.resources import CONTROLPLANES, CRDS, DEPLOYMENTS, PODS, SERVICEACCOUNTS
from keyless.local.boot.waiting import deployment_is_missing, readiness_is_missing, wait_for

Object = dict[str, Any]
SECONDS = 60.0
# A collector that was refused a few times tries again within a minute.
RETRY_SECONDS = 90.0
# Three samples of 15 s, and a little.
GAP = timedelta(seconds=47)


async def condition(host: Kube, plane: str, kind: str, status: str, *, containing: str = "") -> Object:
    """The condition of a ControlPlane, once it has this status (and these words in its message)."""
    return await condition_of_object(host, CONTROLPLANES, plane, "default", kind, status, containing=containing)


async def condition_of_object(
    kube: Kube, res: Resource, name: str, namespace: str, kind: str, status: str, *, containing: str = ""
) -> Object:
    """The condition of any object, once it has this status (and these words in its message)."""

    def missing(obj: Object) -> str:
        found = condition_of((obj.get("status") or {}).get("conditions"), kind)
        if found is None:
            return f"no condition {kind}"
        told = f"{kind}={found['status']} {found['reason']}: {found['message']}"
        return "" if found["status"] == status and containing in told else told

    obj = await wait_for(kube, res, name, namespace, missing, seconds=RETRY_SECONDS)
    found = condition_of(obj["status"]["conditions"], kind)
    assert found is not None
    return found


async def ready(host: Kube, plane: str) -> Object:
    """The control plane, once it is ready."""
    return await wait_for(host, CONTROLPLANES, plane, "default", readiness_is_missing, seconds=SECONDS)


async def rolled_out(host: Kube, deployment: str, namespace: str) -> None:
    """All pods of the newest template are available."""
    await wait_for(host, DEPLOYMENTS, deployment, namespace, deployment_is_missing, seconds=SECONDS)


async def established(kube: Kube, name: str) -> None:
    """The definition is served."""

    def missing(obj: Object) -> str:
        found = condition_of((obj.get("status") or {}).get("conditions"), "Established")
        return "" if found is not None and found["status"] == "True" else "not established"

    await wait_for(kube, CRDS, name, None, missing, seconds=SECONDS)


async def annotated(host: Kube, account: str, namespace: str, role_arn: str | None) -> None:
    """The service account names the role, or none."""

    def missing(obj: Object) -> str:
        found = (obj["metadata"].get("annotations") or {}).get("eks.amazonaws.com/role-arn")
        return "" if found == role_arn else f"role {found}"

    await wait_for(host, SERVICEACCOUNTS, account, namespace, missing, seconds=SECONDS)


async def old_enough_for_a_gap(host: Kube, plane: str) -> None:
    """Both usage has been owed and the hour has lasted longer than samples may lie apart."""
    conditions = (await host.get(CONTROLPLANES, plane, "default"))["status"]["conditions"]
    owed = next(one["lastTransitionTime"] for one in conditions if one["type"] == "Billed")
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    remaining = max(datetime.fromisoformat(owed), hour) + GAP - now
    # The one thing to wait for here is the time itself.
    await asyncio.sleep(max(remaining.total_seconds(), 0.0))


async def gone(kube: Kube, res: Resource, name: str, namespace: str | None = None) -> None:
    """The object is not there any more."""
    await _settled(kube, res, namespace, lambda found: all(obj["metadata"]["name"] != name for obj in found))


async def pod(host: Kube, app: str, namespace: str, holds: Callable[[Object], object]) -> Object:
    """A pod of a component of which something holds."""

    def found(objects: list[Object]) -> Object | None:
        return next((obj for obj in objects if _is_of(obj, app) and holds(obj)), None)

    seen = await _settled(host, PODS, namespace, found)
    assert isinstance(seen, dict)
    return seen


async def no_pods(host: Kube, app: str, namespace: str) -> None:
    """No pod of a component is left."""
    await _settled(host, PODS, namespace, lambda found: not any(_is_of(obj, app) for obj in found))


def waiting_reason(obj: Object) -> str:
    """Why a pod's container does not run, as kubectl shows it."""
    statuses = (obj.get("status") or {}).get("containerStatuses") or ()
    return next((s["state"]["waiting"]["reason"] for s in statuses if "waiting" in (s.get("state") or {})), "")


def is_ready(obj: Object) -> bool:
    """Whether a pod takes work."""
    found = condition_of((obj.get("status") or {}).get("conditions"), "Ready")
    return found is not None and found["status"] == "True" and not obj["metadata"].get("deletionTimestamp")


def _is_of(obj: Object, app: str) -> bool:
    return (obj["metadata"].get("labels") or {}).get("app.kubernetes.io/name") == app


async def _settled(kube: Kube, res: Resource, namespace: str | None, ask: Callable[[list[Object]], object]) -> object:
    """Follow a collection until ``ask`` answers with something true; that answer."""
    changed = asyncio.Event()
    informer = Informer(kube, res, namespace=namespace)

    def look(_: Event) -> None:
        changed.set()

    informer.on_change(look)
    following = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(SECONDS):
            await informer.synced()
            while not (answer := ask(list(informer.items()))):
                changed.clear()
                await changed.wait()
            return answer
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
