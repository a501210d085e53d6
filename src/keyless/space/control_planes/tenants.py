"""Connections to the APIs of control planes, and what each of them says about its managed kinds.

One connection per control plane (two while it changes its credential), made again when its address changes. The managed
kinds (CRD category ``managed``) are followed by a watch on metadata alone; a definition is read once for each change of
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from keyless.api import KeylessError
from keyless.kube import (
    Controller,
    Event,
    Forbidden,
    Informer,
    Kube,
    KubeObject,
    Name,
    NotFound,
    Unauthorized,
    Unreachable,
    name_of,
)
from keyless.kube.resources import CRDS
from keyless.space.control_planes.model import Kind, Served
from keyless.space.control_planes.ports import Door
from keyless.space.control_planes.roomwatch import RoomWatch
from keyless.space.watched import named
from keyless.tasks import Tasks

CATEGORY = "managed"


class ManagedKinds:
    """The kinds that count as managed resources in one control plane."""

    def __init__(self, kube: Kube, changed: Callable[[], None]) -> None:
        self._kube = kube
        self._changed = changed
        self._known: dict[str, Kind | None] = {}
        self._informer = Informer(kube, CRDS, metadata_only=True, keep=named)
        self._reader = Controller("managed-kinds", self._read)
        self._informer.on_change(self._seen)

    @property
    def complete(self) -> bool:
        """Whether every definition that exists has been read."""
        names = {name_of(each).name for each in self._informer.items()}
        return self._informer.has_synced and names <= self._known.keys()

    @property
    def trouble(self) -> str:
        """Why they cannot be read; empty where nothing is known to be wrong."""
        return str(self._informer.last_error or "")

    def raise_refusal(self) -> None:
        """Raise what the server said to our credential, if that is why they cannot be read."""
        if isinstance(self._informer.last_error, Unauthorized | Forbidden):
            raise self._informer.last_error

    def kinds(self) -> tuple[Kind, ...]:
        """Group and plural of each, sorted."""
        return tuple(sorted(kind for kind in self._known.values() if kind is not None))

    async def run(self) -> None:
        """Follow until cancelled."""
        async with Tasks() as group:
            group.create_task(self._informer.run())
            group.create_task(self._reader.run(workers=1))
            await self._informer.synced()
            self._changed()

    def _seen(self, event: Event) -> None:
        self._reader.enqueue(name_of(event.object).name)

    async def _read(self, name: str) -> float | None:
        before = self.kinds() if self.complete else None
        try:
            self._known[name] = _managed_kind(await self._kube.get(CRDS, name))
        except NotFound:
            self._known.pop(name, None)
        except (Unauthorized, Unreachable):
            raise
        except KeylessError:
            # One definition that cannot be read must not hold back the control plane; it is tried again.
            self._known.setdefault(name, None)
            self._tell_of_change(before)
            raise
        self._tell_of_change(before)
        return None

    def _tell_of_change(self, before: tuple[Kind, ...] | None) -> None:
        if self.complete and self.kinds() != before:
            self._changed()


def _managed_kind(definition: KubeObject) -> Kind | None:
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    managed = CATEGORY in (names.get("categories") or ()) and spec.get("group") and names.get("plural")
    return (spec["group"], names["plural"]) if managed else None


@dataclass(slots=True)
class Tenant:
    """One open control plane."""

    served: Served
    kube: Kube
    kinds: ManagedKinds
    following: tuple[asyncio.Task[None], ...]
    room: RoomWatch | None = None
    """How full its etcd is, where that is ours."""


class Tenants:
    """All of them; ``changed`` is called with the control plane whose managed kinds changed."""

    def __init__(self, door: Door, changed: Callable[[Name], None]) -> None:
        self.door = door
        """How any of them is entered."""
        self._changed = changed
        self._open: dict[Name, list[Tenant]] = {}

    async def at(self, name: Name, served: Served) -> Tenant:
        """The connection for ``name`` by that credential; others of the same place stay until ``keep``."""
        for known in self._open.get(name, ()):
            if known.served == served:
                return known
        await self._close(name, [each for each in self._open.get(name, ()) if not _same_place(each.served, served)])
        kube = self.door(served)
        kinds = ManagedKinds(kube, lambda: self._changed(name))
        tasks = [asyncio.create_task(kinds.run(), name=f"managed-kinds-{name.name}")]
        room = None
        if (etcd := served.etcd) is not None:
            room = RoomWatch(self.door(etcd), lambda: self._changed(name), etcd.quota)
            tasks.append(asyncio.create_task(room.run(), name=f"room-{name.name}"))
        tenant = Tenant(served, kube, kinds, tuple(tasks), room)
        self._open.setdefault(name, []).append(tenant)
        return tenant

    async def keep(self, name: Name, served: Served) -> None:
        """Close all connections of ``name`` but this one."""
        await self._close(name, [each for each in self._open.get(name, ()) if each.served != served])

    async def forget(self, name: Name) -> None:
        """Close all connections of ``name``."""
        await self._close(name, list(self._open.get(name, ())))
        self._open.pop(name, None)

    async def aclose(self) -> None:
        """Close all connections."""
        for name in list(self._open):
            await self.forget(name)

    async def _close(self, name: Name, tenants: list[Tenant]) -> None:
        for tenant in tenants:
            self._open[name].remove(tenant)
            for task in tenant.following:
                task.cancel()
            await asyncio.wait(tenant.following)
            await tenant.kube.aclose()
            if tenant.room is not None:
                await tenant.room.aclose()


def _same_place(one: Served, other: Served) -> bool:
    return (one.server, one.ca_pem) == (other.server, other.ca_pem)
