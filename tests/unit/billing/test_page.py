"""The page that finance forwards: nothing of it is clipped, on paper and in the dark, whatever things are called."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from unicodedata import east_asian_width
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.report.page import _share
from keyless.billing.report.prices import prices_untrusted
from keyless.billing.report.svg import NAME, shortened, stacked, strip
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import VPC
from unit.billing.teams_bucket import HOUR, Filler, two_teams
from unit.billing.test_usage_report import HOURS, START, made

_TEXT = re.compile(r'<text x="([\d.]+)"[^>]*?(text-anchor="(?:middle|end)")?>(?:<title>[^<]*</title>)?([^<]*)</text>')
LETTER = 6.2
"""Units of the drawing that a letter of 11 takes at most, on average."""


def _columns(text):
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def inside(drawing):
    """Texts that reach over the left or the right edge of a drawing."""
    found = []
    for x, anchor, text in _TEXT.findall(drawing):
        wide = _columns(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")) * LETTER
        left = float(x) - (wide if "end" in anchor else wide / 2 if anchor else 0)
        if left < 0 or left + wide > 900:
            found.append(text)
    return found


@effort(40)
@given(st.text(st.characters(exclude_categories=("C", "Z", "M")), max_size=80))
def test_a_name_beside_a_strip_has_room_and_keeps_its_end(name):
    shown = shortened(name, NAME)
    assert _columns(shown.lstrip("…") if shown != name else shown) <= max(NAME, 2)
    assert name.endswith(shown.removeprefix("…")) or shown == name
    assert (shown == name) == (_columns(name) <= NAME)


@pytest.mark.parametrize("days", [1, 2, 16, 17, 31, 92, 366])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/Berlin"])
def test_no_label_is_clipped_and_none_lies_on_another_however_long_the_period(days, zone):
    start = datetime(2026, 10, 1, tzinfo=ZoneInfo(zone))
    names = [str((start + timedelta(days=n)).date()) for n in range(days)]
    bars = stacked(names, {"a": [1234567.0] * days}, title="t", unit="u")
    hours = strip([("default/" + "名" * 60, [1.0] * 24 * days)], title="t", start=start)
    for drawing in (bars, hours):
        assert inside(drawing) == []
        at = [float(x) for x, _, text in _TEXT.findall(drawing) if re.fullmatch(r"\d\d-\d\d", text)]
        assert at, "some day is named"
        assert all(b - a >= 5 * LETTER for a, b in pairwise(at))


def test_a_days_label_stands_at_its_midnight_where_clocks_change():
    start = datetime(2026, 10, 24, tzinfo=ZoneInfo("Europe/Berlin"))
    drawing = strip([("a", [1.0] * 73)], title="t", start=start)
    found = {text: float(x) for x, _, text in _TEXT.findall(drawing) if "-" in text}
    assert list(found) == ["10-24", "10-25", "10-26"]
    step = (900 - found["10-24"]) / 73
    assert (found["10-25"] - found["10-24"]) / step == pytest.approx(24, abs=0.05)
    assert (found["10-26"] - found["10-25"]) / step == pytest.approx(25, abs=0.05)


def test_numbers_have_thousands_names_turn_nothing_about_and_only_a_total_is_bold():
    sheet = prices_untrusted("p", "prices: [{currency: EUR, price: '1234567.89'}]")
    page = made(two_teams(START, HOURS), output="html", prices=sheet)
    assert "<td>722,222,215.65</td>" in page
    assert page.count("<tfoot>") == 3, "movers have no total"
    assert 'class="big">722,222,215.65 EUR</span> <span class="big">585 resource-hours</span>' in page
    assert re.search(r'<td class="name"><bdi>payments</bdi></td><td>[\d,]+</td>', page)


def test_it_is_readable_on_paper_and_in_the_dark():
    page = made(two_teams(START, HOURS), output="html")
    assert "print-color-adjust:exact" in page, "else no bar is printed"
    assert "prefers-color-scheme:dark" in page
    assert "fill:currentColor" in page, "else a drawing's texts are black on black"
    assert "<thead>" in page, "else a table's second sheet has no head"


def test_without_usage_it_says_so_and_names_who_is_idle():
    bucket = MemoryBucket()
    for number in (0, 1):
        Filler(bucket, number, START).hour(START, [])
    page = made(bucket, output="html", period=(START, START + HOUR))
    assert "<p>Nothing was used.</p>" in page
    assert '<span class="big">0 resource-hours</span>' in page
    assert page.count("<li><bdi>") == 2


def test_one_resource_hour_is_one():
    bucket = MemoryBucket()
    Filler(bucket, 0, START).hour(START, [(VPC, "a", 1)])
    Filler(bucket, 1, START).hour(START, [])
    page = made(bucket, output="html", period=(START, START + HOUR))
    assert '<span class="big">1 resource-hour</span>' in page
    assert START.astimezone(UTC) == START


@pytest.mark.parametrize(
    ("rests", "spans", "share"),
    [
        ([(0, 60)], [], -1.0),
        ([(0, 30)], [(30, 60)], 1.0),
        ([(0, 30)], [], 0.5),
        ([], [(0, 15)], 0.25),
    ],
)
def test_an_hour_that_was_paused_owes_nothing_and_is_not_red(rests, spans, share):
    def minutes(pairs):
        return [(START + timedelta(minutes=a), START + timedelta(minutes=b)) for a, b in pairs]

    assert _share(START, (START, START + HOUR), minutes(rests), minutes(spans), timedelta()) == share
