"""Lists and objects as ``meta.k8s.io/v1`` Tables, with the columns and cells that kubectl users know.

Pure. Columns are those of Kubernetes 1.32, without their descriptions.
Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from keyless.local.cluster.faults import Object
from keyless.local.cluster.tables.cells import cells_of
from keyless.local.cluster.tables.custom import custom_cells, custom_columns
from keyless.local.cluster.tables.pods import row_conditions
from keyless.local.cluster.tables.text import Cells

__all__ = ["table"]


def table(
    group: str,
    resource: str,
    version: str,  # noqa: ARG001 - columns may differ by version one day; callers already say it
    items: Sequence[Object],
    *,
    now: datetime,
    include: str = "Metadata",
    crd_columns: Sequence[Mapping[str, Any]] | None = None,
    list_metadata: Mapping[str, Any] | None = None,
) -> Object:
    """The Table of ``items``; ``include`` is ``None``, ``Metadata`` or ``Object``; unknown values mean Metadata.

    ``crd_columns`` are ``additionalPrinterColumns`` of the version (an empty list: Name and Age); ``None`` means a
    built-in resource.
    """
    key = f"{group}/{resource}"
    columns = builtin_columns(key) if crd_columns is None else custom_columns(crd_columns)
    cells = cells_of(key) if crd_columns is None else custom_cells(crd_columns)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(list_metadata or {}),
        "columnDefinitions": columns,
        "rows": [_row(item, cells, now, include) for item in items],
    }


@cache
def _columns() -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = orjson.loads(files(__package__).joinpath("columns.json").read_bytes())
    return found


def builtin_columns(key: str) -> list[dict[str, Any]]:
    """The column definitions of ``group/resource``."""
    plain = [["Name", "string", "name", 0], ["Created At", "date", "", 0]]
    return [
        {"name": name, "type": kind, "format": form, "description": "", "priority": priority}
        for name, kind, form, priority in _columns().get(key, plain)
    ]


def _row(item: Object, cells: Cells, now: datetime, include: str) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": cells(item, now)}
    if item.get("kind") == "Pod" and (conditions := row_conditions(item)):
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = item
    elif include == "None":
        row["object"] = None
    else:
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": item.get("metadata") or {},
        }
    return row
