"""Which kinds a control plane has: those whose CRD is in category ``managed``, and what they are made from.

CRDs are followed by their metadata alone: a thousand of them are 100 MB of schemas. One is read in full, and forgotten
but for a few words, when it comes or its generation changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.api import KeylessError
from keyless.billing.collector.describing import meter_of, package_of
from keyless.billing.ledger.model import Gvk, Meter
from keyless.kube import Backoff, Event, Informer, Kube, KubeObject, NotFound, Resource
from keyless.kube.resources import CRDS

AT_ONCE = 8
DEFINITION = Gvk(CRDS.group, CRDS.version, CRDS.kind)
"""Stands for kinds that nobody can name, because their definitions could not be read."""
_BACKOFF = Backoff(first_seconds=0.5, cap_seconds=15.0)


@dataclass(frozen=True, slots=True)
class Unread:
    """A definition that is there and could not be read so far."""

    since: datetime
    error: KeylessError | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a definition stands for: a resource, and what its instances count as."""

    resource: Resource
    meter: Meter


class Kinds:
    """The counted kinds of one control plane, by the name of their definition."""

    def __init__(self, kube: Kube, now: Callable[[], datetime]) -> None:
        self.found: dict[str, Found] = {}
        self.packages: dict[str, str | None] = {}
        """By the name of the definition: the package that brought it."""
        self.unread: dict[str, Unread] = {}
        self._kube = kube
        self._now = now
        self._informer = Informer(kube, CRDS, metadata_only=True, keep=_kept)
        self._listeners: list[Callable[[Found | None, Found | None], None]] = []
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._reading: dict[str, asyncio.Task[None]] = {}

    @property
    def last_error(self) -> KeylessError | None:
        """Why definitions cannot be followed just now."""
        return self._informer.last_error

    @property
    def complete(self) -> bool:
        """Whether every definition was read, or failed to be."""
        return self._informer.has_synced and all(each.error is not None for each in self.unread.values())

    @property
    def synced(self) -> bool:
        """Whether the definitions were ever listed."""
        return self._informer.has_synced

    def on_change(self, callback: Callable[[Found | None, Found | None], None]) -> None:
        """Have ``callback`` called with what a definition stood for and what it stands for now, when that changes."""
        self._listeners.append(callback)

    async def run(self) -> None:
        """Follow the definitions until cancelled."""
        self._informer.on_change(self._note)
        try:
            await self._informer.run()
        finally:
            for task in self._reading.values():
                task.cancel()
            await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def _note(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        if event.type == "DELETED":
            self._forget(name)
            return
        self.packages[name] = _package(event.object)
        if event.old is None or not _same(event.old, event.object):
            if task := self._reading.pop(name, None):
                task.cancel()
            self.unread[name] = Unread(self._now(), None)
            self._reading[name] = asyncio.create_task(self._read(name), name=f"definition {name}")

    def _forget(self, name: str) -> None:
        if task := self._reading.pop(name, None):
            task.cancel()
        self.unread.pop(name, None)
        self.packages.pop(name, None)
        self._learn(name, None)

    async def _read(self, name: str) -> None:
        failures = 0
        while True:
            try:
                async with self._gate:
                    definition = await self._kube.get(CRDS, name)
                break
            except NotFound:
                # It went in the meantime; the watch is about to say so.
                self.unread.pop(name, None)
                return
            except KeylessError as error:
                self.unread[name] = Unread(self.unread[name].since, error)
                failures += 1
                await asyncio.sleep(_BACKOFF.seconds(failures))
        self.unread.pop(name, None)
        self._reading.pop(name, None)
        self._learn(name, kind_of(definition))

    def _learn(self, name: str, kind: Found | None) -> None:
        before = self.found.pop(name, None)
        if kind is not None:
            self.found[name] = kind
        if before != kind:
            for callback in self._listeners:
                callback(before, kind)


def kind_of(definition: Mapping[str, Any]) -> Found | None:
    """What a definition's instances count as, in the version that the API stores; None: nothing."""
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    meter = meter_of((definition.get("metadata") or {}).get("name", ""), names.get("categories") or ())
    if meter is None:
        return None
    served = [version for version in spec.get("versions") or () if version.get("served")]
    if not served:
        return None
    # Counting one kind in two versions would bill it twice in the peer's report.
    version = next((v for v in served if v.get("storage")), served[0])
    resource = Resource(spec["group"], version["name"], names["plural"], names["kind"], spec["scope"] == "Namespaced")
    return Found(resource, meter)


def _kept(definition: KubeObject) -> KubeObject:
    """All that is kept of a definition."""
    metadata = definition["metadata"]
    names = ("name", "uid", "generation", "resourceVersion")
    return {"metadata": {key: metadata[key] for key in names if key in metadata}, "package": package_of(metadata)}


def _package(definition: KubeObject) -> str | None:
    # What is kept of it, as after a new list, has it already.
    return definition["package"] if "package" in definition else package_of(definition["metadata"])


def _same(old: KubeObject, new: KubeObject) -> bool:
    """Status and labels change often and do not matter."""
    return all(old["metadata"].get(key) == new["metadata"].get(key) for key in ("uid", "generation"))
