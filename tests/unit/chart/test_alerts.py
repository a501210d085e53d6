"""Each alert's expression, evaluated over what the components' own code tells a scrape: true when it should be.

What ``for`` demands beyond that is Prometheus' own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from keyless.billing.collector.service import Collector
from keyless.billing.collector.tally import Tally
from keyless.kube import Name
from keyless.shared_secrets.sync.metrics import SyncMetrics
from keyless.space.service import metrics_of
from keyless.space.usage_metrics import UsageMetrics
from keyless.space.values import Billing, Values
from promql import Scraped, Value

RULES = yaml.safe_load((Path(__file__).parents[3] / "spaces-helm-chart/files/rules.yaml").read_text(encoding="utf-8"))
ALERTS = {rule["alert"]: rule for rule in RULES}
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
AT = NOW.timestamp()
HOUR = timedelta(hours=1)


def ago(**since: float) -> datetime:
    return NOW - timedelta(**since)


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def collector(
    scraped: Scraped, *, sampled: timedelta = timedelta(seconds=20), waits: timedelta | None = None, **more: Any
) -> None:
    """A collector's own registry, from what it knows; ``sampled``: since when it has taken no sample."""
    one: Any = object.__new__(Collector)
    tally = Tally()
    tally.sampled, tally.lost = 100, more.pop("lost", 0)
    one._settings = SimpleNamespace(interval=timedelta(seconds=30), flush_interval=HOUR)
    one._clock = SimpleNamespace(now=lambda: NOW, offset=timedelta(seconds=more.pop("clock", 0)))
    one._started_at = NOW - HOUR
    one._spool = SimpleNamespace(tally=tally, waiting=list, bytes_used=0)
    since = None if waits is None else NOW - waits
    told = {"stored_to": None, "last_failure": "", "segments_stored": 1, "failures": 0}
    one._uploader = SimpleNamespace(waiting_since=since, **told)
    one._recorder = SimpleNamespace(
        samples_taken=1, open_since=None, last_sample=NOW - sampled, last_failure=None, unknown=more.pop("unknown", {})
    )
    one._space = SimpleNamespace(own=lambda: SimpleNamespace(billed_from=None))
    one._counter = SimpleNamespace(metering=SimpleNamespace(folded=0), undescribed=(), beginning=False)
    assert not more
    scraped.scrape(one._metrics(), AT - 10, namespace="mxp-1-system", pod="vector-1")


def operator(scraped: Scraped, *, leads: bool = True, **seen: Any) -> None:
    """An operator's own registry; ``seen``: control planes, license and CronJob as the API server has them."""
    values = Values(billing=Billing(enabled=True), export_schedule="0 3 1-3 * *")
    metrics = UsageMetrics(
        SimpleNamespace(),  # type: ignore[arg-type] - what was seen is given
        "spaces",
        lambda: values,
        lambda: seen.get("planes", ()),
        acts=lambda: leads,
    )
    metrics._license, metrics._export = seen.get("license"), seen.get("export")
    said: Any = SimpleNamespace(count=lambda: 1, lease=SimpleNamespace(is_held=leads), usage_metrics=metrics)
    target = {"namespace": "spaces", "pod": f"spaces-operator-{'a' if leads else 'b'}"}
    scraped.scrape(metrics_of(said), AT - 10, **target)


def plane(stored_to: datetime) -> dict[str, Any]:
    metadata = {"name": "ctp1", "namespace": "team", "creationTimestamp": stamp(ago(days=30))}
    return {"metadata": metadata, "status": {"billing": {"storedTo": stamp(stored_to)}}}


def licensed(condition: str, status: str, **usage: str) -> dict[str, Any]:
    return {"license": {"status": {"conditions": [{"type": condition, "status": status}], "usage": usage}}}


def export(active: int = 0, *, suspended: bool = False, **times: datetime) -> dict[str, Any]:
    status = {name: stamp(moment) for name, moment in times.items()}
    metadata = {"creationTimestamp": stamp(ago(days=90))}
    spec = {"suspend": suspended}
    return {"export": {"metadata": metadata, "spec": spec, "status": {**status, "active": [{}] * active}}}


def syncs(scraped: Scraped, failing: int, *, of: int = 10) -> None:
    """A controller's registry, twice: so many syncs fail in between."""
    registry = CollectorRegistry()
    metrics, target = SyncMetrics(registry), {"namespace": "mxp-1-system", "pod": "shared-secrets-1"}
    metrics.started()
    scraped.scrape(registry, AT - 610, **target)
    for number in range(of):
        metrics.started()
        if number < failing:
            metrics.failed()
    scraped.scrape(registry, AT - 10, **target)


def secret(scraped: Scraped, *, ready: bool, gone: bool = False) -> None:
    registry = CollectorRegistry()
    metrics = SyncMetrics(registry)
    metrics.condition(Name("db", "team"), ready=ready)
    if gone:
        metrics.forget(Name("db", "team"))
    scraped.scrape(registry, AT - 10, namespace="mxp-1-system", pod="shared-secrets-1")


def nothing(_: Scraped) -> None:
    """No component is scraped."""


def does(what: Callable[..., None], **told: Any) -> Callable[[Scraped], None]:
    return lambda scraped: what(scraped, **told)


def both(*, leads: bool) -> Callable[[Scraped], None]:
    """Two operators, of which one leads or none."""

    def happens(scraped: Scraped) -> None:
        for each in (leads, False):
            operator(scraped, leads=each)

    return happens


FIRES: list[tuple[str, Callable[[Scraped], None]]] = [
    ("SpacesOperatorNotLeading", nothing),
    ("SpacesOperatorNotLeading", both(leads=False)),
    ("SpacesUsageNotStored", does(collector, waits=1.1 * HOUR)),
    ("SpacesMeteringNotHealthy", does(collector, sampled=HOUR)),
    ("SpacesUsageLost", does(collector, lost=1)),
    ("SpacesMeteringSilent", does(collector, sampled=timedelta(seconds=121))),
    ("SpacesUsageClockOff", does(collector, clock=31)),
    ("SpacesUsageClockOff", does(collector, clock=-31)),
    ("SpacesUsageBehind", does(operator, planes=[plane(ago(hours=3))])),
    ("SpacesExportFailed", does(operator, **export(lastScheduleTime=ago(hours=9)))),
    ("SpacesExportFailed", does(operator, **export(lastScheduleTime=ago(hours=9), lastSuccessfulTime=ago(days=1)))),
    ("SpacesExportMissing", does(operator, **export(lastSuccessfulTime=ago(days=34)))),
    ("SpacesCapacityDoesNotLast", does(operator, **licensed("CapacityLasts", "False"))),
    ("SpacesCapacitySpent", does(operator, **licensed("CapacityLasts", "False", operationsUtilization="100.00%"))),
    ("SpacesLicenseNotValid", does(operator, **licensed("LicenseValid", "False"))),
    ("SpacesSecretsNotReady", does(secret, ready=False)),
    ("SpacesSecretsFailing", does(syncs, failing=6)),
]
RESTS: list[tuple[str, Callable[[Scraped], None]]] = [
    ("SpacesOperatorNotLeading", both(leads=True)),
    ("SpacesUsageNotStored", does(collector, waits=0.9 * HOUR)),
    ("SpacesUsageNotStored", does(collector)),
    ("SpacesMeteringNotHealthy", does(collector)),
    ("SpacesUsageLost", does(collector)),
    ("SpacesMeteringSilent", does(collector, sampled=timedelta(seconds=119))),
    ("SpacesUsageClockOff", does(collector, clock=-29)),
    ("SpacesUsageBehind", does(operator, planes=[plane(ago(hours=2))])),
    ("SpacesUsageBehind", does(operator, leads=False, planes=[plane(ago(hours=9))])),
    ("SpacesExportFailed", does(operator, **export(lastScheduleTime=ago(hours=9), active=1))),
    ("SpacesExportFailed", does(operator, **export(lastScheduleTime=ago(hours=9), lastSuccessfulTime=ago(hours=8)))),
    ("SpacesExportFailed", does(operator, **export(lastScheduleTime=ago(hours=9), suspended=True))),
    ("SpacesExportMissing", does(operator, **export(lastSuccessfulTime=ago(days=32)))),
    ("SpacesCapacityDoesNotLast", does(operator, **licensed("CapacityLasts", "True"))),
    ("SpacesCapacityDoesNotLast", does(operator, **licensed("CapacityLasts", "Unknown"))),
    ("SpacesCapacitySpent", does(operator, **licensed("CapacityLasts", "True", resourceHoursUtilization="99.99%"))),
    ("SpacesLicenseNotValid", does(operator, **licensed("LicenseValid", "True"))),
    # A license file is named, whose format nobody publishes: no one can do anything about it at night.
    ("SpacesLicenseNotValid", does(operator, **licensed("LicenseValid", "Unknown"))),
    ("SpacesSecretsNotReady", does(secret, ready=True)),
    ("SpacesSecretsNotReady", does(secret, ready=False, gone=True)),
    ("SpacesSecretsFailing", does(syncs, failing=5)),
    ("SpacesSecretsFailing", does(syncs, failing=0, of=0)),
]


def evaluated(alert: str, happens: Callable[[Scraped], None]) -> Value:
    scraped = Scraped()
    happens(scraped)
    return scraped.evaluate(ALERTS[alert]["expr"], AT)


@pytest.mark.parametrize(("alert", "happens"), FIRES)
def test_it_fires_and_its_words_name_what_it_is_about(alert: str, happens: Callable[[Scraped], None]) -> None:
    found = evaluated(alert, happens)
    assert isinstance(found, dict)
    (labels,) = found
    spoken_of = {
        name for text in ALERTS[alert]["annotations"].values() for name in re.findall(r"\$labels\.(\w+)", text)
    }
    assert spoken_of <= {name for name, _ in labels}


@pytest.mark.parametrize(("alert", "happens"), RESTS)
def test_it_rests(alert: str, happens: Callable[[Scraped], None]) -> None:
    assert evaluated(alert, happens) == {}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_seen_to_fire_and_to_rest_and_what_is_not_scraped_is_no_trouble(alert: str) -> None:
    assert alert in {name for name, _ in FIRES} & {name for name, _ in RESTS}
    if alert != "SpacesOperatorNotLeading":
        assert evaluated(alert, nothing) == {}


@pytest.mark.parametrize(
    "expression", ["x offset 5m", "delta(x[5m])", "x > on(a) y", "sum without (a) (x)", "1 > 0", "x)"]
)
def test_what_the_evaluator_does_not_know_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Scraped().evaluate(expression, AT)
