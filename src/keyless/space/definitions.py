"""The Space's own resource definitions in the host cluster: applied at start, and only where they are ours.

Definitions that someone else installed (another Space, a chart) are refused by name: two owners would undo each other
at every upgrade, and removing one would remove every control plane.
"""

from __future__ import annotations

import asyncio

from keyless.api import Permanent, Transient, crds
from keyless.kube import Kube, KubeObject, NotFound, is_true
from keyless.kube.resources import CRDS
from keyless.space.items import FIELD_MANAGER, Item, is_ours, item

ESTABLISHED_SECONDS = 10.0


async def apply_definitions(kube: Kube) -> None:
    """Bring them up to date and wait until they are served. Raises ``Permanent`` that names a foreign owner."""
    for definition in map(crds.load, crds.HOST):
        # Whoever takes them into a release of Helm: with them every control plane would go.
        kept = {"helm.sh/resource-policy": "keep"}
        wanted = item(CRDS, definition["metadata"]["name"], annotations=kept, spec=definition["spec"])
        live = await _live(kube, wanted)
        if live is not None and not is_ours(live):
            raise Permanent(_foreign(wanted, live))
        # Without a look at what is there: an apply that changes nothing writes nothing.
        await kube.apply(CRDS, wanted.object, field_manager=FIELD_MANAGER)
        await _established(kube, wanted)


async def definitions_served(kube: Kube, *, ours: bool = True) -> bool:
    """Whether all are there and established: applied by whichever operator, or where not ``ours`` by anybody."""
    for name in crds.HOST:
        live = await _live(kube, item(CRDS, name))
        if live is None or (ours and not is_ours(live)) or not is_true(live, "Established"):
            return False
    return True


async def require_definitions(kube: Kube) -> None:
    """See that somebody has brought them, in the versions that are read. Raises ``Transient`` for what is missing."""
    for definition in map(crds.load, crds.HOST):
        wanted = item(CRDS, definition["metadata"]["name"])
        live = await _live(kube, wanted)
        versions = {each["name"] for each in definition["spec"]["versions"]}
        served = {each.get("name") for each in (live or {}).get("spec", {}).get("versions") or () if each.get("served")}
        if live is None or not is_true(live, "Established") or not versions <= served:
            found = f"{', '.join(sorted(map(str, served)))}" if live is not None else "none"
            raise Transient(
                f"{wanted.key}: expected {', '.join(sorted(versions))} established, for crds.enabled is false; found "
                f"{found}; `keyless crds | kubectl apply --server-side -f -`"
            )


async def _live(kube: Kube, wanted: Item) -> KubeObject | None:
    try:
        return await kube.get(CRDS, wanted.key.name)
    except NotFound:
        return None


async def _established(kube: Kube, wanted: Item) -> None:
    try:
        async with asyncio.timeout(ESTABLISHED_SECONDS):
            while not is_true(await kube.get(CRDS, wanted.key.name), "Established"):  # noqa: ASYNC110 - seldom, short
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Transient(f"{wanted.key} is not established after {ESTABLISHED_SECONDS:.0f} s") from None


def _foreign(wanted: Item, live: KubeObject) -> str:
    metadata = live["metadata"]
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    release = annotations.get("meta.helm.sh/release-name")
    owner = f"Helm release {release}" if release else labels.get("app.kubernetes.io/managed-by") or "someone else"
    return (
        f"{wanted.key} belongs to {owner}: expected none or the operator's own; is another Space installed in this "
        "cluster? Remove its definitions (and with them its control planes) or use another cluster"
    )
