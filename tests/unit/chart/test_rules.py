"""The chart's alerts speak of metrics that the components have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "spaces-helm-chart/files/rules.yaml").read_text(encoding="utf-8"))
SOURCES = ("space", "billing/collector", "shared_secrets")
# What else an expression is made of.
WORDS = {"sum", "or", "vector", "abs", "rate", "m"}


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
        if isinstance(name, ast.Constant) and node.func.id in ("Gauge", "Counter"):
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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_speaks_of_metrics_that_there_are(rule: dict) -> None:
    bare = re.sub(r"\{[^}]*\}|[0-9.]+", " ", rule["expr"])
    named = set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS
    assert named
    assert named <= METRICS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_look(rule: dict) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")


def test_the_metrics_of_every_component_were_found() -> None:
    found = {"keyless_operator_leading", "keyless_billing_healthy", "externalsecret_sync_calls_error_total"}
    assert found <= METRICS
