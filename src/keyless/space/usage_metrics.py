"""What a scrape learns of usage beside the collectors' own words: who stores nothing, what a capacity is, the export.

A collector that does not run tells nothing, and a Job is gone before anybody asks it; both are seen from here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from keyless.api import KeylessError
from keyless.billing.ledger.model import Malformed, moment_untrusted
from keyless.kube import Forbidden, Kube, KubeObject, NotFound
from keyless.kube.resources import CRONJOBS, SPACELICENSES
from keyless.space.capacity.plan import NAME
from keyless.space.values import Values

_log = structlog.get_logger("keyless.operator.usage_metrics")
LOOK_SECONDS = 60.0
EXPORT = "billing-export"
_PERCENT = re.compile(r"([0-9]+\.[0-9]+)%", re.ASCII)
_LIMITS = ("resourceHours", "operations")
STATUSES = ("True", "False", "Unknown")


def families(
    values: Values, planes: Iterable[KubeObject], license_: KubeObject | None, export: KubeObject | None
) -> Iterator[GaugeMetricFamily]:
    """What there is to tell; of what is not there nothing is told. Pure."""
    yield _stored(planes if values.billing.enabled else ())
    yield from _licensed(license_ or {})
    yield from _exported(export or {})


def _stored(planes: Iterable[KubeObject]) -> GaugeMetricFamily:
    told = "Until when usage of a control plane is stored; of one that stored nothing yet, when it was created."
    found = GaugeMetricFamily("keyless_usage_stored_to_timestamp_seconds", told, labels=["group", "controlplane"])
    for plane in planes:
        metadata, billing = plane["metadata"], (plane.get("status") or {}).get("billing") or {}
        # One that goes has nobody who stores; what is lacking of it an export says.
        if metadata.get("deletionTimestamp"):
            continue
        at = _moment(billing.get("storedTo")) or _moment(metadata.get("creationTimestamp"))
        if at is not None:
            found.add_metric([metadata["namespace"], metadata["name"]], at)
    return found


def _licensed(license_: KubeObject) -> Iterator[GaugeMetricFamily]:
    status = license_.get("status") or {}
    told = "A condition of the SpaceLicense: 1 at the status that it has."
    conditions = GaugeMetricFamily("keyless_spacelicense_status_condition", told, labels=["condition", "status"])
    for condition in status.get("conditions") or []:
        for each in STATUSES:
            conditions.add_metric([condition["type"], each], float(condition["status"] == each))
    yield conditions
    told = "How much of what was bought is used; 1 is all of it."
    used = GaugeMetricFamily("keyless_capacity_utilization_ratio", told, labels=["limit"])
    for name in _LIMITS:
        share = _PERCENT.fullmatch(str((status.get("usage") or {}).get(f"{name}Utilization")))
        if share is not None:
            used.add_metric([name], float(Fraction(share[1]) / 100))
    yield used


def _exported(cron_job: KubeObject) -> Iterator[GaugeMetricFamily]:
    told = "When the scheduled export was last begun."
    begun = GaugeMetricFamily("keyless_billing_export_last_schedule_timestamp_seconds", told)
    told = "When the scheduled export last ended well; before the first time, when it was set up."
    done = GaugeMetricFamily("keyless_billing_export_last_success_timestamp_seconds", told)
    active = GaugeMetricFamily("keyless_billing_export_active", "How many Jobs of the scheduled export run.")
    status, metadata = cron_job.get("status") or {}, cron_job.get("metadata") or {}
    if cron_job and not (cron_job.get("spec") or {}).get("suspend"):
        if (at := _moment(status.get("lastScheduleTime"))) is not None:
            begun.add_metric([], at)
        if (at := _moment(status.get("lastSuccessfulTime")) or _moment(metadata.get("creationTimestamp"))) is not None:
            done.add_metric([], at)
        active.add_metric([], float(len(status.get("active") or [])))
    yield from (begun, done, active)


def _moment(text: Any) -> float | None:
    try:
        return moment_untrusted(text).timestamp() if text else None
    except Malformed:
        return None


class UsageMetrics(Collector):
    """Implements Prometheus' collector; tells only while the lease is held, for of two operators both would tell.

    ``namespace`` is the release's.
    """

    def __init__(
        self,
        host: Kube,
        namespace: str,
        values: Callable[[], Values | None],
        planes: Callable[[], Iterable[KubeObject]],
        *,
        acts: Callable[[], bool],
    ) -> None:
        self._host, self._namespace, self._values, self._planes, self._acts = host, namespace, values, planes, acts
        self._license: KubeObject | None = None
        self._export: KubeObject | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The names alone: at registration nothing is known."""
        return families(Values(), (), None, None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """As last seen."""
        values = self._values() if self._acts() else None
        return [] if values is None else families(values, self._planes(), self._license, self._export)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except KeylessError as error:
                # What was seen before stays: an API server that is away for a minute is no export that failed.
                _log.warning("usage metrics not renewed", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Once."""
        values = self._values()
        if values is None:
            return
        self._license = await self._seen(SPACELICENSES, NAME, "")
        self._export = await self._seen(CRONJOBS, EXPORT, self._namespace) if values.export_schedule else None

    async def _seen(self, resource: Any, name: str, namespace: str) -> KubeObject | None:
        try:
            return await self._host.get(resource, name, namespace)
        except (NotFound, Forbidden):
            # Not there, or a chart without the right: nothing to tell is not the same as all well, and no alert is.
            return None


__all__ = ["UsageMetrics", "families"]
