"""Ask for a new read, as External Secrets' users do (an annotation), and watch it arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from keyless.kube import Kube, KubeObject, Resource, condition_of
from keyless.shared_secrets.fleet.model import Plane
from keyless.shared_secrets.fleet.plan import refreshed
from keyless.shared_secrets.projection.plan import SOURCE_LABEL
from keyless.shared_secrets.sync.cluster_plan import FORCE_SYNC

POLL_SECONDS = 0.5
PATIENCE = 10
"""So many looks at the same refusal, and it is the answer: the controller's own retries go on."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is there after a look: ``waiting`` and ``failing`` name objects, the latter with the condition's words."""

    done: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


async def ask(kube: Kube, res: Resource, name: str, namespace: str, stamp: str) -> None:
    """Annotate the object; raises ``NotFound``."""
    await kube.patch(res, name, {"metadata": {"annotations": {FORCE_SYNC: stamp}}}, namespace)


def of_shared(planes: Iterable[Plane], name: str, stamp: str, expected: Iterable[str]) -> Progress:
    """Return how far a SharedExternalSecret is; ``expected`` names the control planes that it says it is in."""
    done: list[str] = []
    waiting: list[str] = []
    failing: list[str] = []
    left = set(expected)
    for plane in planes:
        if plane.unreachable:
            if plane.name in left:
                failing.append(f"{plane.name}: {plane.unreachable}")
            left.discard(plane.name)
            continue
        mine = [one for one in plane.cluster_external_secrets if _source(one) == name]
        if not mine:
            continue
        left.discard(plane.name)
        for cluster in mine:
            if not _is_stamped(cluster, stamp):
                waiting.append(plane.name)
                continue
            owned = [one for one in plane.external_secrets if _is_owned(one, cluster)]
            for obj in owned:
                where = f"{plane.name}: {obj['metadata']['namespace']}/{obj['metadata']['name']}"
                _sort(obj, where, stamp, done, waiting, failing)
    return Progress(tuple(done), (*waiting, *sorted(left)), tuple(failing))


def of_one(obj: KubeObject, stamp: str) -> Progress:
    """Return how far one ExternalSecret is."""
    done: list[str] = []
    waiting: list[str] = []
    failing: list[str] = []
    _sort(obj, f"{obj['metadata']['namespace']}/{obj['metadata']['name']}", stamp, done, waiting, failing)
    return Progress(tuple(done), tuple(waiting), tuple(failing))


async def arrived(
    look: Callable[[], Awaitable[Progress]],
    timeout_seconds: float,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Progress:
    """Look until nothing waits, the same things fail and nothing else moves, or the time is over."""
    looks = max(1, int(timeout_seconds / POLL_SECONDS))
    before, same = Progress(), 0
    for _ in range(looks):
        found = await look()
        if not found.waiting and not found.failing:
            return found
        same = same + 1 if found == before and not found.waiting else 0
        if same >= PATIENCE:
            return found
        before = found
        await sleep(POLL_SECONDS)
    return before


def _sort(obj: KubeObject, where: str, stamp: str, done: list[str], waiting: list[str], failing: list[str]) -> None:
    if refreshed(obj, FORCE_SYNC, stamp):
        done.append(where)
        return
    ready = condition_of((obj.get("status") or {}).get("conditions"), "Ready") or {}
    if _is_stamped(obj, stamp) and ready.get("status") == "False":
        # It may be the failure from before the stamp: only one that stays is the answer.
        failing.append(f"{where}: {_timeless(str(ready.get('message') or ready.get('reason')))}")
    else:
        waiting.append(where)


def _timeless(message: str) -> str:
    """Without the request's id, which each try has anew."""
    return message.partition(" (request ")[0]


def _is_stamped(obj: KubeObject, stamp: str) -> bool:
    return bool((obj["metadata"].get("annotations") or {}).get(FORCE_SYNC) == stamp)


def _is_owned(obj: KubeObject, cluster: KubeObject) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == cluster["metadata"].get("uid") for owner in owners)


def _source(obj: KubeObject) -> str:
    return str((obj["metadata"].get("labels") or {}).get(SOURCE_LABEL, ""))
