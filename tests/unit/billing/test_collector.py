"""The collector keeps what it saw, whatever happens to it or to the bucket."""

import asyncio
import contextlib
import hashlib
import json

import pytest

from keyless.api import Permanent, Transient
from keyless.billing.collector.plan import (
    COLLECTOR_STARTED,
    COLLECTOR_STOPPED,
    CONTROL_PLANE_UNREACHABLE,
    Recording,
    beginning,
    must_close,
    next_sample_at,
    retry_after,
)
from keyless.billing.collector.ports import Put
from keyless.billing.collector.recorder import Recorder
from keyless.billing.collector.settings import Settings
from keyless.billing.collector.spool import Spool
from keyless.billing.collector.uploader import Uploader
from keyless.billing.ledger.aggregate import rows
from keyless.billing.ledger.completeness import manifest_untrusted, missing
from keyless.billing.ledger.model import HOUR
from unit.billing.samples import CTP1, CTP2, NOON, VPC, seconds

INTERVAL = seconds(15)
SETTINGS = Settings(
    account="acme",
    control_plane_id=CTP1.id,
    control_plane_name="ctp1",
    control_plane_group="default",
    host_namespace=CTP1.host_namespace,
    bucket="bucket",
    pod_uid="pod-1",
)


class Clock:
    def __init__(self, at=NOON):
        self.at = at

    def __call__(self):
        return self.at


class CountedKinds:
    """A control plane with a number of VPCs, or one that does not answer."""

    def __init__(self, number=3):
        self.number = number
        self.failure = None

    async def counts(self):
        if self.failure:
            raise self.failure
        return {VPC: self.number}

    async def changed(self):
        await asyncio.Event().wait()


class KnownSpace:
    """A host API that knows its control planes and remembers what was reported."""

    def __init__(self, *members):
        self.members = members or (CTP1,)
        self.reports = []

    async def census(self):
        return self.members

    async def report(self, *, stored, reason, message):
        self.reports.append((stored, reason, message))


class KilledHere(BaseException):
    """The process ends at this step."""


class FakeBucket:
    """A bucket with conditional writes; may refuse, or end the process after a number of calls."""

    def __init__(self):
        self.objects = {}
        self.failure = None
        self.calls_left = None

    async def put_new(self, key, body, content_type):
        self._step()
        if self.failure:
            raise self.failure
        if key in self.objects:
            assert self.objects[key] == body, "a key never stands for other bytes"
            return Put.ALREADY_THERE
        self.objects[key] = body
        return Put.STORED

    async def identity(self):
        self._step()
        return "arn:aws:sts::111122223333:assumed-role/billing/session"

    def _step(self):
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise KilledHere


def usage_of(bucket):
    return rows(NOON, NOON + HOUR, [(k, v) for k, v in bucket.objects.items() if k.startswith("account=")])


def manifests_of(bucket):
    return [manifest_untrusted(k, v) for k, v in bucket.objects.items() if k.startswith("manifest/")]


def a_recorder(folder, clock, *, counter=None, host=None, settings=SETTINGS):
    spool = Spool(folder)
    return Recorder(settings, spool, counter or CountedKinds(), host or KnownSpace(), now=clock), spool


async def test_the_first_complete_sample_is_closed_for_upload_at_once(tmp_path):
    recorder, spool = a_recorder(tmp_path, Clock())
    await recorder.sample(CTP1)
    assert spool.waiting() == [0]
    assert recorder.closed.is_set()


async def test_a_control_plane_that_does_not_answer_leaves_a_gap_never_a_zero(tmp_path):
    clock, counter = Clock(), CountedKinds()
    recorder, spool = a_recorder(tmp_path, clock, counter=counter)
    await recorder.sample(CTP1)
    counter.failure = Transient("no answer")
    clock.at += INTERVAL
    await recorder.sample(CTP1)
    assert recorder.last_failure == "no answer"
    counter.failure = None
    clock.at += seconds(300)
    await recorder.sample(CTP1)
    recorder.close()
    gap = spool.read(1).gaps[0]
    assert (gap.start, gap.end, gap.reason) == (NOON, clock.at, CONTROL_PLANE_UNREACHABLE)


async def test_samples_of_two_hours_never_share_a_segment(tmp_path):
    clock = Clock(NOON + HOUR - seconds(20))
    recorder, spool = a_recorder(tmp_path, clock)
    for _ in range(4):
        await recorder.sample(CTP1)
        clock.at += seconds(10)
    recorder.close()
    segments = [spool.read(sequence) for sequence in spool.waiting()]
    assert {s.hour for s in segments} == {NOON, NOON + HOUR}
    assert all(sample.at < s.hour + HOUR for s in segments for sample in s.samples)


async def test_usage_is_stored_then_committed_then_forgotten(tmp_path):
    host, bucket = KnownSpace(CTP1, CTP2), FakeBucket()
    recorder, spool = a_recorder(tmp_path, Clock(), host=host)
    await recorder.sample(CTP1)
    assert await Uploader(spool, bucket, host, bucket="bucket").upload_waiting() is None
    assert [row.value for row in usage_of(bucket)] == [3]
    assert set(manifests_of(bucket)[0].census) == {CTP1, CTP2}
    assert spool.waiting() == []
    stored, reason, message = host.reports[-1]
    assert (stored, reason) == (True, "UsageStored")
    assert "assumed-role/billing/session" in message


async def test_without_credentials_everything_is_kept_and_the_cause_is_reported(tmp_path):
    host, bucket, clock = KnownSpace(), FakeBucket(), Clock()
    bucket.failure = Permanent("PutObject: AccessDenied: not authorized")
    bucket.failure.code = "AccessDenied"
    recorder, spool = a_recorder(tmp_path, clock, host=host)
    uploader = Uploader(spool, bucket, host, bucket="bucket")
    await recorder.sample(CTP1)
    assert await uploader.upload_waiting() == seconds(2)
    assert host.reports[-1][:2] == (False, "AccessDenied")
    clock.at += INTERVAL
    await recorder.sample(CTP1)
    recorder.close()
    bucket.failure = None
    assert await uploader.upload_waiting() is None
    assert missing((NOON, clock.at), manifests_of(bucket)) == []


@pytest.mark.parametrize("steps", range(4))
async def test_an_upload_stopped_after_any_step_is_finished_by_the_next_run(tmp_path, steps):
    host, bucket = KnownSpace(), FakeBucket()
    recorder, _ = a_recorder(tmp_path, Clock(), host=host)
    await recorder.sample(CTP1)
    bucket.calls_left = steps
    with contextlib.suppress(KilledHere):
        await Uploader(Spool(tmp_path), bucket, host, bucket="bucket").upload_waiting()
    bucket.calls_left = None
    await Uploader(Spool(tmp_path), bucket, host, bucket="bucket").upload_waiting()
    assert [row.value for row in usage_of(bucket)] == [3]
    assert len(manifests_of(bucket)) == 1
    assert Spool(tmp_path).waiting() == []


async def test_a_restart_on_the_same_volume_continues_sequence_and_chain(tmp_path):
    host, bucket, clock = KnownSpace(), FakeBucket(), Clock()
    for _ in range(2):
        recorder, spool = a_recorder(tmp_path, clock, host=host)
        await recorder.sample(CTP1)
        await Uploader(spool, bucket, host, bucket="bucket").upload_waiting()
        clock.at += INTERVAL
    bodies = [body for key, body in bucket.objects.items() if key.startswith("manifest/")]
    documents = [json.loads(body) for body in bodies]
    assert [d["sequence"] for d in documents] == [0, 1]
    assert documents[1]["previousManifestSha256"] == hashlib.sha256(bodies[0]).hexdigest()
    assert documents[1]["gaps"] == []


async def test_a_restart_without_its_volume_owns_up_to_a_gap(tmp_path):
    clock = Clock(NOON + seconds(1200))
    recorder, spool = a_recorder(tmp_path / "new", clock)
    await recorder.sample(CTP1)
    gap = spool.read(0).gaps[0]
    assert (gap.start, gap.end, gap.reason) == (NOON, clock.at, COLLECTOR_STARTED)


async def test_a_torn_segment_is_uploaded_up_to_the_tear_and_the_rest_kept(tmp_path):
    recorder, _ = a_recorder(tmp_path, Clock())
    await recorder.sample(CTP1)
    path = tmp_path / "0000000000.spool"
    path.write_bytes(path.read_bytes() + b"torn")
    segment = Spool(tmp_path).read(0)
    assert len(segment.samples) == 1
    assert (tmp_path / "0000000000.damaged").read_bytes() == b"torn"


def test_a_spool_head_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "head.json").write_text('{"version": 9}')
    with pytest.raises(Permanent, match="expected version 1 or older, found 9"):
        Spool(tmp_path)


def test_a_torn_head_is_rebuilt_from_the_segments(tmp_path):
    asyncio.run(a_recorder(tmp_path, Clock())[0].sample(CTP1))
    (tmp_path / "head.json").write_text("{")
    spool = Spool(tmp_path)
    assert spool.head.sequence == 1
    assert spool.head.last_sample == NOON


def test_a_spool_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Permanent, match="expected a folder to write in"):
        Spool(tmp_path / "file")


def test_the_turn_of_the_hour_is_always_sampled():
    assert next_sample_at(NOON - seconds(5), NOON, INTERVAL) == NOON
    assert next_sample_at(NOON, NOON, INTERVAL) == NOON + INTERVAL
    assert next_sample_at(None, NOON, INTERVAL) == NOON


def test_a_segment_ends_when_its_upload_is_due_or_its_hour_is_over():
    recording = Recording(NOON, samples=1, last_sample=NOON, ever_closed=True)
    assert not must_close(recording, NOON + seconds(299), seconds(300))
    assert must_close(recording, NOON + seconds(300), seconds(300))
    assert must_close(recording, NOON + HOUR, 2 * HOUR)
    assert not must_close(Recording(None, 0, None, ever_closed=True), NOON + HOUR, seconds(1))


def test_a_new_segment_joins_the_last_one_or_owns_up_to_the_gap():
    def begin(last, *, restarted=False):
        return beginning(last, NOON, interval=INTERVAL, born=NOON - HOUR, restarted=restarted)

    assert begin(NOON - seconds(30)).since == NOON - seconds(30)
    assert begin(NOON - seconds(60), restarted=True).gap.reason == COLLECTOR_STOPPED
    assert begin(NOON - seconds(60)).gap.reason == CONTROL_PLANE_UNREACHABLE
    newborn = beginning(None, NOON, interval=INTERVAL, born=NOON - seconds(20), restarted=False)
    assert (newborn.since, newborn.gap) == (NOON, None)


def test_retries_slow_down_to_a_minute_and_never_end():
    assert [retry_after(n, None).total_seconds() for n in (1, 2, 3, 50)] == [2, 4, 8, 60]
    assert retry_after(1, 30.0) == seconds(30)
