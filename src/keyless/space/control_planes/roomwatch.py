"""Looks how full one control plane's etcd is, and makes room where that is due; ``room.py`` decides.

Asked by itself and not with each look at the control plane: etcd fills while nothing of the host changes. What etcd's
gateway answers: ``docs/reference/facts/etcd-space.md``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from keyless.api import KeylessError, Transient
from keyless.kube import Kube
from keyless.space.control_planes.model import Room
from keyless.space.control_planes.room import Mend, is_news, next_mend

LOOK_SECONDS = 60.0
SOON_SECONDS = 5.0
"""Until the first answer: its pod may not listen yet."""
_log = structlog.get_logger("keyless.operator.etcd")


class RoomWatch:
    """``room``: as it was at the last look; ``changed`` is called when something else is to be said of it."""

    def __init__(self, etcd: Kube, changed: Callable[[], None], quota: int = 0) -> None:
        self._etcd = etcd
        self._quota = quota
        self._changed = changed
        self.room: Room | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(SOON_SECONDS if self.room is None else LOOK_SECONDS)

    async def look(self) -> None:
        """Once. What is known stays where etcd does not answer: that its API does not either is told anyway."""
        before = self.room
        try:
            self.room = await self._mended(await self._status())
        except KeylessError as error:
            _log.info("etcd was not asked how full it is", error=str(error))
            return
        if is_news(before, self.room):
            self._changed()

    async def _mended(self, room: Room) -> Room:
        done: set[Mend] = set()
        while (due := next_mend(room, done)) is not None:
            done.add(due)
            _log.info("making room", step=due.value, used=room.used, in_use=room.in_use, quota=room.quota)
            try:
                await self._mend(due, room)
            except KeylessError as error:
                # Compacted already, too little disk for a copy: what the others can do they do.
                _log.warning("no room made", step=due.value, error=str(error))
            room = await self._status()
        return room

    async def _status(self) -> Room:
        return room_of(await self._ask("maintenance/status"), self._quota)

    async def _mend(self, due: Mend, room: Room) -> None:
        match due:
            case Mend.COMPACT:
                await self._ask("kv/compaction", {"revision": str(room.revision), "physical": True})
            case Mend.DEFRAGMENT:
                await self._ask("maintenance/defragment")
            case Mend.DISARM:
                alarm = {"action": "DEACTIVATE", "memberID": room.member, "alarm": "NOSPACE"}
                await self._ask("maintenance/alarm", alarm)

    async def _ask(self, what: str, body: Any = None) -> Any:
        return await self._etcd.request("POST", f"/v3/{what}", body=body or {})

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._etcd.aclose()


def room_of(said: Any, quota: int) -> Room:
    """etcd's status; raises ``Transient`` where it is none. Numbers come as texts; ``quota``: where it tells none."""
    try:
        header = said["header"]
        alarms = [str(each) for each in said.get("errors") or ()]
        room = Room(
            used=int(said["dbSize"]),
            in_use=int(said["dbSizeInUse"]),
            quota=int(said.get("dbSizeQuota") or quota),
            revision=int(header["revision"]),
            full=any("NOSPACE" in each for each in alarms),
            member=str(header["member_id"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Transient("etcd's status: expected its size and revision, found something else") from None
    if room.quota <= 0:
        raise Transient("etcd's status: expected its quota, found none, nor one in its pod's command")
    return room
