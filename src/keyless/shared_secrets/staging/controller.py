"""The loop that says how a control plane is doing in a staged rotation: one row of a SharedExternalSecret's status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keyless.api import Reason
from keyless.kube import Forbidden, Kube, KubeObject, Name, NotFound, condition_of, set_condition
from keyless.kube.resources import DAEMONSETS, DEPLOYMENTS, SHAREDEXTERNALSECRETS, STATEFULSETS
from keyless.shared_secrets.staging.plan import StagingFault, staging_of
from keyless.shared_secrets.staging.rows import ROTATED, row_of, unready, uses

POLL_SECONDS = 15.0
"""Workloads are not watched: a control plane may hold thousands, and a rotation is seldom."""


class StagingController:
    """``shared`` and ``owned`` read the informers: a SharedExternalSecret, and the ExternalSecrets made of it here."""

    def __init__(
        self,
        me: str,
        host: Kube,
        tenant: Kube,
        *,
        shared: Callable[[Name], KubeObject | None],
        owned: Callable[[str], list[KubeObject]],
        now: Callable[[], datetime],
    ) -> None:
        self._me, self._host, self._tenant = me, host, tenant
        self._shared, self._owned, self._now = shared, owned, now

    async def reconcile(self, key: Name) -> float | None:
        """Write the row; returns the seconds to the next look while a rotation is under way."""
        shared = self._shared(key)
        if shared is None:
            return None
        rows = (shared.get("status") or {}).get("rotation") or ()
        before = next((row for row in rows if row["controlPlane"] == self._me), None)
        row = await self._row(key, shared, before)
        if row != before:
            body: KubeObject = {
                "metadata": {"name": key.name, "namespace": key.namespace},
                "status": {"rotation": [row] if row else []},
            }
            await self._host.apply(
                SHAREDEXTERNALSECRETS, body, field_manager=f"external-secrets-rotation/{self._me}", subresource="status"
            )
        others = [one for one in rows if one["controlPlane"] != self._me]
        under_way = [one for one in (*others, *([row] if row else [])) if not _is_done(one)]
        return POLL_SECONDS if row and under_way else None

    async def _row(self, key: Name, shared: KubeObject, before: KubeObject | None) -> KubeObject | None:
        owned, now = self._owned(key.name), self._now()
        if not owned:
            return None
        try:
            staging = staging_of(shared)
        except StagingFault as fault:
            kept = {**(before or {}), "controlPlane": self._me}
            kept["conditions"] = set_condition(
                kept.get("conditions"), ROTATED, False, Reason.INVALID_ROTATION, str(fault), now=now
            )
            return kept
        if staging is None:
            return None
        return row_of(staging, self._me, owned, shared, await self._troubles(owned), now)

    async def _troubles(self, owned: list[KubeObject]) -> list[str]:
        """Say which workloads that use the Secrets are not ready."""
        found: list[str] = []
        targets: dict[str, set[str]] = {}
        for one in owned:
            target = ((one.get("spec") or {}).get("target") or {}).get("name") or one["metadata"]["name"]
            targets.setdefault(one["metadata"]["namespace"], set()).add(target)
        for namespace, secrets in sorted(targets.items()):
            for res in (DEPLOYMENTS, STATEFULSETS, DAEMONSETS):
                try:
                    items = (await self._tenant.list(res, namespace)).items
                except NotFound:
                    continue  # a control plane that runs no workloads serves no such kinds
                except Forbidden:
                    # Not seen is not ready: a stage would be passed that nobody looked at.
                    found.append(f"{res.plural} in namespace {namespace} may not be listed")
                    continue
                used = [item for item in items if any(uses(item, secret) for secret in secrets)]
                found += [text for item in used if (text := unready(item, res.kind))]
        return found


def _is_done(row: KubeObject) -> bool:
    return bool((condition_of(row.get("conditions"), ROTATED) or {}).get("status") == "True")
