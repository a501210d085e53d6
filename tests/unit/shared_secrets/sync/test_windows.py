"""Hours in which a refresh may come: schedules as cron reads them, and what is open at a moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.shared_secrets.sync.windows import is_blocked, schedule_of, seconds_to_change, windows_of
from unit.shared_secrets.bench import Bench, db

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)  # a Thursday
MOMENTS = st.integers(-60_000_000, 120_000_000).map(lambda seconds: NOON + timedelta(seconds=seconds))


def windows(kind, *pairs):
    return windows_of({"kind": kind, "windows": [{"schedule": s, "duration": d} for s, d in pairs]})


# Starts after noon of 1 January 2026, as robfig/cron v3 gives them.
STARTS = [
    ("* * * * *", "2026-01-01T12:01"),
    ("30 14 * * *", "2026-01-01T14:30"),
    ("0 12 * * *", "2026-01-02T12:00"),
    ("0 4 * * 1-5", "2026-01-02T04:00"),
    ("0 4 * * SUN", "2026-01-04T04:00"),
    ("*/20 * * * *", "2026-01-01T12:20"),
    ("5/15 * * * *", "2026-01-01T12:05"),
    ("0 0 29 2 *", "2028-02-29T00:00"),
    ("0 0 1 jan,JUL *", "2026-07-01T00:00"),
    ("0 0 13 * FRI", "2026-01-02T00:00"),
    ("0 0 */2 * FRI", "2026-01-02T00:00"),
    ("0 0 ? * 6", "2026-01-03T00:00"),
    ("0 0 31 4 *", None),
    ("@daily", "2026-01-02T00:00"),
    ("@hourly", "2026-01-01T13:00"),
    ("@weekly", "2026-01-04T00:00"),
    ("@monthly", "2026-02-01T00:00"),
    ("@yearly", "2027-01-01T00:00"),
    ("@every 90m", "2026-01-01T13:30"),
]


@pytest.mark.parametrize(("text", "start"), STARTS)
def test_a_schedule_starts_when_cron_says(text, start):
    found = schedule_of(text).next_start(NOON)
    assert found == (datetime.fromisoformat(f"{start}+00:00") if start else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "@never",
        "@every",
        "@every x",
        "* * * * MOO",
        "1,,2 * * * *",
        "*-5 * * * *",
        "-1 * * * *",
    ],
)
def test_what_is_no_schedule_is_refused_with_its_window(text):
    with pytest.raises(ValueError, match=r"^windows\[0\]: "):
        windows("allow", (text, "1h"))


@pytest.mark.parametrize("duration", ["", "0", "-1h", "soon"])
def test_a_window_that_never_opens_is_refused(duration):
    with pytest.raises(ValueError, match=r"^windows\[0\]: "):
        windows("deny", ("@daily", duration))


@pytest.mark.parametrize(
    ("kind", "hour", "blocked"), [("allow", 3, True), ("allow", 5, False), ("deny", 5, True), ("deny", 7, False)]
)
def test_allow_lets_through_inside_and_deny_outside(kind, hour, blocked):
    found = windows(kind, ("0 4 * * *", "2h"))
    assert is_blocked(found, NOON.replace(hour=hour)) is blocked
    assert is_blocked(None, NOON) is False


@given(
    MOMENTS,
    st.sampled_from(["0 4 * * *", "*/20 * * * *", "@daily", "0 0 1 * *", "15 3 * * MON-FRI", "@every 2h"]),
    st.sampled_from(["10m", "1h", "30h"]),
    st.sampled_from(["allow", "deny"]),
)
def test_nothing_changes_before_it_is_said_to(now, schedule, duration, kind):
    found = windows(kind, (schedule, duration))
    wait = seconds_to_change(found, now)
    assert 1 <= wait <= 86_401
    before = is_blocked(found, now + timedelta(seconds=1))
    for share in (0.25, 0.5, 0.75):
        at = now + timedelta(seconds=1) + timedelta(seconds=(wait - 2.5) * share)
        assert wait <= 4 or is_blocked(found, at) is before


async def test_a_refresh_waits_for_its_hours_and_what_a_person_does_never():
    bench = Bench(secrets={"db/password": "one"})
    spec = {"syncWindows": {"kind": "allow", "windows": [{"schedule": "0 20 * * *", "duration": "1h"}]}}
    await bench.sync(db(refreshInterval="1h", **spec))
    assert await bench.data() == {"password": "one"}, "a new one is read at once"
    bench.aws.secrets["db/password"] = "two"
    bench.now += timedelta(hours=3)
    assert await bench.sync() == 5 * 3600 + 1
    assert await bench.data() == {"password": "one"}
    await bench.change({"metadata": {"annotations": {"force-sync": "1"}}})
    await bench.sync()
    assert await bench.data() == {"password": "two"}
    bench.aws.secrets["db/password"] = "three"
    bench.now = NOON.replace(hour=20, minute=1)
    await bench.sync()
    assert await bench.data() == {"password": "three"}


async def test_a_misprint_is_told_and_nothing_is_read():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(syncWindows={"kind": "allow", "windows": [{"schedule": "0 25 * * *", "duration": "1h"}]}))
    status, _, message = await bench.ready()
    assert (status, "syncWindows.windows[0]: schedule: hour '25'" in message) == ("False", True)
    assert bench.aws.calls == []
