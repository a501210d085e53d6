"""Columns and cells against the Tables of a real API server."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from conformance.kubernetes.replay import recording
from keyless.local.cluster.tables import table


@pytest.mark.parametrize("case", recording("tables"), ids=lambda case: f"{case['group']}/{case['resource']}")
def test_a_table_shows_what_the_server_shows(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"])
    kind = {"pods": "Pod"}.get(case["resource"], "")
    items = [{"kind": kind, **item} for item in case["items"]]
    made = table(case["group"], case["resource"], case["version"], items, now=now)
    columns = [[column[key] for key in ("name", "type", "format", "priority")] for column in made["columnDefinitions"]]
    assert columns == case["columns"]
    rows = [(row["cells"], row.get("conditions")) for row in made["rows"]]
    assert rows == [(row["cells"], row["conditions"]) for row in case["rows"]]
