"""Counts the managed resources of a control plane: the kinds whose CRD is in category ``managed``.

A kind with instances is followed by a metadata-only watch; the many kinds without any are asked once for each sample,
one short list each, so that a provider with a thousand kinds does not cost a thousand watches. The kinds themselves are
read again when a CRD changes. Counts are whole or an error: a kind that could not be asked is never taken for zero.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from keyless.api import Transient
from keyless.billing.ledger.model import Gvk
from keyless.kube import Informer, Kube, NotFound, Resource
from keyless.kube.resources import CRDS

CATEGORY = "managed"
SYNC_SECONDS = 20.0
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Followed:
    informer: Informer
    task: asyncio.Task[None]


class ManagedResources:
    """Implements ``Counter`` on one control plane's API."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._crds = Informer(kube, CRDS, metadata_only=True)
        self._crds_changed = asyncio.Event()
        self._crds_changed.set()
        self._changed = asyncio.Event()
        self._kinds: tuple[Resource, ...] = ()
        self._followed: dict[Resource, _Followed] = {}

    async def run(self) -> None:
        """Follow the control plane's CRDs until cancelled; watches of kinds end with it."""
        self._crds.on_change(lambda _: self._note_crds())
        try:
            await self._crds.run()
        finally:
            for followed in self._followed.values():
                followed.task.cancel()
            await asyncio.gather(*(f.task for f in self._followed.values()), return_exceptions=True)

    async def counts(self) -> dict[Gvk, int]:
        """Count every kind now."""
        self._changed.clear()
        if self._crds.last_error is not None:
            raise Transient(f"the control plane's CRDs cannot be watched: {self._crds.last_error}")
        if self._crds_changed.is_set():
            self._crds_changed.clear()
            await self._learn_kinds()
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(kind: Resource) -> tuple[Gvk, int]:
            async with gate:
                return _gvk(kind), await self._count(kind)

        return dict(await asyncio.gather(*(one(kind) for kind in self._kinds)))

    async def changed(self) -> None:
        """Return when something was created or deleted since the last count."""
        await self._changed.wait()

    def _note_crds(self) -> None:
        self._crds_changed.set()
        self._changed.set()

    async def _learn_kinds(self) -> None:
        try:
            page = await self._kube.list(CRDS)
        except BaseException:
            self._crds_changed.set()
            raise
        self._kinds = managed_kinds(page.items)
        for gone in self._followed.keys() - set(self._kinds):
            self._followed.pop(gone).task.cancel()

    async def _count(self, kind: Resource) -> int:
        if followed := self._followed.get(kind):
            if followed.informer.last_error is not None:
                raise Transient(f"{kind.plural}.{kind.group} cannot be watched: {followed.informer.last_error}")
            return sum(1 for _ in followed.informer.items())
        try:
            page = await self._kube.list(kind, metadata_only=True)
        except NotFound:
            # The CRD went between the two requests; what it held is gone with it.
            return 0
        if page.items:
            await self._follow(kind)
        return len(page.items)

    async def _follow(self, kind: Resource) -> None:
        informer = Informer(self._kube, kind, metadata_only=True)
        informer.on_change(lambda event: None if event.type == "MODIFIED" else self._changed.set())
        task = asyncio.create_task(informer.run(), name=f"watch {kind.plural}.{kind.group}")
        try:
            await asyncio.wait_for(informer.synced(), SYNC_SECONDS)
        except TimeoutError:
            task.cancel()
            return
        self._followed[kind] = _Followed(informer, task)


def managed_kinds(crds: list[dict[str, Any]]) -> tuple[Resource, ...]:
    """The resources of category ``managed``, each once, in the version that the API stores."""
    found: list[Resource] = []
    for crd in crds:
        spec = crd["spec"]
        names = spec["names"]
        if CATEGORY not in (names.get("categories") or ()):
            continue
        served = [version for version in spec["versions"] if version.get("served")]
        if not served:
            continue
        # Counting one kind in two versions would bill it twice in the peer's report.
        version = next((v for v in served if v.get("storage")), served[0])
        found.append(
            Resource(spec["group"], version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced")
        )
    return tuple(sorted(found, key=lambda r: (r.group, r.kind)))


def _gvk(kind: Resource) -> Gvk:
    return Gvk(kind.group, kind.version, kind.kind)
