"""What changed since a report, as text, CSV and JSON. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from keyless.api.words import counted
from keyless.billing.export.plan import printable
from keyless.billing.ledger.model import HOUR, stamp
from keyless.billing.report.model import Report
from keyless.billing.report.output import (
    DECIMALS,
    Shares,
    accounts_named,
    costs,
    currencies,
    digest,
    digest_of,
    document,
    exact_hours,
    harmless,
    table,
)
from keyless.billing.report.prices import rounded
from keyless.billing.report.since import Changes, Late

SHOWN = 40
Values = tuple[str, ...]
Pair = tuple[Decimal, Decimal]
"""What it was, and what it is."""


def columns(changes: Changes) -> dict[str, tuple[dict[Values, Pair], Pair]]:
    """Each measure by its name: of every line, and of the total, what it was and what it is."""
    maxima = [_maximum(each) for each in (changes.was, changes.now)]
    found = {"by maximum": _paired(changes, maxima), "exact": _paired(changes, [*map(exact_hours, _both(changes))])}
    for money in sorted({*currencies(changes.was), *currencies(changes.now)}):
        found[money] = _paired(changes, [costs(each, money) for each in _both(changes)])
    return found


def _both(changes: Changes) -> tuple[Report, Report]:
    return changes.was, changes.now


def _maximum(report: Report) -> Shares:
    lines = [Decimal(line.quantity.maximum) for line in report.lines]
    return Shares(lines, Decimal(report.total.quantity.maximum))


def _paired(changes: Changes, shares: Sequence[Shares]) -> tuple[dict[Values, Pair], Pair]:
    was, now = (
        {line.values: amount for line, amount in zip(report.lines, each.lines, strict=True)}
        for report, each in zip(_both(changes), shares, strict=True)
    )
    # A currency that was not there then has amounts without decimals: they are nought all the same.
    nought = Decimal(0)
    lines = {key: (was.get(key, nought), now.get(key, nought)) for key in (*now, *(k for k in was if k not in now))}
    return lines, (shares[0].total, shares[1].total)


def _rows(changes: Changes) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, the lines that changed, and the total."""
    measures = columns(changes)
    header = [*changes.now.by, *(f"{name}{part}" for name in measures for part in (", was", ", is", ", change"))]
    order = next(iter(measures.values()))[0]
    lines = [
        [*values, *(cell for found, _ in measures.values() for cell in _cells(found[values]))]
        for values in order
        if any(found[values][0] != found[values][1] for found, _ in measures.values())
    ]
    by = len(changes.now.by)
    total = ["total", *[""] * (by - 1), *(cell for _, pair in measures.values() for cell in _cells(pair))]
    return header, lines, total


def _cells(pair: Pair) -> tuple[str, str, str]:
    was, now = pair
    return f"{was:f}", f"{now:f}", f"{_less(now, was):+f}"


def _less(now: Decimal, was: Decimal) -> Decimal:
    # Arithmetic of decimals is cut to the context's 28 digits; fractions are not.
    places = max(-int(each.as_tuple().exponent) for each in (now, was))
    return Decimal(f"{int((Fraction(now) - Fraction(was)) * 10**places)}E-{places}")


def as_text(changes: Changes) -> str:
    """A table of what changed, then each hour of which something was stored since."""
    earlier, now = changes.earlier, changes.now
    period = f"from {stamp(now.period[0])} to {stamp(now.period[1])}"
    said = [
        f"Usage of {accounts_named(now)} {period}: what changed since {printable(earlier.name)}",
        f"then as stored up to {_told(earlier.collected_at)}; report {digest_of(earlier.heads)}",
        f"now as stored up to {_told(now.collected_at)}; report {digest(now)}",
    ]
    if earlier.closed_until:
        said.append(f"hours were closed up to {stamp(earlier.closed_until)}: what came of them later is a correction")
    if not changes.late:
        return "\n".join([*said, "", "nothing of this period was stored since: the report stands"])
    header, lines, total = _rows(changes)
    names = len(now.by)
    shown = table(header, [[*map(printable, row[:names]), *row[names:]] for row in lines], total, names=names)
    more = [f"  and {len(changes.late) - SHOWN} more"] if len(changes.late) > SHOWN else []
    head = "stored since (r1: in time, before the hour was closed; r2 and so on: corrections):"
    return "\n".join([*said, "", *shown, "", head, *map(_said, changes.late[:SHOWN]), *more])


def _told(moment: Any) -> str:
    return stamp(moment) if moment else "no time"


def _said(late: Late) -> str:
    plane, at = late.control_plane, f" at {stamp(late.stored_at)}" if late.stored_at else ""
    change = f"{late.change.maximum:+} by maximum, {_exact(late):+f} exact"
    return printable(
        f"  {plane.group}/{plane.name} ({plane.id}): {stamp(late.hour)} to {stamp(late.hour + HOUR)}: r{late.revision},"
        f" stored{at} in {counted(late.segments, 'segment')}: {change}"
    )


def _exact(late: Late) -> Decimal:
    return rounded([late.change.exact], DECIMALS)[0]


def as_csv(changes: Changes) -> str:
    """The lines that changed, with their total."""
    header, lines, total = _rows(changes)
    out, names = io.StringIO(), len(changes.now.by)
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([*map(harmless, row[:names]), *row[names:]] for row in lines)
    writer.writerow(total)
    return out.getvalue()


def as_document(changes: Changes) -> dict[str, Any]:
    """The report as it is now, and what changed under ``since``."""
    measures = columns(changes)
    order = next(iter(measures.values()))[0]
    earlier = changes.earlier
    return {
        **document(changes.now),
        "since": {
            "digest": digest_of(earlier.heads),
            "collectedAt": stamp(earlier.collected_at) if earlier.collected_at else None,
            "closedUntil": stamp(earlier.closed_until) if earlier.closed_until else None,
            "lines": [
                {"values": list(values), **_measured({name: found[values] for name, (found, _) in measures.items()})}
                for values in order
            ],
            "total": _measured({name: pair for name, (_, pair) in measures.items()}),
            "stored": [_stored(each) for each in changes.late],
        },
    }


def _measured(pairs: Mapping[str, Pair]) -> dict[str, Any]:
    maximum, exact = pairs["by maximum"], pairs["exact"]
    money = [name for name in pairs if name not in {"by maximum", "exact"}]
    return {
        "maximumResourceHours": {"was": int(maximum[0]), "is": int(maximum[1])},
        "exactResourceHours": _texts(exact),
        "costs": [{"currency": each, **_texts(pairs[each])} for each in money],
    }


def _texts(pair: Pair) -> dict[str, str]:
    was, now, change = _cells(pair)
    return {"was": was, "is": now, "change": change}


def _stored(late: Late) -> dict[str, Any]:
    return {
        "controlPlane": late.control_plane.id,
        "group": late.control_plane.group,
        "name": late.control_plane.name,
        "hour": stamp(late.hour),
        "revision": f"r{late.revision}",
        "storedAt": stamp(late.stored_at) if late.stored_at else None,
        "segments": late.segments,
        "maximumResourceHours": late.change.maximum,
        "exactResourceHours": f"{_exact(late):f}",
        "made": late.change.created,
    }
