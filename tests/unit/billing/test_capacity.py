"""Capacity: what was used of what was bought, and until when it lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.report.capacity import DAY, Bought, as_text, document, meetings
from keyless.billing.report.model import HOUR_MS, Line, Quantity

START = datetime(2026, 10, 1, tzinfo=UTC)
END = START + 31 * DAY


def line(day, meter, hours=0, created=0):
    return Line((f"2026-10-{day:02}", meter), Quantity(0, hours * HOUR_MS, created))


def met(lines, measured_days, *, hours=None, operations=None):
    return meetings(Bought(hours, operations, START, END), lines, START + measured_days * DAY)


def test_resources_of_every_meter_count_once_and_control_planes_do_not():
    lines = [
        line(1, "managed", 10), line(1, "composite", 2), line(1, "claim", 1), line(1, "composed", 4),
        line(1, "control-plane", 24), line(1, "operation", 7, created=3),
    ]  # fmt: skip
    hours, operations = met(lines, 1, hours=1000, operations=100)
    assert (hours.used, operations.used) == (17, 3)
    assert (hours.rate, operations.rate) == (17, 3)


def test_what_lasts_has_no_end_and_what_does_not_is_told_in_time():
    lines = [line(day, "managed", 10) for day in range(1, 11)]
    [lasting] = met(lines, 10, hours=310)
    assert lasting.spent_at is None
    [short] = met(lines, 10, hours=200)
    assert (short.spent_at, short.utilisation) == (START + 20 * DAY, Fraction(1, 2))
    [spent] = met(lines, 10, hours=100)
    assert spent.spent_at == START + 10 * DAY


def test_the_forecast_goes_on_as_the_last_week_went():
    lines = [line(day, "managed", 100 if day <= 7 else 1) for day in range(1, 15)]
    [found] = met(lines, 14, hours=800)
    assert (found.used, found.rate, found.spent_at) == (707, 1, None)


@effort(40)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=31), st.integers(0, 10_000))
def test_a_forecast_is_never_before_now_nor_after_the_end(days, bought):
    lines = [line(at + 1, "managed", hours) for at, hours in enumerate(days)]
    [found] = met(lines, len(days), hours=bought)
    assert found.used == sum(days)
    if found.spent_at is None:
        assert found.used < bought
        assert found.used + found.rate * (31 - len(days)) <= bought
    else:
        assert START + len(days) * DAY <= found.spent_at <= END + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("hours", "word"), [(310, "ok resource-hours: 100.00 of 310 (32.26%), 10.00 a day lately: lasts until the end"),
                        (200, "FAILED resource-hours: 100.00 of 200 (50.00%), 10.00 a day lately: will be spent at"
                              " 2026-10-21T00:00:00Z, 11 days early"),
                        (100, "FAILED resource-hours: 100.00 of 100 (100.00%), 10.00 a day lately: spent")],
)  # fmt: skip
def test_a_person_and_a_program_read_the_same(hours, word):
    lines = [line(day, "managed", 10) for day in range(1, 11)]
    bought, found = Bought(hours, None, START, END), met(lines, 10, hours=hours)
    assert as_text("acme", bought, found, START + 10 * DAY).splitlines()[1] == word
    [limit] = document(bought, found, START + 10 * DAY)["limits"]
    assert (limit["capacity"], limit["used"], limit["aDay"]) == (hours, "100.00", "10.00")
