"""The meter object: a segment's numbers by their dimensions. Fields: ``docs/reference/facts/billing-formats.md``.

It lies outside ``account=``, where the peer reads every object as events, and below ``manifest/``: a role that may
store manifests may store it, so nobody's policy has to change with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.billing.ledger.capacity_used import RESOURCES
from keyless.billing.ledger.metered import COLUMNS, dimensions_list
from keyless.billing.ledger.meters import Meters
from keyless.billing.ledger.model import Meter, Opening, stamp
from keyless.billing.ledger.runs import Runs

METER_PREFIX = "manifest/meter/"
METER_VERSION = 1
# Of the control plane's own labels: more are nobody's teams.
LABELS_LIMIT = 64
NUMBERS = ("atPeak", "most", "milliseconds", "created")


def meter_document(opening: Opening, runs: Runs, meters: Meters) -> tuple[dict[str, Any], int]:
    """The object's content, and how many rows it has; call it when every sample was added."""
    rows = [
        [*dimensions_list(dimensions), row.at_peak, row.most, row.milliseconds, row.created]
        for dimensions, row in meters.finish()
    ]
    limited = sum(1 for row in rows if row[len(COLUMNS) - 1])
    plane = dict(sorted(meters.described.plane.items())[:LABELS_LIMIT])
    source = opening.source
    document = {
        "version": METER_VERSION,
        "account": source.account,
        "controlPlane": source.control_plane.id,
        "group": source.control_plane.group,
        "name": source.control_plane.name,
        "planeLabels": plane,
        "sequence": opening.sequence,
        "from": stamp(runs.start),
        "to": stamp(runs.end),
        "labels": list(meters.described.labels),
        "limited": limited,
        "unmeasured": [
            {"meter": meter.value, "group": g.group, "version": g.version, "kind": g.kind, "milliseconds": ms}
            for (meter, g), ms in sorted(meters.unmeasured.items())
            if ms
        ],
        "columns": [*COLUMNS, *NUMBERS],
        "rows": rows,
    }
    return document, len(rows)


def used_of(document: Mapping[str, Any]) -> tuple[int, int]:
    """Of a capacity: milliseconds of resources, and operations that were made."""
    resources, operation = {each.value for each in RESOURCES}, Meter.OPERATION.value
    meter, milliseconds, created = (document["columns"].index(name) for name in ("meter", "milliseconds", "created"))
    rows = document["rows"]
    return (
        sum(row[milliseconds] for row in rows if row[meter] in resources),
        sum(row[created] for row in rows if row[meter] == operation),
    )
