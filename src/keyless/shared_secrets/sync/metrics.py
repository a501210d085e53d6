"""External Secrets' metrics, by their names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from keyless.kube import Name


class SyncMetrics:
    """Counters of one controller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter("externalsecret_sync_calls", "Syncs begun.", registry=registry)
        self._errors = Counter("externalsecret_sync_calls_error", "Syncs failed.", registry=registry)
        self._status = Gauge(
            "externalsecret_status_condition",
            "Whether the condition has the status.",
            ["name", "namespace", "condition", "status"],
            registry=registry,
        )

    def started(self) -> None:
        """Count a sync."""
        self._calls.inc()

    def failed(self) -> None:
        """Count a failed one."""
        self._errors.inc()

    def condition(self, key: Name, *, ready: bool) -> None:
        """Show what Ready says."""
        for status in (True, False):
            self._status.labels(key.name, key.namespace, "Ready", str(status)).set(ready is status)

    def forget(self, key: Name) -> None:
        """Drop the series of an ExternalSecret that is gone."""
        for status in ("True", "False"):
            try:
                self._status.remove(key.name, key.namespace, "Ready", status)
            except KeyError:
                continue
