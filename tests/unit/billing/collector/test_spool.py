"""The spool's folder: what it refuses, what it learns from it, what it keeps of damage."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from keyless.api import Permanent
from keyless.billing.collector.spool import RESERVE, Spool
from keyless.billing.ledger.model import Chain, Opening, Receipt, Sample
from unit.billing.faults.stage import FaultyDisk, Stage, Steps
from unit.billing.samples import NOON, VPC, a_source, seconds


def with_a_segment(folder, *, samples=2):
    disk = FaultyDisk(folder, Steps())
    spool = Spool(disk)
    spool.begin(Opening(a_source(), spool.next_sequence, None), [Sample(NOON, {VPC: 1})])
    for n in range(1, samples):
        spool.append(Sample(NOON + seconds(15 * n), {VPC: 1}))
    spool.close()
    return spool, disk


def test_a_head_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "head.json").write_text('{"version": 9}')
    with pytest.raises(Permanent, match="expected version 2 or older, found 9"):
        Spool(tmp_path)


def test_a_head_of_the_version_before_is_read(tmp_path):
    (tmp_path / "head.json").write_text(
        '{"version": 1, "sequence": 4, "previousManifestSha256": "ab", "lastSample": null}'
    )
    head = Spool(tmp_path).head
    assert (head.sequence, head.previous, head.chain) == (4, "ab", Chain.CONTINUED)


@pytest.mark.parametrize("text", ["{", "[]", "", '{"version": 2}', '{"version": "x"}'])
def test_a_spoilt_head_is_rebuilt_from_the_segments_and_the_chain_says_so(tmp_path, text):
    with_a_segment(tmp_path)
    (tmp_path / "head.json").write_text(text)
    spool = Spool(tmp_path)
    assert spool.next_sequence == 1
    assert spool.head.last_sample == NOON + seconds(15)
    assert spool.head.chain == Chain.UNKNOWN


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Permanent, match="expected a folder to write in"):
        Spool(tmp_path / "file")


def test_a_number_is_taken_by_its_first_sample_alone(tmp_path):
    assert Spool(tmp_path).next_sequence == Spool(tmp_path).next_sequence == 0
    assert with_a_segment(tmp_path)[0].next_sequence == 1


def test_a_write_that_failed_leaves_nothing_in_the_way_of_the_next(tmp_path):
    spool, disk = with_a_segment(tmp_path)
    spool.begin(Opening(a_source(), 1, None), [Sample(NOON, {VPC: 1})])
    disk.room = disk.used() + 20
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        spool.append(Sample(NOON + seconds(15), {VPC: 7}))
    disk.room = None
    spool.append(Sample(NOON + seconds(30), {VPC: 9}))
    spool.close()
    packed = spool.pack(1)
    assert (packed.runs.samples, packed.runs.end, packed.gaps) == (2, NOON + seconds(30), ())


def test_a_full_disk_is_drained_with_the_room_kept_in_reserve(tmp_path):
    spool, disk = with_a_segment(tmp_path)
    disk.room = disk.used()
    spool.drop(0, "sha", NOON)
    assert spool.waiting() == []
    assert spool.head.previous == "sha"
    disk.room = None
    spool.renew_reserve()
    assert RESERVE in disk.names()


def test_a_full_disk_keeps_no_receipt_and_its_reserve_for_what_frees_more(tmp_path):
    spool, disk = with_a_segment(tmp_path)
    packed = spool.pack(0)
    receipt = Receipt(packed.usage.key, "R1", "", NOON)
    disk.room = disk.used()
    spool.note(receipt)
    assert RESERVE in disk.names()
    assert spool.link(packed).receipts == ()
    disk.room = None
    spool.note(receipt)
    assert Spool(tmp_path).link(packed).receipts == spool.link(packed).receipts == (receipt,)
    spool.drop(0, "sha", NOON, replace(receipt, key="manifest"))
    assert (spool.head.receipts, Spool(tmp_path).link(packed).previous_receipt.key) == ((), "manifest")


def test_what_is_not_readable_is_kept_for_a_human_but_not_without_end(tmp_path):
    for _ in range(12):
        spool, disk = with_a_segment(tmp_path)
        number = spool.waiting()[-1]
        (tmp_path / f"{number:010d}.spool").write_bytes(b"nonsense")
        assert spool.pack(number) is None
    kept = [name for name in disk.names() if name.endswith(".damaged")]
    assert len(kept) == 8
    assert [each.sequence for each in spool.head.skipped] == list(range(12))


def test_a_committed_segment_that_outlived_a_crash_is_not_stored_again(tmp_path):
    spool, _ = with_a_segment(tmp_path)
    data = (tmp_path / "0000000000.spool").read_bytes()
    spool.drop(0, "sha", NOON)
    (tmp_path / "0000000000.spool").write_bytes(data)
    assert Spool(tmp_path).waiting() == []


async def test_the_chain_goes_on_over_pods_where_the_role_may_read_it(tmp_path):
    stage = Stage(tmp_path, volume=False)
    await stage.play(400)
    stage.kill()
    await stage.play(400)
    assert stage.spool.head.chain == Chain.CONTINUED
    assert (await stage.end()).wrong == []


async def test_without_the_right_to_read_the_manifest_says_that_the_chain_is_unknown(tmp_path):
    stage = Stage(tmp_path, volume=False)
    await stage.play(400)
    stage.kill()
    stage.bucket.may_read = False
    await stage.boot()
    assert stage.spool.head.chain == Chain.UNKNOWN
    assert (await stage.end()).wrong == []
