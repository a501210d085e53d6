"""Secrets and ConfigMaps that pods read: live copies, and the way from a changed one to the pods that use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from keyless.kube import Event, Informer, Kube, KubeObject, Name, NotFound, name_of
from keyless.kube.resources import CONFIGMAPS, SECRETS
from keyless.local.node.environment import Lookup
from keyless.tasks import Tasks

KINDS = {"Secret": SECRETS, "ConfigMap": CONFIGMAPS}


class Objects:
    """All Secrets and ConfigMaps of the cluster, as last seen."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._informers = {kind: Informer(kube, resource) for kind, resource in KINDS.items()}
        # Read directly, because a pod named them before the watch did.
        self._early: dict[tuple[str, Name], KubeObject] = {}

    def on_change(self, callback: Callable[[str, Name], None]) -> None:
        """Have ``callback(kind, name)`` called for every change."""
        for kind, informer in self._informers.items():
            informer.on_change(partial(self._changed, kind, callback))

    async def run(self) -> None:
        """Follow both kinds until cancelled."""
        async with Tasks() as group:
            for informer in self._informers.values():
                group.create_task(informer.run())

    async def synced(self) -> None:
        """Return when both copies were complete once."""
        for informer in self._informers.values():
            await informer.synced()

    def lookup(self, namespace: str) -> Lookup:
        """Reads by kind and name in one namespace."""

        def find(kind: str, name: str) -> KubeObject | None:
            found = self._informers[kind].get(name, namespace)
            return found or self._early.get((kind, Name(namespace, name)))

        return find

    async def freshen(self, namespace: str, references: Iterable[tuple[str, str]]) -> None:
        """Read what is referred to and not known yet: a copy may lag behind the pod that was just made."""
        find = self.lookup(namespace)
        for kind, name in references:
            if name and find(kind, name) is None:
                try:
                    found = await self._kube.get(KINDS[kind], name, namespace)
                except NotFound:
                    continue
                self._early[kind, Name(namespace, name)] = found

    def _changed(self, kind: str, callback: Callable[[str, Name], None], event: Event) -> None:
        name = name_of(event.object)
        self._early.pop((kind, name), None)
        callback(kind, name)
