"""The operations of the local cloud, by service, as a Markdown table."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from keyless.local.cloud import Cloud, CloudSettings
from keyless.local.cloud.service import Service


def services() -> Sequence[Service]:
    """The services of a cloud that nobody serves."""
    unused = cast(Any, None)  # nothing is asked of the cluster: the tables alone are read
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        settings = CloudSettings(database=database, kubernetes=unused, server_url="https://127.0.0.1", ca_pem="")
        return Cloud(settings).app.services
    finally:
        database.close()


def served_operations() -> str:
    """One row for each service: its name as in botocore, and what it answers."""
    lines = ["| service | operations |", "|---|---|"]
    for service in sorted(services(), key=lambda one: one.name):
        names = ", ".join(f"`{name}`" for name in sorted(service.table))
        lines.append(f"| `{service.name}` ({len(service.table)}) | {names} |")
    return "\n".join(lines) + "\n"
