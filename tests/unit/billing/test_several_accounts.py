"""One report of several accounts: it says of each what its own report says, in every form, and adds up."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Refusal
from keyless.billing.ledger.corrections import GRACE
from keyless.billing.report.accounts import accounts_of
from keyless.billing.report.grouping import Cube
from keyless.billing.report.model import Plane, Report, Use, What, summed
from keyless.billing.report.output import costs, exact_hours
from keyless.billing.report.prices import prices_untrusted, rounded
from keyless.billing.report.teams import DEFAULT, rules_untrusted
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import BUCKET, CTP1, VPC
from unit.billing.teams_bucket import HOUR, Filler, two_teams
from unit.billing.test_odd_reports import WHATS
from unit.billing.test_usage_report import HOURS, START, made, money

THEIRS = replace(CTP1, id="22222222-5bb8-4a7e-9f41-2fc38ef4b065", host_namespace="mxp-2-system")
"""Of another account, and called as one of the first."""
SHEET = """
prices:
- currency: EUR
  match: {account: "*"}
  tiers: [{upTo: 100, price: "0.333"}, {price: "0.1"}]
"""
PRICES = prices_untrusted("p", SHEET)
BOTH = ("globex", "acme")


@pytest.fixture(scope="module")
def bucket():
    found = two_teams(START, HOURS)
    other = Filler(found, 0, START, account="globex", planes=[THEIRS])
    for number in range(HOURS):
        other.hour(START + number * HOUR, [(VPC, "payments", 5), (BUCKET, None, number % 2)])
    return found


def rows(report, at="account"):
    place = report["groupedBy"].index(at)
    found = {}
    for line in report["lines"]:
        found.setdefault(line["values"][place], []).append(line)
    return found


@pytest.mark.parametrize(
    "by", [("account",), ("account", "team"), ("team", "account", "day"), ("kind", "account")], ids=", ".join
)
def test_the_lines_of_an_account_are_those_of_its_own_report(bucket, by):
    whole = made(bucket, *by, accounts=BOTH, prices=PRICES)
    for account in BOTH:
        own = made(bucket, *by, accounts=(account,), prices=PRICES)
        assert rows(whole)[account] == own["lines"]
    assert (whole["account"], whole["accounts"]) == (None, ["acme", "globex"])
    assert len({len(line["values"]) for line in whole["lines"]}) == 1


@pytest.mark.parametrize("by", [("team",), ("kind", "day"), ("account", "control-plane"), ("hour",)], ids=", ".join)
def test_the_total_is_that_of_the_accounts_own_reports_and_what_the_lines_add_up_to(bucket, by):
    whole = made(bucket, *by, accounts=BOTH, prices=PRICES)
    own = [made(bucket, "team", accounts=(account,), prices=PRICES)["total"] for account in BOTH]
    for name in ("maximumResourceHours", "made"):
        assert whole["total"][name] == sum(each[name] for each in own) == sum(each[name] for each in whole["lines"])
    exact = [Decimal(each["exactResourceHours"]) for each in whole["lines"]]
    assert Decimal(whole["total"]["exactResourceHours"]) == sum(exact)
    spent = [Decimal(money(each)["EUR"]) for each in whole["lines"]]
    assert Decimal(money(whole["total"])["EUR"]) == sum(spent) == sum(Decimal(money(each)["EUR"]) for each in own)


@pytest.mark.parametrize("output", ["text", "csv", "json", "focus", "focus-1.3", "html"])
def test_the_order_in_which_accounts_are_named_makes_no_difference(bucket, output):
    found = [
        made(bucket, output=output, accounts=order, prices=PRICES) for order in (BOTH, BOTH[::-1], (*BOTH, "acme"))
    ]
    assert found[0] == found[1] == found[2]


def test_every_form_names_the_accounts(bucket):
    assert "Usage of accounts acme, globex from" in made(bucket, accounts=BOTH, output="text")
    assert "Usage of account acme from" in made(bucket, accounts=("acme",), output="text")
    lines = list(csv.DictReader(io.StringIO(made(bucket, "account", accounts=BOTH, output="csv"))))
    assert [each["account"] for each in lines] == ["acme", "globex", "total"]
    table = pyarrow.parquet.read_table(
        io.BytesIO(made(bucket, "account", accounts=BOTH, output="parquet", parquet=True))
    )
    assert table.column("account").to_pylist() == ["acme", "globex"]


def test_each_row_of_focus_is_of_its_own_account_and_costs_what_the_accounts_own_says(bucket):
    def billed(accounts):
        found = csv.DictReader(io.StringIO(made(bucket, output="focus", accounts=accounts, prices=PRICES)))
        # The digest names what all of the report was made from.
        return [{k: v for k, v in row.items() if k != "x_ReportDigest"} for row in found]

    whole = billed(BOTH)
    for account in BOTH:
        assert [row for row in whole if row["BillingAccountId"] == account] == billed((account,))
    assert {row["BillingAccountId"]: row["BillingAccountName"] for row in whole} == dict.fromkeys(BOTH) | {
        each: each for each in BOTH
    }


def test_the_page_has_a_table_of_accounts_and_tells_control_planes_of_the_same_name_apart(bucket):
    page = made(bucket, output="html", accounts=BOTH, prices=PRICES)
    assert "<title>Usage of accounts acme, globex, 2026-10-30 to" in page
    assert "<h2>By account</h2>" in page
    assert "acme default/ctp1: " in page
    assert "globex default/ctp1: " in page
    one = made(bucket, output="html", prices=PRICES)
    assert "<h2>By account</h2>" not in one
    assert "acme default/ctp1: " not in one


def test_rules_and_prices_may_ask_for_the_account(bucket):
    rules = rules_untrusted("t", 'teams: [{name: theirs, match: {account: "glo*"}}, {from: account}]')
    sheet = prices_untrusted("p", 'prices: [{currency: EUR, price: "1", match: {account: globex}}]')
    found = made(bucket, accounts=BOTH, rules=rules, prices=sheet)
    assert [line["values"] for line in found["lines"]] == [["acme"], ["theirs"]]
    assert money(found["total"]) == {"EUR": f"{HOURS * 5 + HOURS // 2}.00"}
    assert found["total"]["unpricedMaximumResourceHours"] == made(bucket)["total"]["maximumResourceHours"]


def test_what_stands_against_each_account_is_told_with_its_name(bucket):
    cut = MemoryBucket(dict(bucket.objects))
    for key in list(cut.objects):
        if "hour=03" in key and key.startswith(("manifest/", "account=")):
            del cut.objects[key]
    refused = made(cut, accounts=BOTH)
    assert isinstance(refused, Refusal)
    for account in BOTH:
        assert f"account {account}: usage is missing" in refused.detail
        assert f"--account={account} --control-plane=" in refused.detail
    forced = made(cut, "account", accounts=BOTH, force_incomplete=True)
    assert len(forced["missing"]) == 3 * 2
    assert isinstance(made(bucket, accounts=("acme", "acmee")), Refusal), "a misspelt account is no empty one"


def test_an_hour_is_closed_when_it_is_closed_in_every_account():
    found = two_teams(START, 3)
    Filler(found, 0, START, account="globex", planes=[THEIRS]).hour(START, [(VPC, None, 1)])
    period = (START, START + 3 * HOUR)
    report = made(found, accounts=BOTH, force_incomplete=True, period=period)
    assert report["closedUntil"] == f"{START + HOUR - GRACE:%Y-%m-%dT%H}:00:00Z"


def test_all_accounts_are_those_that_stored_something_in_the_period_or_around_it(bucket):
    day = timedelta(days=1)
    assert accounts_of(bucket, (START, START + HOUR)) == ("acme", "globex")
    assert made(bucket, "account", accounts=()) == made(bucket, "account", accounts=BOTH)
    for number in (-1, 2):
        refused = accounts_of(bucket, (START + number * day, START + (number + 1) * day))
        assert isinstance(refused, Refusal)
        assert "account 'acme': 2026-10\n  account 'globex': 2026-10" in refused.detail
    around = MemoryBucket(dict(bucket.objects))
    Filler(around, 0, START, account="initech", planes=[THEIRS]).hour(START - 9 * day, [])
    assert "initech" not in accounts_of(around, (START, START + HOUR))
    Filler(around, 0, START, account="initech", planes=[THEIRS]).hour(START + 9 * day, [])
    assert "initech" in accounts_of(around, (START, START + HOUR)), "nobody says that it used nothing between"


def in_account(account, what):
    return What(Plane("id", "default", "ctp1", account=account), what.dimensions, what.labels)


THEIR_WHATS = {(account, team): in_account(account, what) for account in "xyz" for team, what in WHATS.items()}


@effort(40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(THEIR_WHATS, key=str)),
            st.integers(0, 40),
            st.integers(0, 9),
            st.integers(0, 3_600_000),
        ),
        max_size=40,
    ),
    st.sampled_from([("team",), ("account",), ("account", "team"), ("day", "account"), ("kind",), ()]),
)
def test_rounded_lines_add_up_to_the_rounded_reports_of_the_accounts(found, by):
    def report(uses, by, accounts):
        cube = Cube(by, ZoneInfo("UTC"), DEFAULT, PRICES)
        for place, hour, maximum, milliseconds in uses:
            cube.add(Use(START + hour * HOUR, THEIR_WHATS[place], maximum, milliseconds))
        lines, totals = cube.lines()
        assert summed(lines).quantity == summed(totals).quantity
        return Report(accounts, (START, START + 41 * HOUR), "UTC", by, lines, totals, None, ())

    whole = report(found, by, ("x", "y", "z"))
    for shares in (lambda each: costs(each, "EUR"), exact_hours):
        own = [shares(report([use for use in found if use[0][0] == each], ("team",), (each,))) for each in "xyz"]
        assert shares(whole).total == sum(each.total for each in own) == sum(shares(whole).lines)


@effort(40)
@given(st.lists(st.fractions(0, 10**6), min_size=1, max_size=9), st.integers(0, 4), st.integers(-40, 40))
def test_a_total_that_was_rounded_in_parts_is_shared_whatever_it_lacks(amounts, digits, off):
    total = round(sum(amounts) * 10**digits) + off
    shares = rounded(amounts, digits, Fraction(total, 10**digits))
    assert sum(map(Fraction, shares)) == Fraction(total, 10**digits)
    assert all(
        abs(Fraction(share) - amount) * 10**digits <= abs(off) + 2
        for share, amount in zip(shares, amounts, strict=True)
    )


def test_the_bytes_of_one_account_are_what_they_were(bucket):
    """What one account's report says is the same whether another is in the bucket or not."""
    assert json.dumps(made(bucket)) == json.dumps(made(two_teams(START, HOURS)))
