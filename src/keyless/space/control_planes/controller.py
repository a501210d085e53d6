"""The loop: gather, plan, apply, until there is nothing to do or something to wait for; then say how it stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from keyless.api import Bug, KeylessError, Reason
from keyless.kube import Conflict, Kube, KubeObject, Name, NotFound, timestamp
from keyless.kube.resources import CONTROLPLANES
from keyless.space.control_planes import findings
from keyless.space.control_planes.api import api_of
from keyless.space.control_planes.applying import Hands
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.model import Facts, Finding, Plan, Served
from keyless.space.control_planes.plan import plan
from keyless.space.control_planes.tenants import Tenants
from keyless.space.items import FIELD_MANAGER

MAX_ROUNDS = 12
"""A plan needs about six; more would mean that two of them undo each other."""

_log = structlog.get_logger("keyless.operator")


class ControlPlanes:
    """Brings one control plane at a time to where it should be; ``reconcile`` is given to a Controller."""

    def __init__(
        self,
        host: Kube,
        tenants: Tenants,
        gatherer: Gatherer,
        *,
        now: Callable[[], datetime],
        resync_seconds: float = 600.0,
    ) -> None:
        self._host = host
        self._tenants = tenants
        self._gatherer = gatherer
        self._now = now
        self._resync_seconds = resync_seconds
        self._missing_since: dict[tuple[Name, str], datetime] = {}

    async def reconcile(self, name: Name) -> float | None:
        """One run; returns the seconds after which to look again without a change."""
        try:
            return await self._reconcile(name)
        except Conflict:
            raise  # someone wrote in between: the next run reads what
        except KeylessError as error:
            await self._say(name, error)
            raise

    async def _reconcile(self, name: Name) -> float | None:
        for _ in range(MAX_ROUNDS):
            facts = await self._gatherer.gather(name, self._now(), self._waited(name))
            if facts is None:
                await self._forget(name)
                return None
            self._note(name, facts)
            planned = plan(facts)
            if not planned.steps:
                await self._write_status(facts, planned)
                return min(self._resync_seconds, planned.again_seconds or self._resync_seconds)
            hands = await self._hands(name, facts)
            for step in planned.steps:
                await hands.apply(step, facts)
            _log.debug("applied", control_plane="/".join(name), steps=len(planned.steps))
        raise Bug(f"control plane {'/'.join(name)}: the plan does not come to an end: {planned.steps}")

    async def _hands(self, name: Name, facts: Facts) -> Hands:
        served = api_of(facts) if facts.tenant is not None else None
        if not isinstance(served, Served):
            return Hands(self._host, None, None)
        opened = await self._tenants.at(name, served)
        return Hands(self._host, opened.kube, served)

    async def _forget(self, name: Name) -> None:
        await self._tenants.forget(name)
        for key in [key for key in self._missing_since if key[0] == name]:
            del self._missing_since[key]

    def _waited(self, name: Name) -> dict[str, float]:
        now = self._now()
        return {
            component: (now - since).total_seconds()
            for (whose, component), since in self._missing_since.items()
            if whose == name
        }

    def _note(self, name: Name, facts: Facts) -> None:
        """Remember since when an identity is missing. A restart forgets it: the wait begins anew, and stays short."""
        for component, injected in facts.injected.items():
            if injected:
                self._missing_since.pop((name, component), None)
            else:
                self._missing_since.setdefault((name, component), facts.now)

    async def _write_status(self, facts: Facts, planned: Plan) -> None:
        wanted = _status(facts, planned)
        if _mine(facts.status) == wanted:
            return
        metadata = facts.control_plane["metadata"]
        written: KubeObject = {
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "status": wanted,
        }
        try:
            await self._host.apply(CONTROLPLANES, written, field_manager=FIELD_MANAGER, subresource="status")
        except NotFound:
            return  # let go of meanwhile

    async def _say(self, name: Name, error: KeylessError) -> None:
        """Put what went wrong where the user looks, if that can be done at all."""
        try:
            control_plane = await self._host.get(CONTROLPLANES, name.name, name.namespace)
            status = control_plane.get("status") or {}
            generation = control_plane["metadata"].get("generation", 1)
            told = Finding("Synced", False, Reason.RECONCILE_ERROR, str(error)[:1000])
            mine = _mine(status)
            synced = findings.conditions(mine, [told], generation=generation, now=self._now())
            others = [each for each in mine["conditions"] if each["type"] != "Synced"]
            body: KubeObject = {**mine, "conditions": [*others, *synced]}
            written: KubeObject = {"metadata": {"name": name.name, "namespace": name.namespace}, "status": body}
            await self._host.apply(CONTROLPLANES, written, field_manager=FIELD_MANAGER, subresource="status")
        except KeylessError as second:
            _log.warning("status not written", control_plane="/".join(name), error=str(second))


def _status(facts: Facts, planned: Plan) -> KubeObject:
    generation = facts.control_plane["metadata"].get("generation", 1)
    conditions = findings.conditions(facts.status, planned.findings, generation=generation, now=facts.now)
    available = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    first = facts.status.get("firstAvailableAt") or (timestamp(facts.now) if available else None)
    return {
        **{key: facts.status[key] for key in _PLACED if key in facts.status},
        "conditions": conditions,
        "message": findings.message_of(planned.findings),
        "observedGeneration": generation,
        **({"firstAvailableAt": first} if first else {}),
    }


def _mine(status: KubeObject) -> KubeObject:
    """The part of a status that the operator writes. All of it is applied each time: what is left out is taken back."""
    mine = {key: value for key, value in status.items() if key in _OURS}
    conditions = [each for each in status.get("conditions") or () if each.get("type") in findings.TYPES]
    return {**mine, "conditions": sorted(conditions, key=lambda each: findings.TYPES.index(each["type"]))}


_PLACED = ("controlPlaneID", "hostNamespace")
_OURS = (*_PLACED, "message", "observedGeneration", "firstAvailableAt")
