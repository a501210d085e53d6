"""What a collector counts of a capacity: once for each segment that is stored, over restarts and new pods."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from keyless.billing.collector import heads
from keyless.billing.ledger.capacity_used import Used
from keyless.billing.ledger.meter_reading import meter_within_untrusted
from keyless.billing.ledger.model import Meter
from unit.billing.faults.stage import KilledHere, Stage
from unit.billing.samples import NOON, VPC

SINCE = NOON.date().isoformat()


def a_stage(folder: Path, *, volume: bool = True) -> Stage:
    """A collector that counts from that day on."""
    stage = Stage(folder, start=NOON, volume=volume)
    stage.capacity_from = SINCE
    return stage


def stored(stage: Stage) -> int:
    """The milliseconds of resources that the bucket tells."""
    return sum(
        row.milliseconds
        for key, body in stage.bucket.objects.items()
        if key.startswith("manifest/account=")
        for dimensions, row in meter_within_untrusted(key, json.loads(body)["meters"]).rows
        if dimensions.meter is Meter.MANAGED
    )


async def store(stage: Stage) -> None:
    stage.recorder.sample()
    stage.recorder.close()
    await stage.uploader.upload_waiting()


@pytest.mark.parametrize("volume", [True, False])
@pytest.mark.parametrize("killed", [False, True])
async def test_what_is_counted_is_what_is_stored_whoever_stores_it(tmp_path: Path, volume: bool, killed: bool) -> None:
    stage = a_stage(tmp_path, volume=volume)
    await stage.play(5)
    stage.change(VPC, 3)
    await stage.play(40)
    await store(stage)
    first = stage.space.told
    assert first is not None
    assert first.milliseconds == stored(stage) > 0
    if killed:
        stage.kill()
    await stage.play(60)
    await store(stage)
    assert stage.space.told is not None
    assert stage.space.told.milliseconds == stored(stage) > first.milliseconds


async def test_a_kill_before_the_status_is_written_loses_no_count(tmp_path: Path) -> None:
    stage = a_stage(tmp_path)
    await stage.play(5)
    stage.change(VPC, 3)
    await stage.play(40)
    heard = stage.space.stored
    stage.space.stored = lambda *_: (_ for _ in ()).throw(KilledHere())
    with pytest.raises(KilledHere):
        await store(stage)
    stage.space.stored = heard
    stage.kill()
    await stage.play(60)
    await store(stage)
    assert stage.space.told is not None
    assert stage.space.told.milliseconds == stored(stage)


async def test_another_capacity_begins_anew_and_none_counts_nothing(tmp_path: Path) -> None:
    stage = a_stage(tmp_path)
    await stage.play(5)
    stage.change(VPC, 1)
    await stage.play(20)
    await store(stage)
    before = stored(stage)
    stage.capacity_from = "2026-10-30"
    stage.kill()
    await stage.play(60)
    await store(stage)
    assert stage.space.told is not None
    assert (stage.space.told.since, stage.space.told.milliseconds) == ("2026-10-30", stored(stage) - before)
    stage.capacity_from = ""
    stage.kill()
    await stage.play(60)
    await store(stage)
    assert stage.space.told is None


def test_the_count_outlives_the_process_with_the_head_of_its_spool() -> None:
    used = Used(SINCE)
    head = replace(heads.Head(), used=used)
    assert heads.read_untrusted("head.json", heads.written(head)) == head
