"""What the conditions say of an upload, at every attempt."""

from __future__ import annotations

import asyncio
import errno
from datetime import timedelta

import pytest

from keyless.api import Permanent
from unit.billing.faults.stage import Stage, failure
from unit.billing.samples import NOON


async def stage_with_one_segment(tmp_path):
    stage = Stage(tmp_path)
    await stage.boot()
    stage.recorder.sample()
    return stage


async def test_stored_usage_is_told_with_who_stored_it_and_when(tmp_path):
    stage = await stage_with_one_segment(tmp_path)
    assert await stage.uploader.upload_waiting() is None
    said = stage.space.said[-1]
    assert (said.type, said.status, said.reason) == ("BillingStored", True, "UsageStored")
    assert said.message == (
        "usage is stored in s3://bucket as arn:aws:sts::111122223333:assumed-role/billing/session, "
        "last at 2026-10-31T12:00:00Z"
    )


async def test_a_throttled_identity_never_says_that_usage_is_not_stored(tmp_path):
    stage = await stage_with_one_segment(tmp_path)
    stage.bucket.sts = failure("Throttling", again=True)
    assert await stage.uploader.upload_waiting() is None
    assert [(s.status, s.reason) for s in stage.space.said] == [(True, "UsageStored")]
    assert "by whom, STS did not say: Throttling" in stage.space.said[-1].message
    assert stage.spool.waiting() == []


async def test_a_failure_is_told_with_its_code_its_range_and_the_time_of_the_last_attempt(tmp_path):
    stage = await stage_with_one_segment(tmp_path)
    stage.bucket.failures = [failure("NoSuchBucket")]
    for minute in range(3):
        stage.time = NOON + timedelta(minutes=minute)
        pause = await stage.uploader.upload_waiting()
        assert pause == timedelta(seconds=2 * 2**minute)
        said = stage.space.said[-1]
        assert (said.type, said.status, said.reason) == ("BillingStored", False, "NoSuchBucket")
        assert f"tried last at 2026-10-31T12:0{minute}:00Z" in said.message
        assert said.message.startswith("usage from 2026-10-31T12:00:00Z to 2026-10-31T12:00:00Z is not stored: ")
    assert stage.uploader.failures == 3


async def test_a_long_answer_is_cut_in_its_middle(tmp_path):
    stage = await stage_with_one_segment(tmp_path)
    error = Permanent("begin " + "x" * 9000 + " because no policy allows it")
    stage.bucket.failures = [error]
    await stage.uploader.upload_waiting()
    message = stage.space.said[-1].message
    assert "begin" in message
    assert "because no policy allows it" in message
    assert len(message) < 5000


async def test_a_spool_that_cannot_be_read_is_told_and_tried_again(tmp_path):
    stage = await stage_with_one_segment(tmp_path)
    stage.disk.open = lambda name: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error"))
    assert await stage.uploader.upload_waiting() == timedelta(seconds=2)
    assert (stage.space.said[-1].reason, stage.space.said[-1].status) == ("SpoolBroken", False)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AccessDenied", "AccessDenied"),
        ("301", "Permanent"),
        ("", "Permanent"),
        ("Client.UnauthorizedAccess", "UnauthorizedAccess"),
    ],
)
async def test_a_reason_always_has_the_form_that_kubernetes_wants(tmp_path, code, reason):
    stage = await stage_with_one_segment(tmp_path)
    stage.bucket.failures = [failure(code)]
    await stage.uploader.upload_waiting()
    assert stage.space.said[-1].reason == reason


async def test_two_uploads_never_run_side_by_side(tmp_path):
    stage = await stage_with_one_segment(tmp_path)
    await asyncio.gather(stage.uploader.upload_waiting(), stage.uploader.upload_waiting())
    assert stage.uploader.segments_stored == 1
