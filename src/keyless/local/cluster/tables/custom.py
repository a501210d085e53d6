"""Columns and cells of custom resources: Name, then ``additionalPrinterColumns``, or Age when there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.tables.ages import moment, since
from keyless.local.cluster.tables.jsonpath import find

NAME = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def custom_columns(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The column definitions."""
    return [NAME, *(_definition(column) for column in columns or [AGE])]


def _definition(column: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": column.get("name", ""),
        "type": column.get("type", "string"),
        "format": column.get("format", ""),
        "description": column.get("description", ""),
        "priority": column.get("priority", 0),
    }


def custom_cells(columns: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any], datetime], list[Any]]:
    """How to make the cells."""
    shown = [(column.get("type", "string"), column.get("jsonPath", "")) for column in columns or [AGE]]

    def cells(obj: Mapping[str, Any], now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), *(_cell(kind, path, obj, now) for kind, path in shown)]

    return cells


def _cell(kind: str, path: str, obj: Mapping[str, Any], now: datetime) -> Any:
    try:
        found = find(path, obj)
    except Malformed:
        return None
    return _shown(kind, found[0], now) if found else None


def _shown(kind: str, value: Any, now: datetime) -> Any:
    """A value that does not fit its column's type leaves the cell empty."""
    if kind == "string":
        return _plain(value)
    if kind == "date":
        return (since(value, now) if moment(value) else "<invalid>") if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if kind == "integer" else value


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
