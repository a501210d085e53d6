"""The loop for one shared kind: pull what selects this control plane, write it there, one status row in the Space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from keyless.api import Transient
from keyless.kube import ApiError, Kube, KubeObject, Name, NotFound, timestamp
from keyless.shared_secrets.projection.plan import Kind, Projection, project, row, row_of, same_row

FIELD_MANAGER = "external-secrets-projection"
log = structlog.get_logger()


class NotProjected(Transient):
    """The status row says why."""


class ProjectionController:
    """``control_plane`` and ``existing`` read the informers; ``name`` is this control plane's."""

    def __init__(
        self,
        kind: Kind,
        *,
        name: str,
        host: Kube,
        tenant: Kube,
        control_plane: Callable[[], KubeObject | None],
        existing: Callable[[], Iterable[KubeObject]],
        now: Callable[[], datetime],
    ) -> None:
        self._kind, self._name, self._now = kind, name, now
        self._host, self._tenant = host, tenant
        self._control_plane, self._existing = control_plane, existing

    async def reconcile(self, key: Name) -> float | None:
        """Project one shared resource."""
        control_plane = self._control_plane()
        if control_plane is None:
            raise NotProjected(f"ControlPlane {self._name} is not known yet")
        shared = await self._shared(key)
        plan = project(self._kind, key.name, shared, control_plane, self._existing())
        refused = await self._carry_out(plan)
        if shared is not None:
            taking_part = plan.apply is not None or bool(refused)
            await self._say(shared, row(self._name, refused, timestamp(self._now())) if taking_part else {})
        if refused:
            raise NotProjected(f"{self._kind.shared.kind} {key.name}: {refused}")
        return None

    async def _shared(self, key: Name) -> KubeObject | None:
        try:
            return await self._host.get(self._kind.shared, key.name, key.namespace)
        except NotFound:
            return None

    async def _carry_out(self, plan: Projection) -> str:
        res = self._kind.projected
        for item in plan.delete:
            try:
                await self._tenant.delete(res, item["metadata"]["name"], uid=item["metadata"]["uid"])
            except NotFound:
                continue
        if plan.apply is None:
            return plan.refused
        try:
            await self._tenant.apply(res, plan.apply, field_manager=FIELD_MANAGER)
        except ApiError as error:
            return f"the control plane answered {error.reason or error.code}: {error}"[:1000]
        name = plan.apply["metadata"]["name"]
        if not any(item["metadata"]["name"] == name for item in self._existing()):
            log.info("projected", kind=self._kind.shared.kind, name=name)
        return ""

    async def _say(self, shared: KubeObject, mine: KubeObject) -> None:
        status, metadata = shared.get("status") or {}, shared["metadata"]
        generation = metadata.get("generation", 0)
        if same_row(row_of(status, self._name), mine) and (not mine or status.get("observedGeneration") == generation):
            return
        # Both lists are always said: a field that apply removes altogether may be left behind as null.
        told = {"provisioned": [], "failed": [], **mine, "observedGeneration": generation}
        body: KubeObject = {"metadata": {"name": metadata["name"], "namespace": metadata["namespace"]}, "status": told}
        # One field manager per control plane: each owns its own rows, nobody overwrites another's.
        said = await self._host.apply(
            self._kind.shared, body, field_manager=f"external-secrets/{self._name}", subresource="status"
        )
        await self._count(said)

    async def _count(self, shared: KubeObject) -> None:
        metadata = shared["metadata"]
        total = str(len((shared.get("status") or {}).get("provisioned") or ()))
        if (metadata.get("annotations") or {}).get(self._kind.total_annotation) == total:
            return
        patch = {"metadata": {"annotations": {self._kind.total_annotation: total}}}
        await self._host.patch(self._kind.shared, metadata["name"], patch, metadata["namespace"])
