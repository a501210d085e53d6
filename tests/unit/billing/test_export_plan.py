"""Periods, hours, and the words of a refusal."""

import shlex
import subprocess
from datetime import UTC, datetime

import pytest

from keyless.billing.export.plan import (
    SHOWN,
    Request,
    closed_month,
    days,
    hour_of_key,
    hours,
    period_of,
    printable,
    refusal,
    too_early,
    waive_object,
)
from keyless.billing.ledger.completeness import Missing
from keyless.billing.ledger.integrity import NOT_IN_MANIFEST, OBJECT_MISSING, Fault
from keyless.billing.ledger.model import HOUR
from unit.billing.samples import CTP1, NOON, seconds

STRICT = Request("acme", (NOON, NOON + HOUR), force_incomplete=False)


def test_a_month_and_a_range_of_days_are_half_open_periods():
    assert period_of("2026-12", "") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert period_of("2028-02", "")[1] == datetime(2028, 3, 1, tzinfo=UTC)
    assert period_of("", "2026-10-30/2026-10-31")[1] == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "custom", "said"),
    [
        ("", "", "expected one of"),
        ("2026-10", "2026-10-01/2026-10-02", "expected one of"),
        ("2026-13", "", "invalid format"),
        ("2026-00", "", "invalid format"),
        ("2026-1", "", "invalid format"),
        ("2026", "", "invalid format"),
        ("2026-10-01", "", "invalid format"),
        (" 2026-10", "", "invalid format"),
        ("2026-10\n", "", "invalid format"),
        ("٢٠٢٦-10", "", "invalid format"),
        ("9999-12", "", "invalid format"),
        ("0001-01", "", "invalid format"),
        ("", "2026-10-01", "invalid format"),
        ("", "2026-10-1/2026-10-02", "invalid format"),
        ("", "2026-10-01/2026-10-32", "invalid format"),
        ("", "2026-10-01/2026-10-02/2026-10-03", "invalid format"),
        ("", "/", "invalid format"),
        ("", "2026-10-02/2026-09-01", "at least 1h"),
    ],
)
def test_a_period_that_is_none_is_said_in_the_peers_words(month, custom, said):
    with pytest.raises(ValueError, match=said):
        period_of(month, custom)


def test_only_hours_that_have_begun_are_read():
    assert list(hours((NOON, NOON + 3 * HOUR), NOON + seconds(3700))) == [NOON, NOON + HOUR]
    assert [day.day for day in days((NOON, NOON + 72 * HOUR), NOON + 24 * HOUR)] == [31, 1]


def test_an_hour_is_two_digits_of_a_day():
    assert hour_of_key(NOON, "hour=03/x") == NOON + 3 * HOUR
    assert [hour_of_key(NOON, text) for text in ("hour=24/x", "hour=3/x", "x", "hour=03", "hour=٠٣/x")] == [None] * 5


def test_a_running_period_is_refused_by_the_clock_and_a_past_or_future_one_is_not():
    assert too_early(STRICT, NOON + seconds(1)).reason == "BillingPeriodIncomplete"
    assert too_early(STRICT, NOON + HOUR) is None
    assert too_early(STRICT, NOON) is None
    assert too_early(Request("acme", STRICT.period, force_incomplete=True), NOON + seconds(1)) is None


def test_what_is_missing_refuses_by_name_and_nothing_does_not():
    lacking = [Missing(CTP1, NOON, NOON + seconds(60), "CollectorStopped")]
    refused = refusal(STRICT, lacking, [])
    assert refused.reason == "UsageMissing"
    assert "default/ctp1" in refused.detail
    assert f"--control-plane={CTP1.id} --from=2026-10-31T12:00:00Z --to=2026-10-31T12:01:00Z" in refused.detail
    assert refusal(STRICT, [], []) is None
    assert refusal(STRICT, [], [Fault("k", "WrongBytes", "d")]).reason == "UsageNotTrusted"
    assert refusal(Request("acme", STRICT.period, force_incomplete=True), lacking, []) is None


def test_more_than_anyone_reads_is_counted():
    lacking = [Missing(CTP1, NOON, NOON + seconds(n), "r") for n in range(SHOWN + 5)]
    assert refusal(STRICT, lacking, []).detail.endswith("and 5 more")


def test_unacknowledged_usage_is_counted_and_what_is_not_there_is_not():
    assert "--count" in waive_object(STRICT, Fault("k", NOT_IN_MANIFEST, "d"))
    assert "--count" not in waive_object(STRICT, Fault("k", OBJECT_MISSING, "d"))


@pytest.mark.parametrize("key", ["a b", "a'b", "$(reboot)", "a\x1b[2Jb", "a\nb'\\", "é", "\u202ea", "-x", "a;b"])
def test_a_printed_command_carries_every_key_and_nothing_that_a_terminal_obeys(key):
    printed = waive_object(STRICT, Fault(key, OBJECT_MISSING, "d"))
    assert printed.isprintable()
    arguments = printed.split(" ", 3)[3]
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {arguments}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert f"--object={key}" in shown.stdout.decode().split("\0")
    assert printable(key).isprintable()
    if key.isprintable():
        assert f"--object={key}" in shlex.split(printed)


@pytest.mark.parametrize(
    ("now", "month"),
    [
        ("2026-11-01T00:00:00Z", "2026-09"),
        ("2026-11-01T00:14:59Z", "2026-09"),
        ("2026-11-01T00:15:00Z", "2026-10"),
        ("2026-11-01T01:00:00+01:00", "2026-09"),
        ("2026-11-30T23:59:59Z", "2026-10"),
        ("2026-03-01T00:15:00Z", "2026-02"),
        ("2027-01-01T02:00:00Z", "2026-12"),
        ("2028-03-31T02:00:00Z", "2028-02"),
    ],
)
def test_a_month_is_closed_a_quarter_of_an_hour_after_its_end(now, month):
    assert closed_month(datetime.fromisoformat(now)) == month
