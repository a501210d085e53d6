"""Reports: whose usage it was, that sums are equal, what it costs, and that it is the same again."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Refusal
from keyless.billing.ledger.model import Dimensions, Gvk, Malformed, Meter
from keyless.billing.report.focus import COLUMNS
from keyless.billing.report.grouping import Cube
from keyless.billing.report.model import Plane, Use, What
from keyless.billing.report.prices import prices_untrusted, rounded
from keyless.billing.report.service import Asked, report_of
from keyless.billing.report.teams import DEFAULT, rules_untrusted, team_of
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import VPC
from unit.billing.teams_bucket import HOUR, Filler, two_teams

START = datetime(2026, 10, 30, tzinfo=UTC)
HOURS = 30
NOW = START + 90 * HOUR
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture(scope="module")
def bucket():
    return two_teams(START, HOURS)


def asked(*by, **changes):
    values = {
        "accounts": ("acme",),
        "period": (START, START + HOURS * HOUR),
        "zone": UTC_ZONE,
        "by": by or ("team",),
        "meter": "managed",
        "rules": DEFAULT,
    }
    return Asked(**values | changes)


def made(bucket, *by, output="json", parquet=False, **changes):
    found = report_of(bucket, asked(*by, **changes), output, now=NOW, wrap=dict, parquet=parquet)
    if isinstance(found, Refusal):
        return found
    return json.loads(found) if output == "json" else found


def maxima(report):
    return {tuple(item["values"]): item["maximumResourceHours"] for item in report["lines"]}


def money(line):
    return {each["currency"]: each["amount"] for each in line["costs"]}


GROWN = sum(range(1, HOURS + 1))


def test_usage_by_team_is_as_of_the_hour_and_what_no_rule_takes_is_shown(bucket):
    assert maxima(made(bucket)) == {("payments",): GROWN + HOURS, ("search",): 2 * HOURS, ("unallocated",): HOURS}


@pytest.mark.parametrize(
    "by",
    [
        ("team",), ("group",), ("control-plane",), ("kind",), ("provider",), ("composition",), ("label.team",),
        ("plane.team",), ("day",), ("month",), ("hour", "team"), ("day", "team", "kind"), ("meter", "namespace"),
    ],
    ids=", ".join,
)  # fmt: skip
def test_whatever_it_is_grouped_by_the_lines_add_up_to_the_same_total(bucket, by):
    report = made(bucket, *by)
    assert sum(item["maximumResourceHours"] for item in report["lines"]) == GROWN + 5 * HOURS - HOURS
    assert sum(Decimal(item["exactResourceHours"]) for item in report["lines"]) == Decimal(
        report["total"]["exactResourceHours"]
    )
    assert report["total"]["maximumResourceHours"] == GROWN + 4 * HOURS
    assert report["complete"]


def test_maximum_and_exact_time_stand_side_by_side(bucket):
    [total] = [made(bucket)["total"]]
    assert (total["maximumResourceHours"], total["exactResourceHours"]) == (
        GROWN + 4 * HOURS,
        f"{GROWN + 4 * HOURS}.0000",
    )


def test_the_hours_of_control_planes_are_a_meter_of_their_own(bucket):
    report = made(bucket, "control-plane", meter="control-plane")
    assert maxima(report) == {("default/ctp1",): HOURS, ("search/ctp2",): HOURS}
    assert report["total"]["exactResourceHours"] == f"{2 * HOURS}.0000"
    everything = made(bucket, "meter", meter="all")
    assert maxima(everything) == {("control-plane",): 2 * HOURS, ("managed",): GROWN + 4 * HOURS}


@pytest.mark.parametrize("output", ["text", "csv", "json", "focus", "html"])
def test_the_same_objects_give_the_same_bytes_in_whatever_order_they_are_listed(bucket, output):
    shuffled = MemoryBucket(dict(reversed(list(bucket.objects.items()))))
    first = made(bucket, output=output)
    later = report_of(shuffled, asked(), output, now=NOW + timedelta(days=400), wrap=dict)
    assert (json.dumps(first, indent=2) + "\n" if output == "json" else first) == later


def test_a_missing_hour_is_refused_and_named_and_written_into_a_forced_report(bucket):
    cut = MemoryBucket(dict(bucket.objects))
    for key in list(cut.objects):
        if "hour=03" in key and "706c49fa" in key:
            del cut.objects[key]
    refused = made(cut)
    assert isinstance(refused, Refusal)
    assert "default/ctp1" in refused.detail
    forced = made(cut, force_incomplete=True)
    assert (forced["complete"], len(forced["missing"])) == (False, 2)
    assert "missing:" in made(cut, output="text", force_incomplete=True)


def test_an_account_that_nobody_knows_is_refused_with_those_that_are_there(bucket):
    refused = made(bucket, accounts=("acmee",))
    assert isinstance(refused, Refusal)
    assert "account 'acme': 2026-10" in refused.detail
    assert made(bucket, accounts=("acmee",), force_incomplete=True)["lines"] == []


@pytest.mark.parametrize("by", ["team", "provider", "hour", "plane.team"])
def test_where_the_numbers_lie_makes_no_difference_to_a_report(bucket, by):
    beside = two_teams(START, HOURS, inside=0)
    assert len(beside.objects) == 3 * 2 * HOURS
    assert len(bucket.objects) == 2 * 2 * HOURS
    one, other = made(bucket, by), made(beside, by)
    assert one["lines"]
    assert (one["lines"], one["total"]) == (other["lines"], other["total"])


def test_an_object_that_is_not_what_its_manifest_says_is_refused():
    bucket = two_teams(START, HOURS, inside=0)
    for kind in ("edited", "gone"):
        spoilt = MemoryBucket(dict(bucket.objects))
        key = next(key for key in sorted(spoilt.objects) if key.startswith("manifest/meter/"))
        if kind == "edited":
            spoilt.objects[key] = spoilt.objects[sorted(k for k in spoilt.objects if "meter/" in k)[1]]
        else:
            del spoilt.objects[key]
        refused = made(spoilt)
        assert isinstance(refused, Refusal)
        assert key in refused.detail


def test_what_was_stored_before_dimensions_were_counts_as_unknown():
    bucket = MemoryBucket()
    first, second = Filler(bucket, 0, START), Filler(bucket, 1, START)
    first.hour(START, [(VPC, "payments", 3)], dimensions=False)
    second.hour(START, [(VPC, "payments", 2)])
    report = made(bucket, period=(START, START + HOUR))
    assert maxima(report) == {("payments",): 2, ("unallocated",): 3}
    assert report["withoutDimensions"] == 1
    assert maxima(made(bucket, "provider", period=(START, START + HOUR))) == {("provider-aws",): 2, ("unknown",): 3}


RULES = """
teams:
- name: money
  match: {label.team: "pay*"}
- name: finders
  match: {plane.team: search, kind: "Bucket.*"}
- from: group
"""


def test_a_file_of_rules_decides_in_its_order(bucket):
    rules = rules_untrusted("teams.yaml", RULES)
    assert maxima(made(bucket, rules=rules)) == {
        ("default",): HOURS,
        ("finders",): 2 * HOURS,
        ("money",): GROWN + HOURS,
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("teams: [", "expected YAML"),
        ("[]", "expected a list of rules"),
        ("teams: []", "expected a list of rules"),
        ("teams: [{name: a}]", r"teams\[0\]: expected match"),
        ("teams: [{name: a, from: group}]", r"teams\[0\]: expected one of name and from"),
        ("teams: [{name: unallocated, match: {group: a}}]", "choose another name"),
        ("teams: [{name: a, match: {grup: a}}]", r"teams\[0\]\.match: expected one of group"),
        ("teams: [{name: a, match: {group: 3}}]", r"match\.group: expected a text"),
        ("teams: [{from: colour}]", r"from: expected one of"),
        ("teams: [{name: a, match: {group: b}, when: now}]", r"teams\[0\]: expected name or from"),
    ],
)
def test_a_file_of_rules_that_cannot_be_read_is_refused_with_its_place(text, named):
    with pytest.raises(Malformed, match=named):
        rules_untrusted("teams.yaml", text)


PRICES = """
prices:
- currency: EUR
  price: "0.30"
  match: {kind: "Bucket.*"}
- currency: USD
  measure: exact
  tiers: [{upTo: 100, price: "1"}, {upTo: 200, price: "0.5"}, {price: "0.1"}]
  match: {label.team: payments}
"""


def test_prices_are_graduated_by_currency_and_what_has_none_is_shown(bucket):
    report = made(bucket, prices=prices_untrusted("prices.yaml", PRICES))
    # Payments' VPCs alone: its bucket matches the first price.
    dollars = 100 + 50 + Decimal("0.1") * (GROWN - 200)
    assert money(report["total"]) == {"EUR": f"{Decimal('0.30') * 3 * HOURS:.2f}", "USD": f"{dollars:.2f}"}
    assert report["total"]["unpricedMaximumResourceHours"] == HOURS
    by = {item["values"][0]: money(item) for item in report["lines"]}
    assert by["payments"] == {"EUR": f"{Decimal('0.30') * HOURS:.2f}", "USD": f"{dollars:.2f}"}


def test_a_price_holds_from_its_date_in_the_reports_zone(bucket):
    sheet = prices_untrusted(
        "p", 'prices: [{currency: JPY, price: "2", from: 2026-10-31}, {currency: JPY, price: "1", until: 2026-10-31}]'
    )
    utc, tokyo = made(bucket, prices=sheet), made(bucket, prices=sheet, zone=ZoneInfo("Asia/Tokyo"))
    late = sum(range(25, HOURS + 1)) + 4 * 6
    assert money(utc["total"]) == {"JPY": str(GROWN + 4 * HOURS + late)}
    earlier = sum(range(16, HOURS + 1)) + 4 * 15
    assert money(tokyo["total"]) == {"JPY": str(GROWN + 4 * HOURS + earlier)}


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("{}", "currency"),
        ("{currency: eur, price: '1'}", "currency: expected a code"),
        ("{currency: EUR}", "one of price and tiers"),
        ("{currency: EUR, price: 0.1}", "decimal number from 0 in quotes"),
        ("{currency: EUR, price: '-1'}", "decimal number"),
        ("{currency: EUR, price: 'NaN'}", "decimal number"),
        ("{currency: EUR, price: true}", "decimal number"),
        ("{currency: EUR, price: '1', measure: most}", "measure: expected maximum or exact"),
        ("{currency: EUR, tiers: []}", "tiers: expected a list"),
        ("{currency: EUR, tiers: [{price: '1'}, {price: '2'}]}", r"tiers\[0\]: expected price, and upTo"),
        ("{currency: EUR, tiers: [{upTo: 5, price: '1'}, {upTo: 5, price: '1'}, {price: '1'}]}", "more than 5"),
        ("{currency: EUR, price: '1', from: 2026-10-02, until: 2026-10-01}", "until after from"),
        ("{currency: EUR, price: '1', from: soon}", "expected a date"),
        ("{currency: EUR, price: '1', match: {colour: red}}", "match: expected one of"),
        ("{currency: EUR, price: '1', discount: 3}", "expected some of"),
    ],
)
def test_a_price_that_cannot_be_read_is_refused_with_its_place(entry, named):
    with pytest.raises(Malformed, match=named):
        prices_untrusted("prices.yaml", f"prices: [{entry}]")


@effort(30)
@given(st.lists(st.fractions(0, 1000) | st.fractions(0, 10**40), max_size=12), st.sampled_from([0, 2, 3]))
def test_rounded_amounts_add_up_to_the_rounded_sum_and_none_is_off_by_a_unit(amounts, digits):
    found = rounded(amounts, digits)
    unit = Fraction(1, 10**digits)
    assert sum(map(Fraction, found), Fraction(0)) == Fraction(round(sum(amounts, Fraction(0)) / unit)) * unit
    assert all(abs(Fraction(shown) - amount) < unit for shown, amount in zip(found, amounts, strict=True))


def use(hour):
    dimensions = Dimensions(Meter.MANAGED, Gvk("g", "v1", "K"))
    return Use(hour, What(Plane("id", "default", "ctp1"), dimensions), 1, 3_600_000)


@effort(30)
@given(
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]
    ),
    st.sampled_from([date(2026, 3, 28), date(2026, 10, 24), date(2026, 10, 31), date(2026, 4, 4)]),
)
def test_every_hour_counts_in_one_local_day_whatever_the_clocks_do(name, day):
    zone = ZoneInfo(name)
    cube = Cube(("day",), zone, DEFAULT)
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    first = start.replace(minute=0)
    for number in range(24 * 4):
        cube.add(use(first + number * HOUR))
    lines, [total] = cube.lines()
    assert total.quantity.maximum == 24 * 4 == sum(line.quantity.maximum for line in lines)
    for line in lines[1:-1]:
        here = datetime.fromisoformat(line.values[0])
        there = here + timedelta(days=1)
        long = there.replace(tzinfo=zone).astimezone(UTC) - here.replace(tzinfo=zone).astimezone(UTC)
        assert abs(line.quantity.maximum - long / HOUR) < 1


def test_a_combination_matches_a_rule_only_by_what_is_known():
    rules = rules_untrusted("t", 'teams: [{name: a, match: {namespace: "*"}}]')
    plane = Plane("id", "default", "ctp1")
    assert team_of(rules, plane, Dimensions(Meter.MANAGED, VPC), ()) == "unallocated"
    assert team_of(rules, plane, Dimensions(Meter.MANAGED, VPC, namespace="x"), ()) == "a"


def test_focus_has_every_required_column_and_the_same_sums(bucket):
    found = list(csv.DictReader(io.StringIO(made(bucket, output="focus", prices=prices_untrusted("p", PRICES)))))
    required = {
        "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodStart",
        "BillingPeriodEnd", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodStart",
        "ChargePeriodEnd", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity",
        "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
    }  # fmt: skip
    assert required <= set(found[0]) == set(COLUMNS)
    assert sum(Decimal(row["ConsumedQuantity"]) for row in found) == GROWN + 4 * HOURS
    assert sum(Decimal(row["BilledCost"]) for row in found if row["BillingCurrency"] == "EUR") == Decimal("27.00")
    assert {row["BillingPeriodStart"] for row in found} == {"2026-10-01T00:00:00Z"}
    assert all(json.loads(row["Tags"]) in ({"team": "payments"}, {"team": "search"}, {}) for row in found)


class _Page(HTMLParser):
    """What a page holds: its tags, and whatever would fetch or run something."""

    def __init__(self):
        super().__init__()
        self.tags, self.fetching = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetching += [name for name, _ in attrs if name in {"src", "href", "action"} or name.startswith("on")]


def test_the_page_is_whole_runs_nothing_and_fetches_nothing(bucket):
    page = made(bucket, output="html", prices=prices_untrusted("p", PRICES))
    found = _Page()
    found.feed(page)
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert found.fetching == []
    assert found.tags.count("svg") == 2
    for part in ("By team", "By day", "Completeness of each hour", "ten largest movers", "Idle control planes"):
        assert part in page
    assert "None: each held at least one resource." in page
    assert '<td class="name"><bdi>unallocated</bdi></td>' in page
    assert '<bdi>payments</bdi></td><td class="name"><bdi>VPC.ec2.aws.upbound.io</bdi></td>' in page


def test_a_control_plane_without_resources_is_idle_and_names_from_a_bucket_are_escaped():
    bucket = MemoryBucket()
    first, second = Filler(bucket, 0, START), Filler(bucket, 1, START)
    first.hour(START, [(VPC, "<script>x", 3)])
    second.hour(START, [])
    page = made(bucket, output="html", period=(START, START + HOUR))
    assert "<li><bdi>search/ctp2</bdi></li>" in page
    assert "<script>" not in page


def test_a_spreadsheet_runs_nothing_that_a_label_says():
    bucket = MemoryBucket()
    first, second = Filler(bucket, 0, START), Filler(bucket, 1, START)
    first.hour(START, [(VPC, "=1+1", 3)])
    second.hour(START, [])
    assert "\r\n'=1+1,3," in made(bucket, output="csv", period=(START, START + HOUR))


@pytest.mark.parametrize(
    ("start", "hours", "zone", "said"),
    [
        (datetime(2026, 10, 1, tzinfo=UTC), 30, "UTC", "Month to date"),
        (datetime(2026, 9, 30, 22, tzinfo=UTC), 30, "Europe/Berlin", "Month to date"),
        (datetime(2026, 10, 1, tzinfo=UTC), 30, "Europe/Berlin", "In all"),
        (datetime(2026, 10, 2, tzinfo=UTC), 30, "UTC", "In all"),
        (datetime(2026, 2, 1, tzinfo=UTC), 28 * 24, "UTC", "In all"),
    ],
)
def test_the_page_says_that_a_month_still_runs(start, hours, zone, said):
    found = MemoryBucket()
    Filler(found, 0, start).hour(start, [(VPC, "payments", 1)])
    period = (start, start + hours * HOUR)
    page = made(found, output="html", period=period, zone=ZoneInfo(zone), force_incomplete=True)
    assert f"<h2>{said}</h2>" in page


@effort(10)
@given(st.integers(1, HOURS - 1), st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_an_hour_at_the_edge_of_two_periods_counts_in_the_one_that_it_begins(cut, zone):
    bucket, edge = two_teams(START, HOURS), START + cut * HOUR
    halves = [
        made(bucket, period=period, zone=ZoneInfo(zone)) for period in ((START, edge), (edge, START + HOURS * HOUR))
    ]
    whole = made(bucket, zone=ZoneInfo(zone))["total"]
    for name in ("maximumResourceHours", "made"):
        assert sum(half["total"][name] for half in halves) == whole[name]
    exact = [Decimal(each["total"]["exactResourceHours"]) for each in halves]
    assert sum(exact) == Decimal(whole["exactResourceHours"])
