"""Whatever fails, every event is stored or lies in a gap that is recorded: events in = events out + recorded gaps.

One row, one fault; ``py`` writes the figures to ``docs/reference/billing-faults.md``.
"""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyless.billing.collector.disk import Disk
from keyless.billing.collector.host import lost_of
from keyless.billing.export.verifying import Check, verify
from keyless.billing.ledger.frames import Reader
from keyless.billing.ledger.model import Census, ChainHead, Opening, Sample, Unknown, stamp
from unit.billing.bucket import MemoryBucket
from unit.billing.faults.page import SPOOLS, Result, kills, rows_told
from unit.billing.faults.stage import NOON, KilledHere, Stage, failure
from unit.billing.faults.truth import account, manifests_of, receipts_of
from unit.billing.samples import BUCKET, CTP1, CTP2, Segment, a_source

LATE = NOON + timedelta(minutes=50)


def refuse(stage, *errors):
    def act():
        stage.bucket.failures = list(errors)

    return act


def disk(stage, **values):
    def act():
        for name, value in values.items():
            setattr(stage.disk, name, value)

    return act


def full(stage, extra=3000):
    def act():
        stage.disk.room = stage.disk.used() + extra

    return act


def roomy(stage):
    def act():
        stage.disk.room = None

    return act


def spoil(stage, place):
    """One bit of what waits flips."""

    def act():
        stage.spool.close()
        stage.recorder.close()
        path = stage.disk.folder / f"{stage.spool.waiting()[-1]:010d}.spool"
        data = bytearray(path.read_bytes())
        data[int(len(data) * place)] ^= 4
        path.write_bytes(bytes(data))

    return act


def torn(stage):
    """The process is killed amid a write, which leaves half a frame."""

    def act():
        path = stage.disk.folder / f"{stage.spool._open:010d}.spool"
        stage.kill()
        path.write_bytes(path.read_bytes()[:-7])

    return act


def wall(stage, seconds):
    def act():
        stage.wall_error = timedelta(seconds=seconds)

    return act


def counting(stage, **values):
    def act():
        for name, value in values.items():
            setattr(stage.counter, name, value)

    return act


def unknown(stage):
    def act():
        stage.counter.unknown = {BUCKET: Unknown(stage.clock.now(), "Forbidden")}

    return act


TRANSIENT = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "EndpointConnection")

FAULTS = {
    "nothing": (1800, lambda s: {}),
    "kill -9, three times": (900, lambda s: {200: s.kill, 420: s.kill, 421: s.kill, 700: s.kill}),
    "down for ten minutes": (1500, lambda s: {100: lambda: (setattr(s, "down_for", timedelta(minutes=10)), s.kill())}),
    "torn tail": (900, lambda s: {400: torn(s)}),
    "a flipped bit in a sample": (
        900,
        lambda s: {300: refuse(s, failure("SlowDown", again=True)), 600: spoil(s, 0.7), 700: refuse(s)},
    ),
    "a flipped bit in the opening": (
        900,
        lambda s: {300: refuse(s, failure("SlowDown", again=True)), 600: spoil(s, 0.01), 700: refuse(s)},
    ),
    "S3 down for two hours": (
        9000,
        lambda s: {900: refuse(s, failure("EndpointConnection", again=True)), 8100: refuse(s)},
    ),
    "throttling storm": (
        1500,
        lambda s: {100: refuse(s, *[failure(c, again=True, after=1.0) for c in TRANSIENT * 20], None)},
    ),
    "the bucket does not exist": (1800, lambda s: {0: refuse(s, failure("NoSuchBucket")), 1500: refuse(s)}),
    "the answer lost after the write was accepted": (
        1800,
        lambda s: {50: lambda: setattr(s.bucket, "lost_answers", 9)},
    ),
    "role removed and given back": (1800, lambda s: {300: refuse(s, failure("AccessDenied")), 1200: refuse(s)}),
    "token expires in a batch": (1800, lambda s: {300: refuse(s, None, failure("ExpiredToken", again=True), None)}),
    "STS throttles GetCallerIdentity": (
        900,
        lambda s: {0: lambda: setattr(s.bucket, "sts", failure("Throttling", again=True))},
    ),
    "disk full": (1800, lambda s: {300: full(s), 900: roomy(s)}),
    "disk full while S3 is down": (
        2400,
        lambda s: {200: refuse(s, failure("SlowDown", again=True)), 300: full(s), 1500: refuse(s), 1800: roomy(s)},
    ),
    "disk read-only": (1800, lambda s: {300: disk(s, broken=errno.EROFS), 900: disk(s, broken=None)}),
    "disk fails to write": (1800, lambda s: {300: disk(s, broken=errno.EIO), 500: disk(s, broken=None)}),
    "control plane down for ten minutes": (
        1800,
        lambda s: {300: counting(s, failure=("ControlPlaneUnreachable", "no answer")), 900: counting(s, failure=None)},
    ),
    "one kind forbidden for ten minutes": (1800, lambda s: {300: unknown(s), 900: counting(s, unknown={})}),
    "clock set ahead by one hour for 30 s": (1800, lambda s: {600: wall(s, 3600), 630: wall(s, 0)}),
    "clock set back by one hour for good": (1800, lambda s: {600: wall(s, -3600)}),
    "clock set ahead by 90 s": (1800, lambda s: {600: wall(s, 90)}),
    "clock set back by 90 s": (1800, lambda s: {600: wall(s, -90), 1200: s.kill}),
}


def assert_accounted(stage):
    """Every sample that was written down is stored, waits, or is told as lost; what is stored is in the bucket."""
    tally = stage.spool.tally
    assert tally.sampled == tally.stored + tally.spooled + tally.lost
    assert tally.spooled == sum(samples_in(stage.disk, number) for number in stage.spool._numbers())


def samples_in(disk, number):
    with disk.open(f"{number:010d}.spool") as file:
        return sum(isinstance(each, Sample) for each in Reader(file).frames())


def assert_balanced(found):
    assert found.wrong == []
    assert found.unexplained == 0, found
    assert found.events == found.stored + found.in_gaps
    assert found.events > 0


@pytest.mark.parametrize("volume", [True, False], ids=["volume", "no volume"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_events_in_are_events_out_and_recorded_gaps(tmp_path, fault, volume):
    seconds, actions = FAULTS[fault]
    stage = Stage(tmp_path, start=LATE, volume=volume)
    await stage.play(seconds, actions(stage))
    assert_accounted(stage)
    found = await stage.end(fault)
    assert_balanced(found)
    assert_accounted(stage)
    assert Result(fault, SPOOLS[volume], found).line() in rows_told(), "write the page anew (see its head)"


def test_the_page_tells_of_every_fault_that_is_played_and_of_no_other():
    told = [tuple(each.strip() for each in line.split("|")[1:3]) for line in rows_told()]
    played = [*FAULTS, kills(STEPS)]
    assert told == [(fault, SPOOLS[volume]) for fault in played for volume in (True, False)]


@pytest.mark.parametrize("error", [-3600, -90, 90, 3600])
async def test_a_clock_that_is_wrong_from_the_start_puts_no_sample_into_a_wrong_hour(tmp_path, error):
    stage = Stage(tmp_path, start=LATE, wall_error=timedelta(seconds=error))
    await stage.play(900)
    found = await stage.end(f"clock wrong by {error} s from the start")
    assert_balanced(found)


STEPS = 73
"""What a collector asks of disk and bucket within 100 s over an hour's end, with an upload every 30 s."""


def over_the_hour(tmp_path, *, volume):
    return Stage(tmp_path, start=NOON + timedelta(minutes=59, seconds=10), volume=volume, flush=30, rate=0.6)


@pytest.mark.parametrize("volume", [True, False], ids=["volume", "no volume"])
async def test_the_steps_that_are_killed_at_are_all_there_are(tmp_path, volume):
    stage = over_the_hour(tmp_path, volume=volume)
    await stage.play(100)
    assert stage.steps.taken == STEPS
    assert {name.split()[0] for name in stage.steps.names} == {
        "write", "written", "replace", "replaced", "unlink", "put",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("step", "volume"),
    [(step, True) for step in range(1, STEPS + 1)] + [(step, False) for step in range(2, STEPS + 1, 4)],
)
async def test_a_process_killed_at_any_step_loses_no_event(tmp_path, step, volume):
    stage = over_the_hour(tmp_path, volume=volume)
    stage.steps.kill_at = step
    await stage.play(100)
    assert_balanced(await stage.end("kill -9 at any step"))
    assert stage.kills == 1


@pytest.mark.parametrize("second", range(1, 40, 3))
async def test_two_kills_in_a_row_lose_no_more_than_one(tmp_path, second):
    stage = over_the_hour(tmp_path, volume=True)
    stage.down_for = timedelta(seconds=1)
    stage.steps.kill_at = second
    await stage.play(30, {29: lambda: setattr(stage.steps, "kill_at", stage.steps.taken + second // 3)})
    await stage.play(70)
    assert_balanced(await stage.end("kill -9, and again while starting"))


EDGES = {
    "the turn of a month": datetime(2026, 10, 31, 23, 50, tzinfo=UTC),
    "the turn of a year": datetime(2026, 12, 31, 23, 50, tzinfo=UTC),
    "a leap day": datetime(2028, 2, 28, 23, 50, tzinfo=UTC),
    "the end of a leap day": datetime(2028, 2, 29, 23, 50, tzinfo=UTC),
    "summer time ends in Berlin": datetime(2026, 10, 25, 0, 50, tzinfo=UTC),
    "summer time begins in New York": datetime(2026, 3, 8, 6, 50, tzinfo=UTC),
}


@pytest.mark.parametrize("edge", EDGES)
async def test_no_edge_of_the_calendar_loses_or_moves_an_event(tmp_path, edge):
    stage = Stage(tmp_path, start=EDGES[edge], seed=7)
    await stage.play(1500)
    found = await stage.end(edge)
    assert_balanced(found)
    assert found.in_gaps == 0


@pytest.mark.parametrize("second", [5, 30, 50])
async def test_a_clock_that_jumps_around_the_turn_of_the_hour_moves_nothing(tmp_path, second):
    stage = over_the_hour(tmp_path, volume=True)
    await stage.play(100, {second: wall(stage, 3600), second + 20: wall(stage, -3600), second + 40: wall(stage, 0)})
    found = await stage.end("clock set ahead and back by one hour around an hour's end")
    assert_balanced(found)
    jumps = [jump["ms"] for document in manifests_of(stage.bucket.objects) for jump in document["clock"]["jumps"]]
    assert [round(ms / 1000) for ms in jumps] == [3600, -7200, 3600]


async def test_two_collectors_at_once_tell_the_same_and_spoil_nothing(tmp_path):
    one, two = Stage(tmp_path / "a", volume=False, start=LATE), Stage(tmp_path / "b", volume=False, start=LATE)
    two.bucket.objects, two.bucket.requests = one.bucket.objects, one.bucket.requests
    await one.play(300)
    two.time, two.numbers, two.truth, two.changing = one.time, one.numbers, one.truth, False
    await two.boot()
    for _ in range(300):
        before = len(one.truth.changes)
        await one.play(1)
        for _, gvk, by in one.truth.changes[before:]:
            # The numbers are shared; the second collector sees the same change.
            two.numbers[gvk] -= by
            two.counter.change(gvk, by)
        await two.play(1)
    two.recorder.close()
    assert await two.uploader.upload_waiting() is None
    assert_balanced(await one.end("two collectors at once"))


async def test_a_control_plane_that_is_deleted_takes_nothing_along_that_a_neighbour_does_not_record(tmp_path):
    """Without a volume, and refused to the end: its own last condition tells, and the census of others keeps it."""
    stage = Stage(tmp_path, volume=False, start=LATE)
    await stage.play(200)
    stage.bucket.failures = [failure("AccessDenied")]
    await stage.play(500)
    stage.recorder.sample()
    stage.recorder.close()
    await stage.uploader.upload_waiting()
    said = stage.space.said[-1]
    assert (said.type, said.status, said.reason) == ("BillingStored", False, "AccessDenied")
    status = {"conditions": [{"type": said.type, "status": "False", "reason": said.reason, "message": said.message}]}
    lost = lost_of(status)
    assert lost.reason == "AccessDenied"
    assert lost.end == stage.recorder.last_sample
    neighbour = Segment(
        Opening(a_source(control_plane=CTP2), 0, None),
        (Census((replace(CTP1, deleted_at=stage.time, lost=lost),)), Sample(stage.time, {})),
    )
    record = neighbour.manifest()
    stage.bucket.objects |= {record.key: record.body, neighbour.usage.key: neighbour.usage.body}
    stage.bucket.failures = []
    found = account(stage.truth, stage.bucket.objects, stage.time, "deleted while refused")
    assert found.events == found.stored + found.in_gaps
    assert found.in_gaps > 20


async def test_a_deletion_with_a_bucket_that_answers_flushes_to_the_last_second(tmp_path):
    stage = Stage(tmp_path, volume=False, start=LATE)
    await stage.play(400)
    stage.recorder.sample()
    stage.recorder.close()
    await stage.uploader.upload_waiting()
    found = account(stage.truth, stage.bucket.objects, stage.time, "deleted")
    assert (found.unexplained, found.in_gaps, found.stored) == (0, 0, found.events)
    tally = stage.spool.tally
    assert tally.sampled == tally.stored == sum(each["samples"] for each in manifests_of(stage.bucket.objects)) > 0
    # The head that its ControlPlane shows, and later its neighbours' manifests, is the end of the chain.
    told = verify(MemoryBucket(stage.bucket.objects), Check("acme"), now=stage.time).heads
    assert told == (stage.space.kept,)


async def test_a_second_collector_on_the_same_volume_waits_for_the_first(tmp_path):
    first, second = Disk(tmp_path), Disk(tmp_path)
    assert first.lock()
    assert not second.lock()
    first.release()
    assert second.lock()
    second.release()


async def test_every_object_says_which_request_of_whom_stored_it_and_every_manifest_says_it_of_the_one_before(tmp_path):
    stage = Stage(tmp_path, flush=30)
    await stage.play(100)
    assert (await stage.end()).wrong == []
    documents = manifests_of(stage.bucket.objects)
    last = [key for key in sorted(stage.bucket.objects) if key.startswith("manifest/account=")][-1]
    assert receipts_of(stage.bucket.objects) == {k: r for k, r in stage.bucket.requests.items() if k != last}
    assert {receipt["session"] for document in documents for receipt in document["receipts"]} == {
        "arn:aws:sts::111122223333:assumed-role/billing/session"
    }


async def test_a_full_disk_leaves_a_manifest_without_receipts_and_the_same_one_when_it_is_stored_again(tmp_path):
    stage = Stage(tmp_path, start=LATE)
    await stage.play(20)
    stage.recorder.close()
    stage.spool.note = lambda *_: None
    put_new, killed = stage.bucket.put_new, []

    async def killed_after_the_manifest(key, body, content_type):
        answer = await put_new(key, body, content_type)
        if key.startswith("manifest/account="):
            killed.append(body)
            raise KilledHere
        return answer

    stage.bucket.put_new = killed_after_the_manifest
    with pytest.raises(KilledHere):
        await stage.uploader.upload_waiting()
    stage.kill()
    stage.bucket.put_new = put_new
    assert (await stage.end()).wrong == []
    assert [json.loads(body)["receipts"] for body in killed] == [[]]
    assert killed[0] in stage.bucket.objects.values()


async def test_what_neighbours_tell_is_in_a_manifest_that_stays_the_same_however_often_it_is_uploaded(tmp_path):
    stage = Stage(tmp_path, volume=False, start=LATE)
    stage.space.neighbours = (ChainHead(CTP2.id, "other", 3, "b" * 64, LATE),)
    await stage.play(20)
    stage.recorder.close()
    stage.bucket.lost_answers = 1
    stage.space.neighbours = ()
    await stage.play(400)
    first = manifests_of(stage.bucket.objects)[0]
    assert first["heads"] == [
        {"controlPlane": CTP2.id, "spool": "other", "sequence": 3, "sha256": "b" * 64, "storedTo": stamp(LATE)}
    ]
