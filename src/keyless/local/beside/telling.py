"""What tells pods of the cloud, and keeps telling: a policy where the cluster serves the kind, else the webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Literal

import structlog

from keyless.api import KeylessError, Permanent
from keyless.kube import Forbidden, Kube, KubeObject, NotFound, Resource
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS
from keyless.local.beside.place import Place
from keyless.local.beside.pods import NAME
from keyless.local.beside.policy import BINDINGS, POLICIES
from keyless.local.beside.settings import Settings

WAYS = ("auto", "policy", "webhook")
Way = Literal["", "policy", "webhook"]
EVERY_SECONDS = 60.0
_RETRY_SECONDS = 2.0
_DISCOVERY = f"/apis/{POLICIES.group}/{POLICIES.version}"
log = structlog.get_logger("keyless.cloud")


async def way_of(settings: Settings, kube: Kube, place: Place) -> Way:
    """How pods are told; empty where they are told nothing. Raises ``Permanent`` where neither can be."""
    if not place.environ:
        return ""
    way = settings.told_by
    if way == "auto":
        way = "policy" if await serves_policies(kube) else "webhook"
    if way == "policy":
        return "policy"
    if settings.webhook_port < 0:
        raise Permanent(
            "the cluster serves no MutatingAdmissionPolicy (Kubernetes 1.36 does), and the cloud no webhook: set "
            "--webhook-port, where the API server reaches the cloud"
        )
    return "webhook"


async def serves_policies(kube: Kube) -> bool:
    """Whether the API server serves the kind in the version of our policy; what it calls itself is not asked."""
    try:
        found = await kube.request("GET", _DISCOVERY)
    except NotFound:
        return False
    kinds = found.get("resources") if isinstance(found, dict) else None
    return POLICIES.plural in [one.get("name") for one in kinds or () if isinstance(one, dict)]


async def remove_other(kube: Kube, way: Way) -> None:
    """Remove what an earlier start registered the other way: a webhook that nobody answers refuses every pod."""
    registered = {"policy": (BINDINGS, POLICIES), "webhook": (MUTATINGWEBHOOKCONFIGURATIONS,)}
    for other in registered:
        if other == way:
            continue
        for res in registered[other]:
            try:
                with suppress(NotFound):
                    await kube.delete(res, NAME)
            except Forbidden as error:  # rights of an earlier manifest: pods are told all the same
                log.warning("not removed", kind=res.kind, name=NAME, error=str(error))


async def keep(
    kube: Kube,
    objects: Iterable[tuple[Resource, KubeObject]],
    *,
    field_manager: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Bring back what somebody changes or deletes, until cancelled: with another authority no pod would be let in."""
    failing = False
    while True:
        await sleep(_RETRY_SECONDS if failing else EVERY_SECONDS)
        try:
            for res, obj in objects:
                await kube.apply(res, obj, obj["metadata"].get("namespace"), field_manager=field_manager)
        except KeylessError as error:
            if not failing:
                log.warning("what is kept in the cluster was not written", error=str(error))
            failing = True
        else:
            failing = False
