"""Reports as Parquet, read back: money is decimal, times carry their zone, and the sums are those of the report."""

from __future__ import annotations

import io
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from zoneinfo import ZoneInfo

import pytest

from keyless.api import Permanent
from keyless.billing.report.prices import prices_untrusted
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import VPC
from unit.billing.teams_bucket import HOUR, Filler, two_teams
from unit.billing.test_usage_report import GROWN, HOURS, PRICES, START, made

if not find_spec("pyarrow") and not os.environ.get("CI"):
    pytest.skip("pyarrow is missing: run `make setup`", allow_module_level=True)

import pyarrow.parquet as pq


@pytest.fixture(scope="module")
def bucket():
    return two_teams(START, HOURS)


def table(bucket, *by, output="parquet", **changes):
    return pq.read_table(io.BytesIO(made(bucket, *by, output=output, **changes)))


def test_money_and_hours_are_decimals_that_add_up_to_the_reports_total(bucket):
    sheet = prices_untrusted("p", PRICES)
    found, report = table(bucket, "team", prices=sheet), made(bucket, "team", prices=sheet)
    assert str(found.schema.field("cost_EUR").type) == "decimal128(38, 2)"
    assert str(found.schema.field("resource_hours_exact").type) == "decimal128(38, 4)"
    rows = found.to_pylist()
    assert [row["team"] for row in rows] == ["payments", "search", "unallocated"]
    amounts = {each["currency"]: Decimal(each["amount"]) for each in report["total"]["costs"]}
    assert {name: sum(row[f"cost_{name}"] for row in rows) for name in amounts} == amounts
    assert sum(row["resource_hours_by_maximum"] for row in rows) == GROWN + 4 * HOURS
    assert sum(row["resource_hours_exact"] for row in rows) == Decimal(report["total"]["exactResourceHours"])
    assert sum(row["resource_hours_without_a_price"] for row in rows) == HOURS
    assert found.schema.metadata[b"keyless.digest"].decode() == report["digest"]


def test_amounts_keep_their_currencys_own_decimals_however_large_they_are(bucket, monkeypatch):
    sheet = prices_untrusted("p", "prices: [{currency: JPY, price: '123456789012345678901234567'}]")
    found = table(bucket, prices=sheet)
    assert str(found.schema.field("cost_JPY").type) == "decimal128(38, 0)"
    amounts = [int(row["cost_JPY"]) for row in found.to_pylist()]
    assert sum(amounts) == 123456789012345678901234567 * (GROWN + 4 * HOURS)
    # Prices of thirty digits leave room below thirty-eight; a month of a thousand control planes may not.
    monkeypatch.setattr("keyless.billing.report.parquet.PRECISION", 27)
    with pytest.raises(Permanent, match="at most 27 digits"):
        table(bucket, prices=sheet)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/Berlin"])
def test_days_are_dates_and_hours_are_moments_of_the_reports_zone(bucket, zone):
    found = table(bucket, "hour", "day", "month", zone=ZoneInfo(zone))
    assert found.schema.field("hour").type.tz == zone
    rows = found.to_pylist()
    assert [row["hour"].astimezone(UTC) for row in rows] == [START + number * HOUR for number in range(HOURS)]
    assert all(row["day"] == row["hour"].date() for row in rows)
    assert {type(row["day"]) for row in rows} == {date}


def test_the_hour_that_a_clock_shows_twice_is_two_moments():
    start = datetime(2026, 10, 24, 23, tzinfo=UTC)
    bucket = MemoryBucket()
    filler, other = Filler(bucket, 0, start), Filler(bucket, 1, start)
    for number in range(4):
        filler.hour(start + number * HOUR, [(VPC, "payments", 1)])
        other.hour(start + number * HOUR, [])
    found = table(bucket, "hour", period=(start, start + 4 * HOUR), zone=ZoneInfo("Europe/Berlin"))
    assert [row["hour"].astimezone(UTC) for row in found.to_pylist()] == [start + n * HOUR for n in range(4)]


def test_focus_as_parquet_has_the_types_that_csv_cannot_say():
    bucket = MemoryBucket()
    Filler(bucket, 0, START).hour(START, [(VPC, "007", 2)])
    Filler(bucket, 1, START).hour(START, [])
    for output in ("focus", "focus-1.3"):
        [row] = table(bucket, output=output, parquet=True, period=(START, START + HOUR)).to_pylist()
        assert row["ChargePeriodStart"] == START
        assert (row["ConsumedQuantity"], row["BilledCost"]) == (2, 0)
        assert row["Tags"] == '{"team": "007"}'
        assert row["ChargeClass"] is None
    assert row["HostProviderName"] == row["ServiceProviderName"]


def test_without_the_extra_it_says_what_to_install(bucket, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Permanent, match=r"install keyless\[parquet\]"):
        made(bucket, output="parquet")


def test_a_period_without_usage_is_a_table_without_rows():
    bucket = MemoryBucket()
    for number in (0, 1):
        Filler(bucket, number, START).hour(START, [])
    found = table(bucket, "team", period=(START, START + HOUR))
    assert (found.num_rows, found.column_names[0]) == (0, "team")
