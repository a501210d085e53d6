"""What a scrape learns of usage beside the collectors, and when the chart's alerts are true of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from keyless.kube import Forbidden, KubeObject, NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CRONJOBS, SPACELICENSES
from keyless.space.usage_metrics import EXPORT, UsageMetrics
from keyless.space.values import Billing, Values
from promql import Scraped

FILE = Path(__file__).parents[3] / "spaces-helm-chart/files/rules.yaml"
RULES = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(FILE.read_text(encoding="utf-8"))}
NOW = datetime(2026, 11, 3, 5, tzinfo=UTC)
STARTED = "2026-11-01T00:00:00Z"
NAMESPACE = "spaces"
ON = Values(billing=Billing(enabled=True), export_schedule="0 3 1-3 * *")


def plane(name: str, *, stored_to: str = "", **metadata: str) -> KubeObject:
    status = {"billing": {"storedTo": stored_to}} if stored_to else {}
    made = {"name": name, "namespace": "team", "creationTimestamp": STARTED, **metadata}
    return {"metadata": made, "status": status}


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class World:
    """An operator's metrics before a host in memory."""

    def __init__(self, values: Values | None = ON) -> None:
        self.host = MemoryKube(now=lambda: NOW)
        self.values, self.planes, self.leads = values, list[KubeObject](), True
        self.metrics = UsageMetrics(
            self.host, NAMESPACE, lambda: self.values, lambda: self.planes, acts=lambda: self.leads
        )
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def told(self) -> dict[str, float]:
        """As Prometheus reads it: a metric with its labels, and its value."""
        lines = generate_latest(self.registry).decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    async def export(self, **status: Any) -> dict[str, float]:
        """As told where the CronJob has this status."""
        made = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": EXPORT, "namespace": NAMESPACE, "creationTimestamp": STARTED},
            "spec": {"suspend": status.pop("suspend", False)},
            "status": status,
        }

        async def get(resource: object, name: str, namespace: str | None = None) -> KubeObject:
            if resource is CRONJOBS:
                assert (name, namespace) == (EXPORT, NAMESPACE)
                return made
            raise NotFound({"message": "none"})

        self.host.get = get  # type: ignore[method-assign]  # a host that answers so
        await self.metrics.look()
        return self.told()


def test_of_each_control_plane_it_is_told_until_when_its_usage_is_stored() -> None:
    world = World()
    world.planes = [
        plane("stores", stored_to="2026-11-03T04:00:00Z"),
        plane("never"),
        plane("goes", deletionTimestamp=STARTED),
        plane("odd", stored_to="soon", creationTimestamp="x"),
    ]
    assert world.told() == {
        f'keyless_usage_stored_to_timestamp_seconds{{controlplane="{name}",group="team"}}': seconds(at)
        for name, at in (("stores", "2026-11-03T04:00:00Z"), ("never", STARTED))
    }


@pytest.mark.parametrize("values", [None, Values()], ids=["unreadable values", "no billing"])
def test_where_nobody_meters_nothing_is_late(values: Values | None) -> None:
    world = World(values)
    world.planes = [plane("never")]
    assert world.told() == {}


def test_of_two_operators_only_the_one_that_acts_tells() -> None:
    world = World()
    world.planes, world.leads = [plane("never")], False
    assert world.told() == {}


async def test_a_license_tells_its_conditions_and_how_much_is_used() -> None:
    world = World()
    license_ = {
        "apiVersion": SPACELICENSES.api_version,
        "kind": SPACELICENSES.kind,
        "metadata": {"name": "space"},
        "status": {
            "conditions": [{"type": "LicenseValid", "status": "Unknown"}, {"type": "CapacityLasts", "status": "False"}],
            "usage": {"resourceHoursUtilization": "70.21%", "operationsUtilization": "?"},
        },
    }
    await world.host.create(SPACELICENSES, license_)
    await world.metrics.look()
    told = world.told()
    assert told.pop('keyless_capacity_utilization_ratio{limit="resourceHours"}') == pytest.approx(0.7021)
    assert {name for name, value in told.items() if value} == {
        'keyless_spacelicense_status_condition{condition="LicenseValid",status="Unknown"}',
        'keyless_spacelicense_status_condition{condition="CapacityLasts",status="False"}',
    }
    assert len(told) == 2 * 3


ON_TIME, DONE = "2026-11-03T03:00:00Z", "2026-11-03T03:04:00Z"
LONG_AGO = f"{NOW - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("status", "is_failed", "is_missing"),
    [
        ({}, False, False),
        ({"lastScheduleTime": ON_TIME}, True, False),
        ({"lastScheduleTime": ON_TIME, "active": [{"name": "x"}]}, False, False),
        ({"lastScheduleTime": ON_TIME, "lastSuccessfulTime": DONE}, False, False),
        ({"lastScheduleTime": ON_TIME, "lastSuccessfulTime": "2026-11-02T03:04:00Z"}, True, False),
        ({"lastScheduleTime": LONG_AGO, "lastSuccessfulTime": LONG_AGO}, False, True),
        ({"lastScheduleTime": ON_TIME, "suspend": True}, False, False),
        ({"lastScheduleTime": "soon", "lastSuccessfulTime": 3}, False, False),
    ],
    ids=["new", "the first failed", "runs", "done", "failed since", "never begun again", "suspended", "odd"],
)
async def test_an_export_that_failed_or_is_missing_is_seen(
    status: dict[str, Any], is_failed: bool, is_missing: bool
) -> None:
    world, scraped = World(), Scraped()
    await world.export(**status)
    scraped.scrape(world.registry, NOW.timestamp(), namespace=NAMESPACE, pod="spaces-operator-1")
    alerts = (RULES[name] for name in ("SpacesExportFailed", "SpacesExportMissing"))
    assert [bool(scraped.evaluate(expr, NOW.timestamp())) for expr in alerts] == [is_failed, is_missing]


@pytest.mark.parametrize("refused", [NotFound, Forbidden])
async def test_what_may_not_be_seen_is_not_told(refused: type[NotFound | Forbidden]) -> None:
    world = World()
    await world.export(lastScheduleTime=ON_TIME)

    async def get(*_: object) -> KubeObject:
        raise refused({"message": "no"})

    world.host.get = get  # type: ignore[method-assign, assignment]  # a host that answers so
    await world.metrics.look()
    assert world.told() == {}


async def test_without_a_schedule_the_export_is_not_asked_for() -> None:
    world = World(Values(billing=Billing(enabled=True)))
    assert await world.export(lastScheduleTime=ON_TIME) == {}
