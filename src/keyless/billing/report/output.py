"""A report as text, CSV and JSON. Pure; each has the same numbers, and the same report is the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from keyless.api.words import counted
from keyless.billing.export.plan import describe, describe_correction, describe_fault, describe_waiver, printable
from keyless.billing.ledger.frames import head_document
from keyless.billing.ledger.model import ChainHead, stamp
from keyless.billing.ledger.report_file import correction_document, fault_document, missing_document
from keyless.billing.report.model import HOUR_MS, Line, Quantity, Report
from keyless.billing.report.prices import digits_of, rounded

# Enough that a single resource's second is seen: 1/3600 of an hour.
DECIMALS = 4
NAMED = 5
"""More accounts than these are counted in a title, not named."""


class Shares(NamedTuple):
    """What each line has, and what they add up to."""

    lines: list[Decimal]
    total: Decimal


def exact_hours(report: Report) -> Shares:
    """Resource-hours."""
    return _shared(report, lambda line: Fraction(line.quantity.milliseconds, HOUR_MS), DECIMALS)


def currencies(report: Report) -> list[str]:
    """Those of the prices that applied."""
    return sorted(report.total.costs)


def costs(report: Report, currency: str) -> Shares:
    """What each line costs, to the currency's own decimals."""
    return _shared(report, lambda line: line.costs.get(currency, Fraction(0)), digits_of(currency))


def _shared(report: Report, amount: Callable[[Line], Fraction], digits: int) -> Shares:
    """Rounded so that the lines add up to the total, and the total to what each account's own report says."""
    totals = {line.values[0]: Fraction(rounded([amount(line)], digits)[0]) for line in report.totals}
    whole = sum(totals.values(), Fraction(0))
    at = report.by.index("account") if "account" in report.by else None
    places: dict[str, list[int]] = {}
    for number, line in enumerate(report.lines):
        places.setdefault("" if at is None else line.values[at], []).append(number)
    found = dict[int, Decimal]()
    for account, numbers in places.items():
        total = whole if at is None else totals[account]
        parts = rounded([amount(report.lines[n]) for n in numbers], digits, total)
        found |= dict(zip(numbers, parts, strict=True))
    return Shares([found[n] for n in range(len(report.lines))], rounded([whole], digits)[0])


def rows(report: Report) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, lines and total, as texts."""
    money = currencies(report)
    unpriced = bool(money) and report.total.unpriced != Quantity()
    header = [*report.by, "resource-hours by maximum", "resource-hours exact", "made", *money]
    header += ["resource-hours without a price"] if unpriced else []
    hours = exact_hours(report)
    columns = [costs(report, currency) for currency in money]
    found = []
    for at, line in enumerate(report.lines):
        row = [*line.values, str(line.quantity.maximum), f"{hours.lines[at]:f}", str(line.quantity.created)]
        row += [f"{column.lines[at]:f}" for column in columns]
        found.append(row + ([str(line.unpriced.maximum)] if unpriced else []))
    whole = report.total
    total = ["total", *[""] * (len(report.by) - 1)] if report.by else []
    total += [str(whole.quantity.maximum), f"{hours.total:f}", str(whole.quantity.created)]
    total += [f"{column.total:f}" for column in columns]
    return header, found, total + ([str(whole.unpriced.maximum)] if unpriced else [])


def as_text(report: Report) -> str:
    """A table for a terminal."""
    header, lines, total = rows(report)
    said = [
        f"Usage of {accounts_named(report)} from {_local(report, 0)} to {_local(report, 1)} ({report.zone})",
        f"as stored up to {stamp(report.collected_at) if report.collected_at else 'no time'}; report {digest(report)}",
        *([_closed(report.closed_until)] if report.closed_until else []),
        "",
        *table(header, [[printable(cell) for cell in row] for row in lines], total, names=len(report.by)),
    ]
    return "\n".join([*said, *_notes(report)])


def table(header: Sequence[str], lines: Sequence[Sequence[str]], total: Sequence[str], *, names: int) -> list[str]:
    """Lines of a table; the first ``names`` columns are names, the others numbers."""
    widths = [max(len(row[at]) for row in (header, *lines, total)) for at in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = enumerate(zip(row, widths, strict=True))
        return "  ".join(c.ljust(w) if at < names else c.rjust(w) for at, (c, w) in cells).rstrip()

    ruler = "  ".join("-" * width for width in widths)
    return [line(header), ruler, *map(line, lines), ruler, line(total)]


def accounts_named(report: Report) -> str:
    """``account acme``, ``accounts acme, globex`` or, of many, how many."""
    names = [printable(each) for each in report.accounts]
    if len(names) == 1:
        return f"account {names[0]}"
    return f"accounts {', '.join(names)}" if len(names) <= NAMED else counted(len(names), "account")


def _closed(until: datetime) -> str:
    return f"hours are closed up to {stamp(until)}: what is stored of them later is a correction"


def _notes(report: Report) -> list[str]:
    said = []
    if report.without_dimensions:
        said.append(
            f"stored without dimensions, counted by the maximum alone, as unknown: "
            f"{counted(report.without_dimensions, 'segment')}"
        )
    if report.limited:
        said.append(f"coarser than it should be: {counted(report.limited, 'row')}: raise billing.dimensions.limit")
    for what, found in (
        ("missing:", map(describe, report.missing)),
        ("not counted:", map(describe_fault, report.faults)),
        ("waived:", map(describe_waiver, report.waivers)),
        ("corrections (--by=revision shows what they change):", map(describe_correction, report.corrections)),
    ):
        lines = list(found)
        said += [what, *lines] if lines else []
    return ["", *said] if said else []


def as_csv(report: Report) -> str:
    """RFC 4180, with a total as last line."""
    header, lines, total = rows(report)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    names = len(report.by)
    # Names alone: a number that is less than nothing, as of a correction, is to stay a number.
    writer.writerows([*map(harmless, row[:names]), *row[names:]] for row in lines)
    writer.writerow(total)
    return out.getvalue()


def document(report: Report) -> dict[str, Any]:
    """The report as JSON; numbers with decimals are texts, for JSON's own are not exact."""
    money = currencies(report)
    hours = exact_hours(report)
    columns = {currency: costs(report, currency) for currency in money}
    lines: list[dict[str, Any]] = []
    for at, line in enumerate(report.lines):
        price = [{"currency": currency, "amount": f"{columns[currency].lines[at]:f}"} for currency in money]
        lines.append(
            {
                "values": list(line.values),
                **_quantity(line.quantity, hours.lines[at]),
                "costs": price,
                **_unpriced(line),
            }
        )
    whole = report.total
    return {
        "account": report.accounts[0] if len(report.accounts) == 1 else None,
        "accounts": list(report.accounts),
        "from": stamp(report.period[0]),
        "to": stamp(report.period[1]),
        "timeZone": report.zone,
        "collectedAt": stamp(report.collected_at) if report.collected_at else None,
        "digest": digest(report),
        "complete": not (report.missing or report.faults),
        "groupedBy": list(report.by),
        "lines": lines,
        "total": {
            **_quantity(whole.quantity, hours.total),
            "costs": [{"currency": each, "amount": f"{columns[each].total:f}"} for each in money],
            **_unpriced(whole),
        },
        "withoutDimensions": report.without_dimensions,
        "limited": report.limited,
        "missing": [missing_document(gap) for gap in report.missing],
        "faults": [fault_document(fault) for fault in report.faults],
        "waivers": [{"id": waiver.id, **waiver.document()} for waiver in report.waivers],
        "closedUntil": stamp(report.closed_until) if report.closed_until else None,
        "corrections": [correction_document(each) for each in report.corrections],
        "heads": [head_document(head) for head in report.heads],
    }


def digest(report: Report) -> str:
    """Names what the report was made from."""
    return digest_of(report.heads)


def digest_of(heads: Iterable[ChainHead]) -> str:
    """The SHA-256 over heads, of which each stands for all before it."""
    import hashlib

    said = "\n".join(f"{head.control_plane} {head.sequence} {head.sha256}" for head in heads)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _quantity(quantity: Quantity, hours: Decimal) -> dict[str, Any]:
    return {"maximumResourceHours": quantity.maximum, "exactResourceHours": f"{hours:f}", "made": quantity.created}


def _unpriced(line: Line) -> dict[str, Any]:
    return {"unpricedMaximumResourceHours": line.unpriced.maximum} if line.costs or line.unpriced.maximum else {}


def _local(report: Report, at: int) -> str:
    from zoneinfo import ZoneInfo

    return f"{report.period[at].astimezone(ZoneInfo(report.zone)):%Y-%m-%d %H:%M}"


def harmless(cell: str) -> str:
    """A text of somebody's that a spreadsheet takes for a text."""
    # A spreadsheet runs what begins so: https://owasp.org/www-community/attacks/CSV_Injection
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell
