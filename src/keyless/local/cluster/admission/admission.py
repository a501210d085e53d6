"""The chain of admission for all clusters."""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.admission import namespaces, pod_security, pods, webhooks
from keyless.local.cluster.admission.attributes import Attributes
from keyless.local.cluster.admission.caller import WebhookCaller
from keyless.local.cluster.store import Store

Object = dict[str, Any]
Warnings = tuple[str, ...]


class Admission:
    """Built-in admission and webhooks."""

    def __init__(self, store: Store, caller: WebhookCaller) -> None:
        self._store = store
        self._caller = caller

    @property
    def caller(self) -> WebhookCaller:
        """How webhooks are reached: those of conversion too."""
        return self._caller

    def check_namespace(self, attributes: Attributes) -> None:
        """Refuse to create in a namespace that is missing or going."""
        namespaces.check(self._store, attributes)

    async def mutate(self, attributes: Attributes, obj: Object, old: Object | None) -> tuple[Object, Warnings]:
        """The object as admission wants it."""
        self.check_namespace(attributes)
        if attributes.operation == "CREATE" and attributes.target.place == ("", "pods"):
            obj = pods.with_service_account(self._store, attributes.target, obj)
        return await webhooks.mutate(self._store, self._caller, attributes, obj, old)

    async def validate(self, attributes: Attributes, obj: Object | None, old: Object | None) -> Warnings:
        """Hold pods to their namespace's level, then ask the validating webhooks; a deletion is asked here alone."""
        if attributes.operation == "DELETE":
            namespaces.check_deletion(attributes)
            await webhooks.mutate(self._store, self._caller, attributes, obj, old)
        warnings = pod_security.check(self._store, attributes, obj, old) if obj is not None else ()
        return warnings + await webhooks.validate(self._store, self._caller, attributes, obj, old)

    async def aclose(self) -> None:
        """Close the connections to webhooks."""
        await self._caller.aclose()
