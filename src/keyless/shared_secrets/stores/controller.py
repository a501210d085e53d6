"""The loop for SecretStores and ClusterSecretStores: what their status says.

Ready says whether credentials can be had, and if not, why; Authorized whether AWS let read what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog

from keyless.api import KeylessError, Reason, Transient
from keyless.aws import AWS_FAILURES
from keyless.kube import ApiError, Kube, KubeObject, Name, NotFound, Resource, set_condition
from keyless.kube.resources import CLUSTERSECRETSTORES, SECRETSTORES
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.stores.authorized import verdict
from keyless.shared_secrets.stores.classes import is_ours
from keyless.shared_secrets.stores.model import StoreFault
from keyless.shared_secrets.stores.resolution import Stores

REQUEUE_SECONDS = 300.0
CLIENT_FAILED, VALIDATION_FAILED = "unable to create client", "unable to validate store"
MESSAGE_LIMIT = 1500
AUTHORIZED = "Authorized"
log = structlog.get_logger()


class StoreNotReady(Transient):
    """Raised after the status said so, to be tried again with backoff."""


class StoreController:
    """Validates one kind of store; ``readers`` are all ExternalSecrets, as last seen."""

    def __init__(
        self,
        kube: Kube,
        res: Resource,
        stores: Stores,
        now: Callable[[], datetime],
        readers: Callable[[], Iterable[KubeObject]] = tuple,
    ) -> None:
        self._kube, self._res, self._stores, self._now, self._readers = kube, res, stores, now, readers

    async def reconcile(self, key: Name) -> float | None:
        """Validate one; returns the seconds to the next validation."""
        try:
            store = await self._kube.get(self._res, key.name, key.namespace or None)
        except NotFound:
            return None
        if not is_ours(store):
            return None  # another controller's class
        ready, reason, message = await self._checked(store)
        await self._say(store, ready, reason, message)
        if not ready:
            raise StoreNotReady(f"{store['kind']} {key.name}: {message}")
        return requeue_seconds(store["spec"])

    async def _checked(self, store: KubeObject) -> tuple[bool, str, str]:
        try:
            checked = await self._stores.check(store)
        except StoreFault as fault:
            return False, fault.reason, f"{CLIENT_FAILED}: {fault}"
        except AWS_FAILURES as error:
            return False, Reason.INVALID_PROVIDER_CONFIG, f"{VALIDATION_FAILED}: {error}"
        except ApiError as error:
            return (
                False,
                Reason.INVALID_PROVIDER_CONFIG,
                f"{CLIENT_FAILED}: Kubernetes answered {error.reason or error.code}",
            )
        except KeylessError:
            raise
        return True, checked.reason, checked.message

    async def _say(self, store: KubeObject, ready: bool, reason: str, message: str) -> None:
        status = store.get("status") or {}
        conditions = set_condition(
            status.get("conditions"), "Ready", ready, reason, message[:MESSAGE_LIMIT], now=self._now()
        )
        if told := verdict(store, self._readers()):
            text = told.message[:MESSAGE_LIMIT]
            conditions = set_condition(conditions, AUTHORIZED, told.status, told.reason, text, now=self._now())
        new: dict[str, Any] = {"conditions": conditions, "capabilities": "ReadWrite"}
        if {key: status.get(key) for key in new} == new:
            return
        metadata = store["metadata"]
        try:
            await self._kube.patch(
                self._res, metadata["name"], {"status": new}, metadata.get("namespace"), subresource="status"
            )
        except NotFound:
            return  # deleted meanwhile
        log.info("store checked", kind=store["kind"], name=metadata["name"], reason=reason)


def requeue_seconds(spec: KubeObject) -> float:
    """Return the spec's ``refreshInterval`` (seconds or a duration), else the default."""
    said = spec.get("refreshInterval")
    try:
        seconds = float(said) if isinstance(said, int) else seconds_of(str(said)) if said else 0.0
    except ValueError:
        seconds = 0.0
    return seconds if seconds > 0 else REQUEUE_SECONDS


KINDS = (SECRETSTORES, CLUSTERSECRETSTORES)
