"""The watches that wake the loop over WorkloadIdentities, and what the loop over control planes asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from keyless.kube import Controller, Event, Informer, Kube, Name, name_of
from keyless.kube.resources import WORKLOADIDENTITIES
from keyless.space.control_planes.ports import ReadValues
from keyless.space.values import Values
from keyless.space.workload_identity.model import with_roles

if TYPE_CHECKING:
    from keyless.space.workload_identity.controller import Follower

RESYNC_SECONDS = 600.0


class Following:
    """``environ`` has the operator's own identity in AWS; ``changed`` is called where a role is another now."""

    def __init__(
        self,
        host: Kube,
        read_values: ReadValues,
        environ: Mapping[str, str],
        *,
        now: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        self.identities = Informer(host, WORKLOADIDENTITIES)
        self._host, self._environ, self._read_values, self._now = host, environ, read_values, now
        self._follower: Follower | None = None
        self._controller: Controller[str] = Controller(
            "workload-identities", self._reconcile, resync_seconds=RESYNC_SECONDS
        )
        self._changed = changed
        self._places: dict[Name, object] = {}
        self._told: dict[str, object] = {}
        self.identities.on_change(self._identity_changed)

    async def run(self) -> None:
        """Work until cancelled, one at a time: two components share the OIDC provider."""
        self.wake()
        await self._controller.run(1)

    def values_for(self, values: Values, namespace: str) -> Values:
        """The values for one host namespace, with the roles that are managed."""
        return with_roles(values, namespace, self.identities.items())

    def plane_changed(self, event: Event) -> None:
        """Wake the loop where a control plane came, went or moved; its conditions change all the time."""
        plane, name = event.object, name_of(event.object)
        status, metadata = plane.get("status") or {}, plane["metadata"]
        place = None
        if event.type != "DELETED":
            place = (status.get("hostNamespace"), bool(metadata.get("deletionTimestamp")))
        if self._places.get(name) != place:
            self._places[name] = place
            self.wake()

    def wake(self) -> None:
        """Look at all identities again."""
        for obj in self.identities.items():
            self._controller.enqueue(obj["metadata"]["name"])

    async def _reconcile(self, name: str) -> float | None:
        if self._follower is None:
            # What speaks to AWS is a fifth of the operator's memory, and a Space that manages nothing needs none of it.
            from keyless.space.workload_identity.assembling import assemble

            self._follower = assemble(self._host, self._environ, self._read_values, self._now)
        return await self._follower.reconcile(name)

    def _identity_changed(self, event: Event) -> None:
        name, status = event.object["metadata"]["name"], event.object.get("status") or {}
        gone = event.type == "DELETED"
        # Our own status wakes us through its waits alone; a changed spec at once.
        if gone or event.object["metadata"].get("generation", 1) != status.get("observedGeneration"):
            self._controller.enqueue(name)
        roles = {row["hostNamespace"]: row.get("role") for row in status.get("controlPlanes") or ()}
        told = None if gone else (event.object["spec"], status.get("nextRole"), roles)
        if self._told.get(name) != told:
            self._told[name] = told
            self._changed()
