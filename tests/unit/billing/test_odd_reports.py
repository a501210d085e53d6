"""What finance does to a report: sheets that change, tiers over months, mixed currencies, rules that overlap."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.ledger.model import Dimensions, Gvk, Malformed, Meter
from keyless.billing.report.grouping import Cube
from keyless.billing.report.model import Plane, Use, What, summed
from keyless.billing.report.output import harmless
from keyless.billing.report.prices import prices_untrusted
from keyless.billing.report.teams import DEFAULT, rules_untrusted
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import VPC
from unit.billing.teams_bucket import HOUR, Filler
from unit.billing.test_usage_report import START, made

ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe"]
SHEET = """
prices:
- {currency: EUR, match: {label.team: a}, tiers: [{upTo: 5, price: "3"}, {upTo: 40, price: "0.7"}, {price: "0.01"}]}
- {currency: USD, measure: exact, price: "0.333", match: {label.team: b}, until: 2026-10-25}
- {currency: EUR, price: "0.11", match: {label.team: b}}
"""
PRICES = prices_untrusted("p", SHEET)
PLANE = Plane("id", "default", "ctp1")
WHATS = {
    team: What(PLANE, Dimensions(Meter.MANAGED, Gvk("g", "v1", "K")), (("team", team),)) for team in ("a", "b", None)
}


@st.composite
def uses(draw):
    """Hours of two months around a change of clocks, and of the sheet."""
    first = datetime(2026, 10, 24, tzinfo=UTC)
    found = []
    for number in draw(st.lists(st.integers(0, 24 * 14), min_size=1, max_size=30, unique=True)):
        team = draw(st.sampled_from(["a", "b", None]))
        found.append(Use(first + number * HOUR, WHATS[team], draw(st.integers(0, 9)), draw(st.integers(0, 3_600_000))))
    return sorted(found, key=lambda use: use.hour)


def lines(found, *by, zone="UTC", prices=PRICES):
    cube = Cube(by, ZoneInfo(zone), DEFAULT, prices)
    for use in found:
        cube.add(use)
    parts, totals = cube.lines()
    return parts, summed(totals)


def added(parts):
    found: dict[str, Fraction] = {}
    for part in parts:
        for currency, amount in part.costs.items():
            found[currency] = found.get(currency, Fraction(0)) + amount
    return {currency: amount for currency, amount in found.items() if amount}


@effort(40)
@given(uses(), st.sampled_from(ZONES), st.sampled_from([("team",), ("day",), ("month",), ("hour", "team"), ("kind",)]))
def test_whatever_it_is_grouped_by_each_currency_adds_up_exactly(found, zone, by):
    parts, total = lines(found, *by, zone=zone)
    assert added(parts) == added([total])
    assert sum(part.unpriced.maximum for part in parts) == total.unpriced.maximum
    assert sum(part.quantity.milliseconds for part in parts) == sum(use.milliseconds for use in found)


@effort(40)
@given(uses(), st.sampled_from(ZONES))
def test_two_months_cost_what_their_reports_say_though_tiers_begin_anew(found, zone):
    def month(use):
        return use.hour.astimezone(ZoneInfo(zone)).month

    whole = lines(found, "team", zone=zone)[1]
    each = [lines([use for use in found if month(use) == number], "team", zone=zone)[1] for number in (10, 11)]
    assert added(each) == added([whole])


@effort(40)
@given(uses(), st.sampled_from(ZONES))
def test_a_sheet_changes_at_the_zones_midnight_and_an_hour_has_one_price(found, zone):
    mine = [use for use in found if use.what is WHATS["b"]]
    for use in mine:
        [line], _ = lines([use], "team", zone=zone)
        before = use.hour.astimezone(ZoneInfo(zone)).date() < date(2026, 10, 25)
        assert set(line.costs) == ({"USD"} if before else {"EUR"})


def test_of_rules_that_overlap_the_first_decides_whichever_the_second_is():
    rules = rules_untrusted(
        "t", 'teams: [{name: one, match: {label.team: "pay*"}}, {name: two, match: {label.team: "*s"}}]'
    )
    bucket = MemoryBucket()
    Filler(bucket, 0, START).hour(START, [(VPC, "payments", 1), (VPC, "sales", 1), (VPC, "pay", 1), (VPC, "x", 1)])
    Filler(bucket, 1, START).hour(START, [])
    found = made(bucket, "team", rules=rules, period=(START, START + HOUR))
    assert {line["values"][0]: line["maximumResourceHours"] for line in found["lines"]} == {
        "one": 2, "two": 1, "unallocated": 1
    }  # fmt: skip


def test_a_label_that_changes_within_an_hour_divides_it_and_makes_it_no_larger():
    bucket = MemoryBucket()
    filler = Filler(bucket, 0, START)
    filler.hour(START, [(VPC, "before", 4)], part=(0, 0.25))
    filler.hour(START, [(VPC, "after", 4)], part=(0.25, 1))
    Filler(bucket, 1, START).hour(START, [])
    found = made(bucket, "team", period=(START, START + HOUR))
    exact = {line["values"][0]: Decimal(line["exactResourceHours"]) for line in found["lines"]}
    assert exact == {"before": 1, "after": 3}
    assert found["total"]["exactResourceHours"] == "4.0000"
    assert sum(line["maximumResourceHours"] for line in found["lines"]) == found["total"]["maximumResourceHours"]


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", "plain", "a=b", "-"]
)
def test_a_spreadsheet_runs_no_name_and_every_number_stays_one(name):
    assert not harmless(name).startswith(("=", "+", "-", "@", "\t", "\r"))
    bucket = MemoryBucket()
    filler = Filler(bucket, 0, START)
    filler.hour(START, [(VPC, name, 5)], part=(0, 0.5))
    filler.hour(START, [(VPC, name, 2), (VPC, "b", 1)], part=(0.5, 1), stored_at=START + timedelta(days=2))
    Filler(bucket, 1, START).hour(START, [])
    sheet = prices_untrusted("p", 'prices: [{currency: EUR, price: "2"}]')
    text = made(bucket, "team", "revision", output="csv", period=(START, START + HOUR), prices=sheet)
    rows = list(csv.reader(io.StringIO(text)))
    for row in rows[1:]:
        assert [Decimal(cell) for cell in row[2:]], "a number behind an apostrophe is a text, and no sum counts it"
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("price", ["1e31", "1e999999999", "1e-31", "1e-999999999", "Infinity", "sNaN", "1,5", "", " "])
def test_a_price_that_nobody_means_is_refused_at_once(price):
    with pytest.raises(Malformed, match="decimal number from 0 in quotes"):
        prices_untrusted("p", f"prices: [{{currency: EUR, price: '{price}'}}]")
