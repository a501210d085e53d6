"""``keyless billing report``: read once, group, and print."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from keyless.api import Refusal
from keyless.billing.export.plan import Period, Request
from keyless.billing.export.service import Bucket
from keyless.billing.ledger.corrections import hour_closing
from keyless.billing.report.accounts import accounts_of
from keyless.billing.report.capacity import CAPACITY_FIELDS, Bought, Meeting, meetings
from keyless.billing.report.changes import as_csv as changes_as_csv
from keyless.billing.report.changes import as_document
from keyless.billing.report.changes import as_text as changes_as_text
from keyless.billing.report.focus import FIELDS as FOCUS_FIELDS
from keyless.billing.report.focus import VERSIONS as FOCUS
from keyless.billing.report.focus import as_focus, month_closing
from keyless.billing.report.grouping import Cube, filled
from keyless.billing.report.model import PLANE_METER, Report, Use, What
from keyless.billing.report.output import as_csv, as_text, document
from keyless.billing.report.page import PAGE_FIELDS, as_page
from keyless.billing.report.prices import Price
from keyless.billing.report.reading import Source, read_all, report
from keyless.billing.report.since import Changes, Earlier, Split, gone, late_of
from keyless.billing.report.teams import Rule


@dataclass(frozen=True, slots=True)
class Asked:
    """One report; without ``accounts`` of every one that stored something.

    ``command`` and ``options`` are what a printed command repeats.
    """

    accounts: tuple[str, ...]
    period: Period
    zone: ZoneInfo
    by: tuple[str, ...]
    meter: str
    rules: Sequence[Rule]
    prices: Sequence[Price] = ()
    force_incomplete: bool = False
    options: tuple[str, ...] = ()
    command: str = "keyless"

    @property
    def requests(self) -> tuple[Request, ...]:
        """One for each account, in the order of their names: whatever the order, the report is the same."""
        return tuple(
            Request(each, self.period, self.force_incomplete, options=self.options, command=self.command)
            for each in sorted(set(self.accounts))
        )

    def cube(self, *by: str) -> Cube:
        """A grouping of its own."""
        return Cube(by or self.by, self.zone, self.rules, self.prices)

    def wants(self, what: What) -> bool:
        """Whether a combination is of the meter."""
        return self.meter in {"all", what.dimensions.meter.value if what.dimensions is not None else PLANE_METER}


def report_of(
    bucket: Bucket,
    asked: Asked,
    output: str,
    *,
    now: datetime,
    wrap: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    parquet: bool = False,
) -> str | bytes | Refusal:
    """The report as it is printed; a refusal where usage is missing or cannot be trusted. ``wrap`` makes JSON of it.

    ``parquet``: the columns of FOCUS as Parquet, not as CSV.
    """
    if not asked.accounts:
        if isinstance(found := accounts_of(bucket, asked.period), Refusal):
            return found
        asked = replace(asked, accounts=found)
    wanted: Mapping[str, Sequence[tuple[str, ...]]] = {**dict.fromkeys(FOCUS, (FOCUS_FIELDS,)), "html": PAGE_FIELDS}
    cubes = [asked.cube(*by) for by in wanted.get(output, (asked.by,))]

    def sink(uses: Iterable[Use]) -> None:
        filled(cubes, uses, asked.wants)

    closing = month_closing(asked.zone) if output in FOCUS else hour_closing
    source = read_all(bucket, asked.requests, sink, now=now, closing=closing)
    if isinstance(source, Refusal):
        return source
    reports = [report(asked.requests, source, cube, asked.zone.key) for cube in cubes]
    if output == "parquet" or (parquet and output in FOCUS):
        from keyless.billing.report.parquet import as_parquet, focus_as_parquet

        return focus_as_parquet(reports[0], FOCUS[output]) if output in FOCUS else as_parquet(reports[0])
    return _printed(output, reports, source, wrap)


def changes_of(
    bucket: Bucket,
    asked: Asked,
    earlier: Earlier,
    output: str,
    *,
    now: datetime,
    wrap: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> str | Refusal:
    """What changed since a report, of its own accounts and period; a refusal as of a report."""
    split, whole = Split(asked.cube()), asked.cube()

    def sink(uses: Iterable[Use]) -> None:
        filled([whole, split], uses, asked.wants)

    source = read_all(bucket, asked.requests, sink, now=now, known=earlier.knows())
    if isinstance(source, Refusal):
        return source
    if (lost := gone(source.manifests, earlier)) is not None:
        return lost
    was, is_ = (report(asked.requests, source, cube, asked.zone.key) for cube in (split.was, whole))
    found = Changes(earlier, was, is_, tuple(late_of(source.manifests, earlier, split, source.closing)))
    if output == "json":
        return json.dumps(wrap(as_document(found)), indent=2, ensure_ascii=False) + "\n"
    return changes_as_csv(found) if output == "csv" else changes_as_text(found) + "\n"


def capacity_of(bucket: Bucket, asked: Asked, bought: Bought, *, now: datetime) -> tuple[Meeting, ...] | Refusal:
    """What was bought against what was used; a refusal as of a report."""
    cube = asked.cube(*CAPACITY_FIELDS)

    def sink(uses: Iterable[Use]) -> None:
        filled([cube], uses, asked.wants)

    source = read_all(bucket, asked.requests, sink, now=now)
    if isinstance(source, Refusal):
        return source
    return meetings(bought, cube.lines()[0], min(asked.period[1], now))


def _printed(
    output: str,
    reports: Sequence[Report],
    source: Source,
    wrap: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> str:
    if output == "html":
        return as_page(reports, source.manifests)
    if output in FOCUS:
        return as_focus(reports[0], FOCUS[output])
    if output == "csv":
        return as_csv(reports[0])
    if output == "json":
        return json.dumps(wrap(document(reports[0])), indent=2, ensure_ascii=False) + "\n"
    return as_text(reports[0]) + "\n"
