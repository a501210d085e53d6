"""Plots as SVG: bars by day, a strip of hours. Pure; no script, no font, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

PALETTE = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0")
"""Colours that people with weak colour sight tell apart; each bar carries its name as a title too."""
OTHERS = "others"


def stacked(days: Sequence[str], series: Mapping[str, Sequence[float]], *, title: str, unit: str) -> str:
    """One bar for each day, one colour for each series; at most as many series as there are colours."""
    width, height, left, bottom = 900, 260, 70, 30
    totals = [sum(values[at] for values in series.values()) for at in range(len(days))]
    top = max(totals, default=0) or 1
    step = (width - left) / max(len(days), 1)
    parts = [_axis(top, width, height, left, bottom, unit)]
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
        if len(days) <= 31 and (at % 2 == 0 or len(days) <= 16):
            x = left + (at + 0.5) * step
            parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{escape(day[-5:])}</text>')
    return _svg(width, height, title, parts)


def strip(rows: Sequence[tuple[str, Sequence[float]]], *, title: str, first: str) -> str:
    """One line for each row, one cell for each hour: how much of it is there, 0 to 1."""
    left, cell = 200, 14
    hours = max((len(cells) for _, cells in rows), default=0)
    width = 900
    step = (width - left) / max(hours, 1)
    parts = []
    for at, (name, cells) in enumerate(rows):
        y = at * cell
        parts.append(f'<text x="{left - 6}" y="{y + 11}" text-anchor="end">{escape(name[-28:])}</text>')
        for start, end, share in _runs(cells):
            label = escape(f"{name}: hours {start} to {end} after {first}: {share:.0%}")
            fill = "#3ca951" if share >= 1 else "#e0e0e0" if share < 0 else "#d1242f" if share == 0 else "#efb118"
            parts.append(
                f'<rect x="{left + start * step:.2f}" y="{y + 1}" width="{(end - start) * step:.2f}"'
                f' height="{cell - 2}" fill="{fill}"><title>{label}</title></rect>'
            )
    return _svg(width, max(len(rows), 1) * cell, title, parts)


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
    for part in (0, 0.5, 1):
        y = height - bottom - part * (height - bottom - 10)
        lines.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{width}" y2="{y:.1f}" stroke="#ccc"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{top * part:,.0f}</text>'
        )
    return "".join([*lines, f"<title>{escape(unit)}</title>"])


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )
