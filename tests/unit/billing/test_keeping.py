"""An export that was interrupted goes on where it was, and its report is the same, byte for byte."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from keyless.api import Permanent
from keyless.billing.export.keeping import KeptBucket, kept_file
from keyless.billing.export.output import write_new
from keyless.billing.export.plan import Request, period_of
from keyless.billing.export.service import export
from unit.billing.bucket import DAY, HOUR, OTHER, MemoryBucket, event, full_day

NOW = DAY + timedelta(days=3)
REQUEST = Request("acme", period_of("", "2026-10-31/2026-10-31"), False)
SOURCE = " usage"


class KilledHere(BaseException):
    """The process ends at this request."""


class Mortal(MemoryBucket):
    """Ends the process at the n-th body."""

    def __init__(self, objects, last=None):
        super().__init__(objects)
        self.left = last

    def get(self, key):
        if self.left is not None:
            if self.left == 0:
                raise KilledHere
            self.left -= 1
        return super().get(key)

    @property
    def bodies_asked(self):
        return [key for what, key in self.asked if what == "get"]


@pytest.fixture(scope="module")
def objects():
    bucket = full_day()
    for number in range(3):
        bucket.store_hour(DAY + number * HOUR, event(7.0, plane=OTHER), plane=OTHER, account="acme")
    for number in range(3, 24):
        bucket.store_hour(DAY + number * HOUR, event(1.0, plane=OTHER), plane=OTHER, account="acme")
    return bucket.objects


@pytest.fixture(scope="module")
def whole(objects):
    return b"".join(export(MemoryBucket(objects), REQUEST, now=NOW).archive)


def run(bucket, out, *, source=SOURCE, request=REQUEST):
    """An export as the command does it; a kill leaves what is on disk."""
    kept = KeptBucket(bucket, out, source=source)
    done = False
    try:
        made = export(kept, request, now=NOW)
        write_new(out, made.archive)
        done = True
    except KilledHere:
        os.close(kept._file)
        raise
    finally:
        if done:
            kept.close(done=True)
    return kept


BODIES = 96


def test_the_bodies_that_are_killed_at_are_all_there_are(objects, tmp_path):
    bucket = Mortal(objects)
    run(bucket, tmp_path / "r.tgz")
    assert len(bucket.bodies_asked) == BODIES


@pytest.mark.parametrize("step", range(0, BODIES, 5))
def test_an_export_that_was_killed_goes_on_and_writes_the_same_bytes(objects, whole, tmp_path, step):
    out = tmp_path / "r.tgz"
    with pytest.raises(KilledHere):
        run(Mortal(objects, step), out)
    assert not out.exists()
    again = Mortal(objects)
    kept = run(again, out)
    assert out.read_bytes() == whole
    assert kept.resumed == step == BODIES - len(again.bodies_asked)
    assert os.listdir(tmp_path) == ["r.tgz"]


def test_it_may_be_killed_again_and_again(objects, whole, tmp_path):
    out = tmp_path / "r.tgz"
    for _ in range(0, BODIES, 10):
        with pytest.raises(KilledHere):
            run(Mortal(objects, 9), out)
    run(Mortal(objects), out)
    assert out.read_bytes() == whole


def test_a_file_cut_off_or_spoilt_anywhere_costs_time_alone(objects, whole, tmp_path):
    out = tmp_path / "r.tgz"
    with pytest.raises(KilledHere):
        run(Mortal(objects, 5), out)
    data = kept_file(out).read_bytes()
    for at in [*range(60), *range(60, len(data), 97)]:
        for spoilt in (data[:at], data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]):
            kept_file(out).write_bytes(spoilt)
            kept = run(Mortal(objects), out)
            assert out.read_bytes() == whole
            assert kept.resumed < 5
            out.unlink()


def test_what_changed_meanwhile_is_read_again(objects, tmp_path):
    out = tmp_path / "r.tgz"
    with pytest.raises(KilledHere):
        run(Mortal(objects, 90), out)
    changed = MemoryBucket(dict(objects))
    changed.store_hour(DAY + HOUR, event(50.0))
    run(changed, out)
    assert out.read_bytes() == b"".join(export(changed, REQUEST, now=NOW).archive)


def test_bodies_of_another_bucket_are_no_use(objects, whole, tmp_path):
    out = tmp_path / "r.tgz"
    with pytest.raises(KilledHere):
        run(Mortal(objects, 90), out, source=" elsewhere")
    assert run(Mortal(objects), out).resumed == 0
    assert out.read_bytes() == whole


def test_two_exports_never_write_one_report(objects, tmp_path):
    out = tmp_path / "r.tgz"
    first = KeptBucket(MemoryBucket(objects), out, source=SOURCE)
    with pytest.raises(Permanent, match="another export is writing this report"):
        KeptBucket(MemoryBucket(objects), out, source=SOURCE)
    first.close(done=True)
    run(Mortal(objects), out)


def test_what_a_link_or_a_folder_stands_for_is_not_read(tmp_path):
    out = tmp_path / "r.tgz"
    kept_file(out).symlink_to("/dev/zero")
    with pytest.raises(Permanent):
        KeptBucket(MemoryBucket({}), out, source=SOURCE)
    kept_file(out).unlink()
    kept_file(out).mkdir()
    with pytest.raises(Permanent):
        KeptBucket(MemoryBucket({}), out, source=SOURCE)


def test_a_full_disk_keeps_no_more_and_the_export_goes_on(objects, whole, tmp_path, monkeypatch):
    out = tmp_path / "r.tgz"
    with pytest.raises(KilledHere):
        run(Mortal(objects, 5), out)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert run(Mortal(objects), out).resumed == 5
    assert out.read_bytes() == whole
