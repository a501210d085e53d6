"""A report as one page of HTML that can be forwarded: everything is in it, nothing runs, nothing is fetched. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from html import escape
from zoneinfo import ZoneInfo

from keyless.api.words import counted
from keyless.billing.export.plan import describe, describe_correction, describe_fault, describe_waiver, printable
from keyless.billing.ledger.completeness import Interval, paused, without
from keyless.billing.ledger.manifests import Covered, lives
from keyless.billing.ledger.model import HOUR, Member, hour_of, stamp
from keyless.billing.report.model import UNALLOCATED, Report
from keyless.billing.report.output import accounts_named, costs, currencies, digest, exact_hours, rows
from keyless.billing.report.prices import rounded
from keyless.billing.report.svg import OTHERS, PALETTE, colour, stacked, strip

PAGE_FIELDS = (
    ("team",),
    ("day", "team"),
    ("day", "team", "kind"),
    ("account", "control-plane"),
    ("kind",),
    ("account",),
)
MOVERS = 10
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
ROWS = 40
"""Lines of a table, control planes of the strip: more are nobody's reading; the CSV has them all."""
_STYLE = """:root{color-scheme:light dark;--ink:#1f2328;--paper:#fff;--soft:#57606a;--line:#d0d7de;--bad:#b91c28}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9da7b1;--line:#3d444d;--bad:#ff7b72}}
@media print{:root{color-scheme:light;--ink:#000;--paper:#fff;--soft:#444;--line:#bbb;--bad:#b91c28}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}body{margin:0;max-width:none}
h2{break-after:avoid}tr,svg,p{break-inside:avoid}thead{display:table-header-group}}
body{font:15px/1.5 sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:var(--ink);background:var(--paper)}
h1{font-size:1.5em;overflow-wrap:anywhere}
h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid var(--line)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{padding:.25em .6em;text-align:right;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
.name{text-align:start;overflow-wrap:anywhere;min-width:12em}tfoot{font-weight:bold}
.big{font-size:1.8em;margin-inline-end:.6em;white-space:nowrap}.note{color:var(--soft);font-size:.9em}.bad{color:var(--bad)}
.key{display:inline-block;margin-inline-end:1em}
.key i{display:inline-block;width:.8em;height:.8em;margin-inline-end:.3em}
svg{max-width:100%;height:auto;fill:currentColor}pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85em}"""


def as_page(reports: Sequence[Report], manifests: Sequence[Covered]) -> str:
    """``reports`` are by :data:`PAGE_FIELDS`."""
    by_team, by_day, by_kind_day, by_plane, by_kind, by_account = reports
    several = len(by_team.accounts) > 1
    title = f"Usage of {accounts_named(by_team)}, {_span(by_team)}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<h2>{_what(by_team)}</h2>",
        _summary(by_team),
        *(["<h2>By account</h2>", _table(by_account)] if several else []),
        "<h2>By team</h2>",
        _table(by_team),
        "<h2>By day</h2>",
        _days(by_day),
        "<h2>Completeness of each hour</h2>",
        _completeness(by_team, manifests),
        "<h2>The ten largest movers</h2>",
        _movers(by_kind_day),
        "<h2>By kind</h2>",
        _table(by_kind),
        "<h2>Control planes</h2>",
        _table(by_plane if several else _of_one_account(by_plane)),
        "<h2>Idle control planes</h2>",
        _idle(by_plane, manifests),
        "<h2>What this rests on</h2>",
        _basis(by_team),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _summary(report: Report) -> str:
    money = currencies(report)
    parts = [f'<span class="big">{costs(report, each).total:,f} {escape(each)}</span>' for each in money]
    hours = report.total.quantity.maximum
    parts.append(f'<span class="big">{counted_hours(hours)}</span><br>')
    parts.append(f"by the hourly maximum; {exact_hours(report).total:,f} by exact time;")
    whole = "complete" if not (report.missing or report.faults) else '<b class="bad">incomplete: see below</b>'
    return f"<p>{' '.join(parts)} {whole}.</p>"


def _of_one_account(report: Report) -> Report:
    """Without the column that says the same in every line."""
    lines = tuple(replace(line, values=line.values[1:]) for line in report.lines)
    return replace(report, by=report.by[1:], lines=lines)


def counted_hours(number: int) -> str:
    """``1 resource-hour``, ``1,488 resource-hours``."""
    return f"{number:,} resource-hour{'' if number == 1 else 's'}"


def _table(report: Report) -> str:
    header, lines, total = rows(report)
    order = sorted(range(len(lines)), key=lambda at: (-report.lines[at].quantity.maximum, lines[at]))
    shown = [lines[at] for at in order[:ROWS]]
    more = f'<p class="note">and {counted(len(lines) - ROWS, "more line")}, in the CSV</p>' if len(lines) > ROWS else ""
    return _drawn_table(header, shown, total, names=len(report.by)) + more


def _drawn_table(
    header: Sequence[str], lines: Iterable[Sequence[str]], total: Sequence[str] = (), *, names: int
) -> str:
    """The first ``names`` columns are names, the others numbers, which are set in thousands."""
    foot = f"<tfoot>{_row(total, names)}</tfoot>" if total else ""
    body = "".join(_row(line, names) for line in lines)
    head = f"<thead>{_row(header, names, cell='th')}</thead>"
    return f'<div class="wide"><table>{head}<tbody>{body}</tbody>{foot}</table></div>'


def _row(cells: Iterable[str], names: int, *, cell: str = "td") -> str:
    """Names stand by themselves: one that is written from the right turns nothing beside it about."""
    made = (
        f'<{cell} class="name"><bdi>{escape(printable(text))}</bdi></{cell}>'
        if at < names
        else f"<{cell}>{escape(_in_thousands(text))}</{cell}>"
        for at, text in enumerate(cells)
    )
    return f"<tr>{''.join(made)}</tr>"


def _in_thousands(text: str) -> str:
    return f"{Decimal(text):,f}" if _NUMBER.fullmatch(text) else text


def _days(report: Report) -> str:
    """Each team a colour, the largest first; those beyond the colours together."""
    if not report.total.quantity.maximum:
        return "<p>Nothing was used.</p>"
    days = _days_of(report)
    teams: dict[str, dict[str, int]] = {}
    for line in report.lines:
        day, team = line.values
        teams.setdefault(team, {})[day] = line.quantity.maximum
    ordered = sorted(teams, key=lambda team: (team == UNALLOCATED, -sum(teams[team].values()), team))
    named, rest = ordered[: len(PALETTE) - 1], ordered[len(PALETTE) - 1 :]
    series = {team: [float(teams[team].get(day, 0)) for day in days] for team in named}
    if rest:
        series[OTHERS] = [float(sum(teams[team].get(day, 0) for team in rest)) for day in days]
    keys = "".join(
        f'<span class="key"><i style="background:{colour(number)}"></i><bdi>{escape(printable(name))}</bdi></span>'
        for number, name in enumerate(series)
    )
    return stacked(days, series, title="Resource-hours by day and team", unit="resource-hours") + f"<p>{keys}</p>"


def _completeness(report: Report, manifests: Sequence[Covered]) -> str:
    start, end = hour_of(report.period[0]), report.period[1]
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    slack: dict[str, timedelta] = {}
    account_of = {covered.control_plane.id: covered.account for covered in manifests}
    for covered in manifests:
        gaps = [(gap.start, gap.end) for gap in covered.gaps if not gap.kinds]
        spans.setdefault(covered.control_plane.id, []).extend(without((covered.start, covered.end), gaps))
        slack[covered.control_plane.id] = max(slack.get(covered.control_plane.id, timedelta()), covered.slack)
    lines = []
    for plane_id, life in sorted(lives(manifests).items(), key=lambda item: (item[1].control_plane.group, item[0])):
        owed = life.within(report.period)
        rests = paused(life, sorted(spans.get(plane_id, [])), slack.get(plane_id, timedelta()))
        cells, at, mine = [], start, _by_hour(spans.get(plane_id, []))
        while at < end:
            cells.append(_share(at, owed, rests, mine.get(at, []), slack.get(plane_id, timedelta())))
            at += HOUR
        if any(cell >= 0 for cell in cells):
            lines.append((" ".join(_place(account_of.get(plane_id, ""), life.control_plane, report)), cells))
    lines.sort(key=lambda line: (sum(1 for cell in line[1] if cell < 0 or cell >= 1) - len(line[1]), line[0]))
    more = f'<p class="note">and {counted(len(lines) - ROWS, "more control plane")}</p>' if len(lines) > ROWS else ""
    drawn = strip(
        lines[:ROWS], title="How much of each hour is accounted for", start=start.astimezone(ZoneInfo(report.zone))
    )
    colours = "green: all of the hour is stored; yellow: a part; red: nothing; grey: none is owed, or it was paused"
    note = f'<p class="note">{colours}</p>'
    return drawn + note + more


def _by_hour(spans: Sequence[tuple[datetime, datetime]]) -> dict[datetime, list[tuple[datetime, datetime]]]:
    found: dict[datetime, list[tuple[datetime, datetime]]] = {}
    for span in spans:
        found.setdefault(hour_of(span[0]), []).append(span)
    return found


def _share(hour: datetime, owed: Interval, rests: list[Interval], spans: list[Interval], slack: timedelta) -> float:
    start, end = max(hour, owed[0]), min(hour + HOUR, owed[1])
    if start >= end or not without((start, end), rests):
        return -1.0
    open_ = [b - a for a, b in without((start, end), [*rests, *spans]) if b - a > slack]
    return 1 - sum(open_, timedelta()) / (end - start)


def _movers(report: Report) -> str:
    """The second half of the period against the first, by team and kind, for each day."""
    days = _days_of(report)
    half = len(days) // 2
    if not half:
        return "<p>A single day moves nothing.</p>"
    early, late = set(days[:half]), set(days[-half:])
    sums: dict[tuple[str, str], list[int]] = {}
    for line in report.lines:
        day, team, kind = line.values
        found = sums.setdefault((team, kind), [0, 0])
        found[0] += line.quantity.maximum if day in early else 0
        found[1] += line.quantity.maximum if day in late else 0
    ordered = sorted(sums.items(), key=lambda item: (-abs(item[1][1] - item[1][0]), item[0]))
    header = ["team", "kind", f"a day until {days[half - 1]}", f"a day from {days[-half]}", "change"]
    lines = []
    for (team, kind), (before, after) in ordered[:MOVERS]:
        if before != after:
            moved = [rounded([Fraction(each, half)], 1)[0] for each in (before, after, after - before)]
            lines.append([team, kind, *(f"{each:f}" for each in moved[:2]), f"{moved[2]:+,f}"])
    if not lines:
        return "<p>Nothing moved.</p>"
    return _drawn_table(header, lines, names=2)


def _idle(report: Report, manifests: Sequence[Covered]) -> str:
    """Those that were metered and held nothing."""
    used = {line.values for line in report.lines if line.quantity.maximum}
    there = {(c.account, f"{c.control_plane.group}/{c.control_plane.name}") for c in manifests}
    idle = [" ".join(each[0 if len(report.accounts) > 1 else 1 :]) for each in sorted(there - used)]
    if not idle:
        return "<p>None: each held at least one resource.</p>"
    more = f'<p class="note">and {counted(len(idle) - ROWS, "more control plane")}</p>' if len(idle) > ROWS else ""
    return f"<ul>{''.join(f'<li><bdi>{escape(printable(name))}</bdi></li>' for name in idle[:ROWS])}</ul>{more}"


def _place(account: str, plane: Member, report: Report) -> tuple[str, ...]:
    """Two accounts may each have a default/ctp1."""
    name = f"{plane.group}/{plane.name}"
    return (account, name) if len(report.accounts) > 1 else (name,)


def _basis(report: Report) -> str:
    said = [
        f"Stored up to {stamp(report.collected_at) if report.collected_at else 'no time'}; digest {digest(report)}."
    ]
    said.append("The same stored usage gives this page again, to the byte; keyless billing verify proves that usage.")
    if report.closed_until:
        said.append(f"Hours are closed up to {stamp(report.closed_until)}: what is stored later corrects them.")
    if report.without_dimensions:
        said.append(
            f"Stored without dimensions: {counted(report.without_dimensions, 'segment')}, of which it is unknown whose."
        )
    if report.limited:
        said.append(f"Coarser than it should be (billing.dimensions.limit): {counted(report.limited, 'row')}.")
    lists: Mapping[str, list[str]] = {
        "Missing": [describe(each) for each in report.missing],
        "Not counted": [describe_fault(each) for each in report.faults],
        "Waived": [describe_waiver(each) for each in report.waivers],
        "Corrections": [describe_correction(each) for each in report.corrections],
    }
    told = "".join(
        f"<h3>{name}</h3><pre>{escape(chr(10).join(lines[:ROWS]))}{_further(lines)}</pre>"
        for name, lines in lists.items()
        if lines
    )
    return f"<p>{escape(' '.join(said))}</p>{told}"


def _further(lines: Sequence[str]) -> str:
    return f"\n  and {len(lines) - ROWS} more" if len(lines) > ROWS else ""


def _days_of(report: Report) -> list[str]:
    """Every day of the period, those without usage too, in the report's own zone."""
    zone = ZoneInfo(report.zone)
    first = report.period[0].astimezone(zone).date()
    last = (report.period[1] - timedelta(microseconds=1)).astimezone(zone).date()
    return [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]


def _what(report: Report) -> str:
    """A month that still runs is told as such, for its total is no month's."""
    start, end = (each.astimezone(ZoneInfo(report.zone)) for each in report.period)
    first = start.day == 1 and start.hour == 0
    following = (start.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0)
    return "Month to date" if first and end < following else "In all"


def _span(report: Report) -> str:
    days = _days_of(report)
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]} ({report.zone})"
