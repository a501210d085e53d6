"""Two reports of one account as one: ``keyless billing report update``. Pure.

A row is known by control plane, kind and hour; of two the larger counts, since each is a largest number itself. So the
order of the two does not matter, nor how often it is done. What one lacks and the other has is no longer missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from keyless.billing.ledger.completeness import without
from keyless.billing.ledger.model import Malformed, moment_untrusted, stamp
from keyless.billing.ledger.report_file import UsageWriter, archive, meta
from keyless.billing.ledger.report_reading import ReadReport

NOT_REPORTED = "NotInEitherReport"
_LISTS = ("waivers", "missing", "notCounted", "corrections")


def hole(one: ReadReport, other: ReadReport) -> tuple[datetime, datetime] | None:
    """The time between two reports that neither covers; None where they touch."""
    start, end = min(one.end, other.end), max(one.start, other.start)
    return (start, end) if start < end else None


def merged(one: ReadReport, other: ReadReport) -> ReadReport:
    """Both in one; raises ``Malformed`` where they are of different accounts."""
    if one.account != other.account:
        raise Malformed(f"expected a report of account {one.account!r}, found one of {other.account!r}")
    rows = dict(one.rows)
    for place, value in other.rows.items():
        rows[place] = max(value, rows.get(place, 0))
    return ReadReport(
        one.account,
        min(one.start, other.start),
        max(one.end, other.end),
        max(one.collected_at, other.collected_at),
        rows,
        _completeness(one, other),
    )


def written(report: ReadReport) -> Iterator[bytes]:
    """The report's ``.tgz`` in pieces; rows in order."""
    writer = UsageWriter(report.account)
    window: list[tuple[Any, int]] = []
    at: tuple[datetime, datetime] | None = None
    for (start, end, kind), value in sorted(report.rows.items()):
        if at != (start, end):
            if at is not None:
                writer.add_window(*at, window)
            at, window = (start, end), []
        window.append((kind, value))
    if at is not None:
        writer.add_window(*at, window)
    told = json.dumps(report.completeness, indent=2).encode() if report.completeness else b""
    yield from archive(meta(report.account, (report.start, report.end), report.collected_at), writer, completeness=told)


def _completeness(one: ReadReport, other: ReadReport) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    lists = dict.fromkeys((*_LISTS, *one.completeness, *other.completeness))
    for name in lists:
        both = [*one.completeness.get(name, ()), *other.completeness.get(name, ())]
        if name == "missing":
            both = [*_still(one, other), *_still(other, one), *_unreported(one, other)]
        found[name] = _once(both)
    if not any(found.values()):
        return {}
    return {name: items for name, items in found.items() if items or name != "corrections"}


def _still(one: ReadReport, other: ReadReport) -> Iterator[dict[str, Any]]:
    """What ``one`` lacks and ``other`` does not have: because it covers another time, or lacks it too."""
    for gap in one.completeness.get("missing", ()):
        start, end = moment_untrusted(gap["from"]), moment_untrusted(gap["to"])
        theirs = [
            (moment_untrusted(each["from"]), moment_untrusted(each["to"]))
            for each in other.completeness.get("missing", ())
            if each["controlPlane"] == gap["controlPlane"] and (not each.get("kinds") or each["kinds"] == gap["kinds"])
        ]
        had = without((other.start, other.end), theirs)
        for left, right in without((start, end), had):
            yield {**gap, "from": stamp(left), "to": stamp(right)}


def _unreported(one: ReadReport, other: ReadReport) -> Iterator[dict[str, Any]]:
    between = hole(one, other)
    if between is not None:
        times = {"from": stamp(between[0]), "to": stamp(between[1])}
        yield {"controlPlane": "", "group": "", "name": "", **times, "reason": NOT_REPORTED, "kinds": []}


def _once(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each once, in an order that does not depend on which report was first."""
    found = {json.dumps(item, sort_keys=True): item for item in items}
    return [found[key] for key in sorted(found)]
