"""The chart's alerts speak of metrics that the components have."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "spaces-helm-chart/files/rules.yaml").read_text(encoding="utf-8"))
SOURCES = ("space", "billing/collector", "shared_secrets")
# What else an expression is made of.
WORDS = {"sum", "or", "vector", "abs", "rate", "m", "h", "count", "max_over_time", "time", "max", "by", "and"}
LABELS = {"group", "controlplane", "limit", "condition"}
"""Labels by which some of them are summed."""
DASHBOARD = json.loads((ROOT / "spaces-helm-chart/files/dashboard.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}


def _metrics() -> Iterator[str]:
    for folder in SOURCES:
        for path in (ROOT / "src/keyless" / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                yield from _named(node)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.For):
        yield from _listed(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and node.func.id in ("Gauge", "Counter", "GaugeMetricFamily"):
            yield f"{name.value}_total" if node.func.id == "Counter" else str(name.value)


def _listed(loop: ast.For) -> Iterator[str]:
    """One loop makes a gauge of each row of a table, by its first column."""
    rows = loop.iter.elts if isinstance(loop.iter, ast.Tuple) else []
    firsts = [row.elts[0] for row in rows if isinstance(row, ast.Tuple)]
    for call in ast.walk(loop):
        if isinstance(call, ast.Call) and _is_gauge(call) and isinstance(call.args[0], ast.JoinedStr):
            prefix = call.args[0].values[0]
            assert isinstance(prefix, ast.Constant)
            yield from (f"{prefix.value}{first.value}" for first in firsts if isinstance(first, ast.Constant))


def _is_gauge(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "Gauge"


METRICS = set(_metrics())


def _spoken_of(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}|[0-9.]+", " ", expression)
    return set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS - LABELS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_speaks_of_metrics_that_there_are(rule: dict) -> None:
    named = _spoken_of(rule["expr"])
    assert named
    assert named <= METRICS


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_speaks_of_metrics_that_there_are(title: str) -> None:
    for target in PANELS[title]["targets"]:
        named = _spoken_of(target["expr"])
        assert named
        assert named <= METRICS


def test_the_dashboard_shows_the_metrics_that_alerts_are_about_and_no_panel_lies_on_another() -> None:
    shown = {name for panel in PANELS.values() for target in panel["targets"] for name in _spoken_of(target["expr"])}
    assert {name for rule in RULES for name in _spoken_of(rule["expr"])} <= shown
    places = [
        (x, y)
        for grid in (panel["gridPos"] for panel in PANELS.values())
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in PANELS.values()}) == len(PANELS) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_look(rule: dict) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")


def test_the_metrics_of_every_component_were_found() -> None:
    found = {"keyless_operator_leading", "keyless_billing_healthy", "externalsecret_sync_calls_error_total"}
    assert found <= METRICS
