"""A value set to null is its default, in real helm: nulls stay in a release, and later upgrades reuse them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.helm.test_pods import _rendered, _values

CHART = Path(__file__).resolve().parents[3] / "spaces-helm-chart"
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SWITCHED_ON: dict[str, Any] = {
    "account": "acme",
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "operator": {"replicas": 2, "podDisruptionBudget": {"enabled": True}},
    "webhook": {"enabled": True, "replicas": 2, "podDisruptionBudget": {"enabled": True}},
    "agent": {"enabled": True, "clusterName": "c", "region": "us-west-2"},
    "issuer": {"enabled": True, "ingress": {"enabled": True, "host": "issuer.example.com"}},
    "billing": {
        "enabled": True,
        "storage": {"provider": "aws", "aws": {"bucket": "usage", "region": "us-west-2"}},
        "export": {"schedule": "0 3 1-3 * *", "persistence": {"enabled": True}},
    },
    "backup": {"enabled": True, "storage": {"aws": {"bucket": "snapshots", "region": "us-west-2"}}},
    "sharedSecrets": {"enabled": True},
}
TAKEN_AWAY = {"resources", "tolerations", "priorityClassName", "secretRef"}
"""Of these null is how a default is taken away: a request, a toleration, a class, static keys."""
SERVED = ("--api-versions", "monitoring.coreos.com/v1/ServiceMonitor", "--api-versions",
          "monitoring.coreos.com/v1/PrometheusRule")  # fmt: skip


def _nulls(defaults: Mapping[str, Any], but: Mapping[str, Any]) -> dict[str, Any]:
    """Every value as null, apart from those of ``but``, which stay as they are there."""
    found: dict[str, Any] = {}
    for key, value in defaults.items():
        if key in TAKEN_AWAY:
            continue
        said = but.get(key, {})
        if isinstance(said, Mapping) and isinstance(value, Mapping) and value:
            found[key] = _nulls(value, said)
        else:
            found[key] = but.get(key)
    return found


@pytest.mark.parametrize("said", [{}, SWITCHED_ON], ids=["nothing on", "everything on"])
async def test_values_that_are_null_render_as_the_defaults_do(helm, said: dict[str, Any], tmp_path: Path) -> None:
    files = {"plain": said, "nulls": _nulls(DEFAULTS, said)}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    plain, nulls = [await _rendered(helm, "-f", str(tmp_path / name), *SERVED) for name in files]
    assert _values(nulls) == _values(plain)
    del plain["ConfigMap", "spaces-values"], nulls["ConfigMap", "spaces-values"]
    assert nulls == plain


async def test_sections_that_are_null_are_no_hindrance(helm) -> None:
    flags = [word for section in sorted(DEFAULTS) for word in ("--set", f"{section}=null")]
    values = _values(await _rendered(helm, *flags))
    assert (values.image, values.mode, values.account) == ("keyless/keyless:0.1.0", "auto", "notdemo")
