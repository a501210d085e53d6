"""A report as Parquet, for tools that load tables: money and hours are decimals, times carry their zone.

By pyarrow, which only the extra ``parquet`` brings: the production image aggregates nothing. Why not polars or duckdb:
docs/decisions/0021-parquet-by-pyarrow.md
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from keyless.api import Permanent
from keyless.billing.report.focus import Version, focus_rows
from keyless.billing.report.grouping import TIMES
from keyless.billing.report.model import Report
from keyless.billing.report.output import DECIMALS, costs, currencies, digest, exact_hours
from keyless.billing.report.prices import digits_of

# The most that every reader of Parquet knows as decimal128.
PRECISION = 38
Column = tuple[str, Any]
"""A column's name and pyarrow's type."""


def as_parquet(report: Report) -> bytes:
    """The lines of a report, without their total: a tool sums by itself. Raises ``Permanent`` without the extra."""
    pa = _pyarrow()
    zone = ZoneInfo(report.zone)
    money = {each: costs(report, each).lines for each in currencies(report)}
    hours = exact_hours(report).lines
    columns: list[Column] = [(name, _time_type(pa, name, report.zone)) for name in report.by]
    columns += [
        ("resource_hours_by_maximum", pa.int64()),
        ("resource_hours_exact", pa.decimal128(PRECISION, DECIMALS)),
        ("made", pa.int64()),
        *((f"cost_{each}", pa.decimal128(PRECISION, digits_of(each))) for each in money),
        *([("resource_hours_without_a_price", pa.int64())] if money else []),
    ]
    rows = (
        (
            *(_moment(name, value, zone) for name, value in zip(report.by, line.values, strict=True)),
            line.quantity.maximum,
            hours[at],
            line.quantity.created,
            *(amounts[at] for amounts in money.values()),
            *([line.unpriced.maximum] if money else []),
        )
        for at, line in enumerate(report.lines)
    )
    return _written(pa, columns, rows, report)


def focus_as_parquet(report: Report, version: Version) -> bytes:
    """The columns of FOCUS: an account of digits stays a text, which CSV cannot say. Raises as :func:`as_parquet`."""
    pa = _pyarrow()
    columns = [(name, _focus_type(pa, name)) for name in version.columns]
    rows = (tuple(_focus_value(name, row.get(name)) for name in version.columns) for row in focus_rows(report))
    return _written(pa, columns, rows, report)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise Permanent(
            "Parquet needs pyarrow, which is not installed here: install keyless[parquet], or take --output=csv"
        ) from None
    return pyarrow


def _time_type(pa: Any, name: str, zone: str) -> Any:
    if name not in TIMES:
        return pa.string()
    return pa.timestamp("s", tz=zone) if name == "hour" else pa.date32() if name == "day" else pa.string()


def _moment(name: str, value: str, zone: ZoneInfo) -> str | date | datetime:
    """What a column of time holds, of the text that a report has."""
    if name == "hour":
        return datetime.fromisoformat(value).astimezone(zone)
    return date.fromisoformat(value) if name == "day" else value


def _focus_type(pa: Any, name: str) -> Any:
    if name.endswith(("Cost", "Quantity", "UnitPrice")) or name == "x_ExactResourceHours":
        return pa.decimal128(PRECISION, DECIMALS)
    return pa.timestamp("s", tz="UTC") if name.endswith(("PeriodStart", "PeriodEnd")) else pa.string()


def _focus_value(name: str, value: Any) -> Any:
    if name.endswith(("PeriodStart", "PeriodEnd")):
        return datetime.fromisoformat(value).astimezone(UTC)
    return None if value == "" else value


def _written(pa: Any, columns: Sequence[Column], rows: Iterable[Sequence[Any]], report: Report) -> bytes:
    found: list[list[Any]] = [[] for _ in columns]
    for row in rows:
        for column, value in zip(found, row, strict=True):
            column.append(value)
    said: Mapping[str, str] = {"account": ", ".join(report.accounts), "digest": digest(report), "timeZone": report.zone}
    schema = pa.schema(columns, metadata={f"keyless.{name}": value for name, value in said.items()})
    try:
        arrays = [pa.array(values, kind) for values, (_, kind) in zip(found, columns, strict=True)]
    except pa.ArrowInvalid as error:
        raise Permanent(f"expected amounts of at most {PRECISION} digits, found {error}; take --output=csv") from None
    out = io.BytesIO()
    pa.parquet.write_table(pa.table(arrays, schema=schema), out, compression="zstd")
    return out.getvalue()
