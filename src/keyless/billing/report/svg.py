"""Plots as SVG: bars by day, a strip of hours. Pure; no script, no font, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from unicodedata import east_asian_width

from keyless.billing.ledger.model import HOUR

PALETTE = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0")
"""Colours that people with weak colour sight tell apart; each bar carries its name as a title too."""
OTHERS = "others"
LABEL = 48
"""Units that a day under an axis takes."""
NAME = 30
"""Columns of a terminal that a name beside a strip takes: a letter of Chinese or Japanese takes two."""


def stacked(days: Sequence[str], series: Mapping[str, Sequence[float]], *, title: str, unit: str) -> str:
    """One bar for each day, one colour for each series; at most as many series as there are colours."""
    width, height, left, bottom = 900, 260, 70, 30
    totals = [sum(values[at] for values in series.values()) for at in range(len(days))]
    top = max(totals, default=0) or 1
    # Half a label beside the last bar, whose own day stands below its middle.
    step = (width - left - LABEL / 2) / max(len(days), 1)
    parts = [_axis(top, width, height, left, bottom, unit)]
    # A label takes as much room as some fifty units of the drawing.
    every = max(1, -(-len(days) * LABEL // (width - left)))
    for at, day in enumerate(days):
        y = float(height - bottom)
        for number, (name, values) in enumerate(series.items()):
            tall = values[at] / top * (height - bottom - 10)
            y -= tall
            label = escape(f"{day} {name}: {values[at]:,.1f} {unit}")
            if tall > 0:
                parts.append(
                    f'<rect x="{left + at * step + 1:.1f}" y="{y:.1f}" width="{max(step - 2, 1):.1f}"'
                    f' height="{tall:.1f}" fill="{colour(number)}"><title>{label}</title></rect>'
                )
        if at % every == 0:
            x = left + (at + 0.5) * step
            parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{escape(day[-5:])}</text>')
    return _svg(width, height, title, parts)


def strip(rows: Sequence[tuple[str, Sequence[float]]], *, title: str, start: datetime) -> str:
    """One line for each row, one cell for each hour from ``start``: how much of it is there; below 0 none is owed."""
    left, cell = 220, 14
    hours = max((len(cells) for _, cells in rows), default=0)
    width = 900
    step = (width - left) / max(hours, 1)
    parts = []
    for at, (name, cells) in enumerate(rows):
        y = at * cell
        parts.append(
            f'<text x="{left - 6}" y="{y + 11}" text-anchor="end"><title>{escape(name)}</title>'
            f"{escape(shortened(name, NAME))}</text>"
        )
        for first, end, share in _runs(cells):
            label = escape(f"{name}: {_hour(start, first)} to {_hour(start, end)}: {_told(share)}")
            fill = "#3ca951" if share >= 1 else "#e0e0e0" if share < 0 else "#d1242f" if share == 0 else "#efb118"
            parts.append(
                f'<rect x="{left + first * step:.2f}" y="{y + 1}" width="{(end - first) * step:.2f}"'
                f' height="{cell - 2}" fill="{fill}"><title>{label}</title></rect>'
            )
    tall = max(len(rows), 1) * cell
    return _svg(width, tall + 16, title, [*parts, *_dates(start, hours, left, step, tall)])


def shortened(name: str, columns: int) -> str:
    """A name's end, which tells control planes of one group apart, behind a mark where its beginning is cut off."""
    taken = 0
    for at in range(len(name) - 1, -1, -1):
        taken += 2 if east_asian_width(name[at]) in "WF" else 1
        if taken > columns:
            return f"…{name[at + 1 :]}"
    return name


def _dates(start: datetime, hours: int, left: int, step: float, y: int) -> list[str]:
    """A day below each midnight, as many as there is room for."""
    width = left + step * hours
    midnights = [n for n in range(hours) if (start.astimezone(UTC) + n * HOUR).astimezone(start.tzinfo).hour == 0]
    found: list[str] = []
    free = float(left)
    for number in midnights:
        x = left + number * step
        if x >= free and x + LABEL * 0.6 <= width:
            day = (start.astimezone(UTC) + number * HOUR).astimezone(start.tzinfo)
            found.append(f'<text x="{x:.1f}" y="{y + 12}">{day:%m-%d}</text>')
            free = x + LABEL
    return found


def _hour(start: datetime, number: int) -> str:
    return f"{(start.astimezone(UTC) + number * HOUR).astimezone(start.tzinfo):%Y-%m-%d %H:%M}"


def _told(share: float) -> str:
    return "none is owed" if share < 0 else f"{share:.0%} is stored"


def colour(number: int) -> str:
    """Of a series."""
    return PALETTE[min(number, len(PALETTE) - 1)]


def _runs(cells: Sequence[float]) -> list[tuple[int, int, float]]:
    runs: list[tuple[int, int, float]] = []
    for at, share in enumerate(cells):
        if runs and runs[-1][2] == share:
            runs[-1] = (runs[-1][0], at + 1, share)
        else:
            runs.append((at, at + 1, share))
    return runs


def _axis(top: float, width: int, height: int, left: int, bottom: int, unit: str) -> str:
    lines = []
    form = ",.0f" if top >= 2 else ".1f"
    for part in (0, 0.5, 1):
        y = height - bottom - part * (height - bottom - 10)
        lines.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{width}" y2="{y:.1f}" stroke="#8b949e" stroke-width="0.5"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{top * part:{form}}</text>'
        )
    return "".join([*lines, f"<title>{escape(unit)}</title>"])


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )
