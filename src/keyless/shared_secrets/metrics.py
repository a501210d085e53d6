"""External Secrets' metrics of each kind, by their names: conditions as the objects say them, and how long work took.

Names: https://external-secrets.io/latest/api/metrics/
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Gauge

from keyless.kube import Event, Informer, KubeObject, Name, name_of

Reconcile = Callable[[Name], Awaitable[float | None]]
STATUSES = ("True", "False", "Unknown")


class ApiCalls:
    """``externalsecret_provider_api_calls_count``: a name that ends otherwise than this client lets counters end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Gauge(
            "externalsecret_provider_api_calls_count",
            "Calls to the provider since the start.",
            ["provider", "call", "status"],
            registry=registry,
        )

    def heard(self, provider: str, call: str, status: str) -> None:
        """Count a call."""
        self._calls.labels(provider, call, status).inc()


class Durations:
    """``KIND_reconcile_duration``, in nanoseconds."""

    def __init__(self, kind: str, informer: Informer, registry: CollectorRegistry) -> None:
        self._duration = Gauge(
            f"{kind}_reconcile_duration", "Nanoseconds of the last run.", ["name", "namespace"], registry=registry
        )
        informer.on_change(self._changed)

    def timed(self, reconcile: Reconcile) -> Reconcile:
        """Return ``reconcile`` with its time shown."""

        async def measured(key: Name) -> float | None:
            started = time.monotonic_ns()
            try:
                return await reconcile(key)
            finally:
                self._duration.labels(key.name, key.namespace).set(time.monotonic_ns() - started)

        return measured

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            key = name_of(event.object)
            _drop(self._duration, key.name, key.namespace)


class Conditions:
    """``KIND_status_condition``: what each object says of itself, as long as there is one."""

    def __init__(self, kind: str, informer: Informer, registry: CollectorRegistry) -> None:
        self._status = Gauge(
            f"{kind}_status_condition",
            "Whether the condition has the status.",
            ["name", "namespace", "condition", "status"],
            registry=registry,
        )
        informer.on_change(self._changed)

    def _changed(self, event: Event) -> None:
        key, before = name_of(event.object), _conditions(event.old or {})
        said = {} if event.type == "DELETED" else _conditions(event.object)
        for condition, held in said.items():
            for status in STATUSES:
                self._status.labels(key.name, key.namespace, condition, status).set(status == held)
        gone = before.keys() | (_conditions(event.object).keys() if event.type == "DELETED" else set())
        for condition in gone - said.keys():
            for status in STATUSES:
                _drop(self._status, key.name, key.namespace, condition, status)


def _drop(gauge: Gauge, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return


def _conditions(obj: KubeObject) -> dict[str, str]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return {str(one["type"]): str(one.get("status")) for one in conditions if one.get("type")}
