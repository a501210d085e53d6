"""When a sample is due, when a segment ends, how it joins the one before."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.collector import plan
from keyless.billing.collector.plan import Recording, beginning, closed_through, edge_sample_at, must_close, retry_after
from keyless.billing.ledger.model import HOUR, hour_of
from unit.billing.samples import NOON, seconds

INTERVAL = seconds(15)
MOMENTS = st.integers(0, 7200 * 1000).map(lambda ms: NOON + timedelta(milliseconds=ms))


@given(MOMENTS, st.sampled_from([1, 7, 15, 59, 60]))
@effort(200)
def test_the_next_sample_is_within_the_interval_and_no_interval_of_the_hour_is_left_out(now, interval):
    due = plan.next_sample_at(now, seconds(interval))
    assert seconds(0) < due - now <= seconds(interval)
    assert hour_of(due) == due or int((due - hour_of(due)) / seconds(1)) % interval == 0


def test_the_turn_of_the_hour_is_always_sampled():
    assert plan.next_sample_at(NOON - seconds(5), INTERVAL) == NOON
    assert plan.next_sample_at(NOON, INTERVAL) == NOON + INTERVAL
    assert edge_sample_at(NOON - seconds(5), NOON + seconds(1), INTERVAL) == NOON - plan.EDGE


def test_an_hours_end_that_nobody_saw_is_not_made_up():
    assert edge_sample_at(None, NOON, INTERVAL) is None
    assert edge_sample_at(NOON - seconds(50), NOON, INTERVAL) is None
    assert edge_sample_at(NOON + seconds(1), NOON + seconds(15), INTERVAL) is None
    assert edge_sample_at(NOON - HOUR, NOON + seconds(1), INTERVAL) is None


def test_a_segment_ends_when_its_upload_is_due_or_its_hour_is_over():
    recording = Recording(NOON, samples=1, last_sample=NOON, ever_closed=True)
    assert not must_close(recording, NOON + seconds(299), seconds(300))
    assert must_close(recording, NOON + seconds(300), seconds(300))
    assert must_close(recording, NOON + HOUR, 2 * HOUR)
    assert must_close(Recording(NOON, 1, NOON, ever_closed=False), NOON, HOUR), "the first proves the way at once"
    assert not must_close(Recording(None, 0, None, ever_closed=True), NOON + HOUR, seconds(1))


def begin(last, reason=plan.COLLECTOR_LATE):
    return beginning(last, NOON, interval=INTERVAL, born=NOON - HOUR, reason=reason, detail="why")


def test_a_new_segment_joins_the_last_one_or_owns_up_to_the_gap():
    assert begin(NOON - seconds(30)) == plan.Beginning(NOON - seconds(30), None)
    late = begin(NOON - seconds(60)).gap
    assert (late.start, late.end, late.reason, late.detail) == (NOON - seconds(60), NOON, plan.COLLECTOR_LATE, "why")


def test_a_restart_owns_up_to_every_second():
    joined = begin(NOON - seconds(3), plan.COLLECTOR_STOPPED)
    assert (joined.since, joined.gap.reason) == (NOON - seconds(3), plan.COLLECTOR_STOPPED)


def test_a_first_segment_reaches_back_to_the_birth_or_owns_up_to_the_hour():
    born = beginning(None, NOON, interval=INTERVAL, born=NOON - seconds(20), reason="x")
    assert (born.since, born.gap) == (NOON, None)
    later = NOON + seconds(1200)
    gap = beginning(None, later, interval=INTERVAL, born=NOON - HOUR, reason="x").gap
    assert (gap.start, gap.end, gap.reason) == (NOON, later, plan.COLLECTOR_STARTED)


def test_a_time_that_was_found_to_be_ahead_joins_nothing():
    assert begin(NOON + HOUR) == plan.Beginning(None, None)


def test_retries_slow_down_to_a_minute_and_never_end():
    assert [retry_after(n, None).total_seconds() for n in (1, 2, 3, 50)] == [2, 4, 8, 60]
    assert retry_after(1, 30.0) == seconds(30)
    assert retry_after(1, -1.0) == seconds(0)


def test_an_hour_is_closed_when_nothing_of_it_waits():
    now = NOON + seconds(600)
    assert closed_through(None, now, None, None) is None
    assert closed_through(NOON + seconds(300), now, NOON, None) == NOON
    assert closed_through(NOON - seconds(300), now, NOON - HOUR, NOON - 2 * HOUR) == NOON - HOUR
    assert closed_through(None, now, NOON, NOON + seconds(5)) is None, "it was not billed yet"
