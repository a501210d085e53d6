"""The Space's own API as the collector sees it: the census, and the condition it reports with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from keyless.billing.collector.settings import Settings
from keyless.billing.ledger.model import Member, moment_untrusted
from keyless.kube import Informer, Kube, condition_of, timestamp
from keyless.kube.resources import CONTROLPLANES

CONDITION = "BillingStored"
FIELD_MANAGER = "vector"


class Space:
    """Implements ``Host``. One small informer: ControlPlanes are few."""

    def __init__(self, kube: Kube, settings: Settings) -> None:
        self._kube = kube
        self._settings = settings
        self._informer = Informer(kube, CONTROLPLANES)
        self._reported: tuple[bool, str, str] | None = None

    async def run(self) -> None:
        """Follow the ControlPlanes until cancelled."""
        await self._informer.run()

    async def census(self) -> tuple[Member, ...]:
        """The control planes that have an id."""
        await self._informer.synced()
        return tuple(sorted(found for item in self._informer.items() if (found := member_of(item)) is not None))

    async def own(self) -> Member:
        """This collector's control plane; a ControlPlane that is not there (yet) is described by the settings."""
        settings = self._settings
        found = next((m for m in await self.census() if m.id == settings.control_plane_id), None)
        return found or Member(
            id=settings.control_plane_id,
            group=settings.control_plane_group,
            name=settings.control_plane_name,
            host_namespace=settings.host_namespace,
            created_at=datetime.now(UTC),
        )

    async def report(self, *, stored: bool, reason: str, message: str) -> None:
        """Set ``BillingStored`` by server-side apply: our own row, nobody else's."""
        if self._reported == (stored, reason, message):
            return
        settings = self._settings
        body = condition_body(
            self._informer.get(settings.control_plane_name, settings.control_plane_group),
            settings,
            (stored, reason, message),
            datetime.now(UTC),
        )
        await self._kube.apply(CONTROLPLANES, body, field_manager=FIELD_MANAGER, subresource="status")
        self._reported = (stored, reason, message)


def member_of(control_plane: dict[str, Any]) -> Member | None:
    """The census line of a ControlPlane; None before it has an id and a host namespace."""
    metadata, status = control_plane["metadata"], control_plane.get("status") or {}
    host = status.get("hostNamespace") or (control_plane.get("spec", {}).get("hostNamespace") or {}).get("name")
    if isinstance(host, dict):
        host = host.get("name")
    if not status.get("controlPlaneID") or not host:
        return None
    return Member(
        id=status["controlPlaneID"],
        group=metadata["namespace"],
        name=metadata["name"],
        host_namespace=host,
        created_at=moment_untrusted(metadata["creationTimestamp"]),
    )


def condition_body(
    seen: dict[str, Any] | None, settings: Settings, said: tuple[bool, str, str], now: datetime
) -> dict[str, Any]:
    """The ControlPlane as the collector applies it: one condition, whose time moves only with its status."""
    stored, reason, message = said
    before = condition_of(((seen or {}).get("status") or {}).get("conditions"), CONDITION)
    unchanged = before is not None and before.get("status") == str(stored)
    since = before["lastTransitionTime"] if before is not None and unchanged else timestamp(now)
    condition = {
        "type": CONDITION,
        "status": str(stored),
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }
    return {
        "apiVersion": CONTROLPLANES.api_version,
        "kind": CONTROLPLANES.kind,
        "metadata": {"name": settings.control_plane_name, "namespace": settings.control_plane_group},
        "status": {"conditions": [condition]},
    }
