"""What a sync says where people look: the status, one line of the log, events. All of it was made without values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from keyless.api import Reason
from keyless.kube import (
    ApiError,
    Invalid,
    Kube,
    KubeObject,
    Name,
    NotFound,
    condition_of,
    record,
    set_condition,
    timestamp,
)
from keyless.kube.events import EventLevel
from keyless.kube.resources import EXTERNALSECRETS
from keyless.shared_secrets.staging.gate import CONDITION as ROTATION
from keyless.shared_secrets.sync.answers import of_kubernetes
from keyless.shared_secrets.sync.deletion import CONDITION
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.metrics import SyncMetrics
from keyless.shared_secrets.sync.plan import Said
from keyless.shared_secrets.sync.truth import AUTHORIZED, Truth, authorized, rows
from keyless.shared_secrets.sync.writing import NotSynced

COMPONENT = "external-secrets"
TAKEN = "the Secret holds the version that was read last"
_OURS = frozenset({CONDITION, AUTHORIZED, ROTATION})
# A condition's message is meant for people; AWS's longest denials are about 600 characters.
MESSAGE_LIMIT = 1500
log = structlog.get_logger()


class Telling:
    """Writes statuses and events of ExternalSecrets."""

    def __init__(self, kube: Kube, metrics: SyncMetrics, now: Callable[[], datetime]) -> None:
        self._kube, self._metrics, self._now = kube, metrics, now

    async def say(
        self,
        obj: KubeObject,
        said: Said,
        *,
        missing: bool | None = None,
        reason: str = "",
        truth: Truth | None = None,
        waits: str = "",
    ) -> None:
        """Write Ready; ``missing`` sets DeletionHeld for ``reason``, None leaves it as it is; so does no ``truth``.

        ``waits`` sets RotationHeld; it is taken back by a refresh that was not held back.
        """
        now, status = self._now(), obj.get("status") or {}
        message = said.message[:MESSAGE_LIMIT]
        conditions = set_condition(status.get("conditions"), "Ready", said.ready, said.reason, message, now=now)
        if missing or (missing is False and condition_of(conditions, CONDITION)):
            conditions = set_condition(conditions, CONDITION, bool(missing), reason, message, now=now)
        if waits:
            conditions = set_condition(conditions, ROTATION, True, Reason.VERSION_HELD, waits[:MESSAGE_LIMIT], now=now)
        elif truth is not None and said.ready and condition_of(conditions, ROTATION):
            conditions = set_condition(conditions, ROTATION, False, Reason.VERSION_TAKEN, TAKEN, now=now)
        new: KubeObject = {"conditions": conditions}
        if truth is not None:
            new["conditions"] = authorized(conditions, replace(truth, message=message), now)
            new["sources"] = rows(status.get("sources"), truth, now)
        if said.ready:
            target = ((obj.get("spec") or {}).get("target") or {}).get("name") or obj["metadata"]["name"]
            new |= {
                "refreshTime": timestamp(now),
                "syncedResourceVersion": resource_version(obj),
                "binding": {"name": target},
            }
        metadata = obj["metadata"]
        self._metrics.condition(Name(metadata["namespace"], metadata["name"]), ready=said.ready)
        if {key: status.get(key) for key in new} == new:
            return
        try:
            await self._write(metadata, new)
        except NotFound:
            return
        except ApiError as error:
            text = f"{metadata['namespace']}/{metadata['name']}: status not written: {of_kubernetes(error)}"
            raise NotSynced(text) from None
        log.info("external secret", name=metadata["name"], namespace=metadata["namespace"], reason=said.reason)

    async def _write(self, metadata: KubeObject, status: KubeObject) -> None:
        try:
            await self._patch(metadata, status)
        except Invalid:
            # Beside External Secrets its definition may be the one in force, which knows Ready alone (and Deleted).
            ready = [condition for condition in status["conditions"] if condition["type"] not in _OURS]
            await self._patch(metadata, {**status, "conditions": ready})

    async def _patch(self, metadata: KubeObject, status: KubeObject) -> None:
        name, namespace = metadata["name"], metadata["namespace"]
        await self._kube.patch(EXTERNALSECRETS, name, {"status": status}, namespace, subresource="status")

    async def tell(self, obj: KubeObject, level: EventLevel, reason: str, message: str) -> None:
        """Record an event; one that cannot be written is not worth failing for."""
        try:
            await record(self._kube, obj, type=level, reason=reason, message=message, component=COMPONENT)
        except ApiError as error:
            log.info("event not written", reason=reason, error=of_kubernetes(error))
