"""What honest collectors leave in a bucket verifies, whatever befell them."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from keyless.api import KeylessError
from keyless.billing.export.folder import FolderBucket
from keyless.billing.export.verifying import Check, known_untrusted, verify
from keyless.billing.ledger.corrections import closed_until
from keyless.billing.ledger.model import Chain, Gap, Link, Malformed
from unit.billing.bucket import MemoryBucket
from unit.billing.chained import END, HOUR, START, Collector, chained
from unit.billing.samples import CTP1, CTP2

AFTER = END + 3 * HOUR
PLANE = replace(CTP1, created_at=START)


def verdict(bucket, **changes):
    return verify(bucket, Check("acme", **changes), now=AFTER)


def a_collector(bucket=None, **changes):
    return Collector(bucket or MemoryBucket(), PLANE, spool="one", **changes)


def test_a_pod_that_found_the_head_of_the_one_before_goes_on_with_its_chain():
    first = a_collector()
    first.hour(0)
    second = Collector(first.bucket, PLANE, spool="two")
    second.sequence, second.link = 1, replace(first.link, spool="two")
    second.hour(1)
    made = verdict(first.bucket)
    assert made.holds
    assert [head.spool for head in made.heads] == ["two"]


def test_a_pod_that_could_not_look_begins_anew_and_that_is_told():
    first = a_collector()
    first.hour(0)
    second = Collector(first.bucket, PLANE, spool="two")
    second.link = Link("two", Chain.UNKNOWN)
    second.hour(1)
    made = verdict(first.bucket)
    assert made.holds
    assert [key.partition("hour=")[2][:2] for key in made.unknown_beginnings] == ["23"]
    assert len(made.heads) == 2


def test_both_pods_of_a_rollout_may_follow_the_same_manifest():
    old = a_collector()
    old.hour(0)
    new = Collector(old.bucket, PLANE, spool="two")
    new.sequence, new.link = 1, replace(old.link, spool="two")
    old.hour(1)
    new.hour(1, 9)
    made = verdict(old.bucket)
    assert made.faults == ()
    assert [head.spool for head in made.heads] == ["one", "two"]


def test_a_number_that_a_later_manifest_calls_skipped_is_not_missing():
    collector = a_collector()
    for number in range(4):
        if number in {1, 2}:
            collector.skip()
        else:
            gaps = [Gap(START + HOUR, START + 3 * HOUR, "SpoolDamaged")] if number == 3 else []
            collector.hour(number, 3, *gaps)
    made = verdict(collector.bucket)
    assert made.faults == ()
    assert [m.reason for m in made.missing] == ["SpoolDamaged"]


def test_a_first_segment_that_was_spoilt_is_skipped_too():
    collector = a_collector()
    collector.skip()
    collector.hour(0)
    assert verdict(collector.bucket).faults == ()


def test_a_clock_that_was_set_back_stores_a_later_number_in_an_earlier_hour():
    collector = a_collector()
    for number in (3, 0, 1, 2):
        collector.hour(number)
    assert verdict(collector.bucket).faults == ()


def test_two_beginnings_of_one_control_plane_are_told():
    first = a_collector()
    first.hour(0)
    Collector(first.bucket, PLANE, spool="two").hour(1)
    assert [fault.reason for fault in verdict(first.bucket).faults] == ["ChainBroken"]


def test_usage_that_arrives_while_the_bucket_is_read_is_no_difference():
    bucket = chained()
    late = MemoryBucket()
    copy = Collector(late, PLANE, spool="spool-ctp1")
    for number in range(5):
        copy.hour(number, 3 + number)

    class Busy(MemoryBucket):
        def list(self, prefix):
            found = list(super().list(prefix))
            if prefix == "manifest/account=acme/date=2026-11-01/":
                for stored in copy.stored[-1]:
                    self.put_new(stored.key, stored.body)
            return iter(found)

    busy = Busy(dict(bucket.objects))
    assert verify(busy, Check("acme"), now=END + HOUR).faults == ()
    # One without a manifest stays one.
    busy.objects.pop(copy.stored[-1][1].key)
    assert [f.reason for f in verify(MemoryBucket(busy.objects), Check("acme"), now=END + HOUR).faults] == [
        "NotInManifest"
    ]


def test_a_collector_that_fell_silent_is_missing_up_to_where_others_are_closed():
    bucket = MemoryBucket()
    planes = (PLANE, replace(CTP2, created_at=START))
    one, other = (Collector(bucket, plane, spool=plane.name, census=planes) for plane in planes)
    for number in range(4):
        other.hour(number)
    one.hour(0)
    missing = verdict(bucket).missing
    assert [(m.control_plane.name, m.start, m.end) for m in missing] == [
        ("ctp1", START + HOUR, START + 3 * HOUR),
    ]


def two_that_know_each_other(hours=4):
    bucket = MemoryBucket()
    planes = (PLANE, replace(CTP2, created_at=START))
    one, other = (Collector(bucket, plane, spool=plane.name, census=planes) for plane in planes)
    for number in range(hours):
        heads = (other.head, one.head) if number else ()
        one.hour(number, heads=heads[:1])
        other.hour(number, heads=heads[1:])
    return bucket, one, other


def taken(bucket, collector, number):
    """A segment's objects, taken out of the bucket."""
    stem = collector.stored[number][0].key.rpartition("-")[0]
    return {key: bucket.objects.pop(key) for key in list(bucket.objects) if stem in key}


def test_a_tail_that_is_cut_is_seen_by_what_a_neighbour_stored_afterwards():
    bucket, one, _ = two_that_know_each_other()
    assert verdict(bucket).faults == ()
    taken(bucket, one, -1)
    taken(bucket, one, -2)
    (fault,) = verdict(bucket).faults
    assert (fault.reason, fault.key.partition("hour=")[2][:2]) == ("HeadMissing", "01")
    assert "expected number 2 of default/ctp1" in fault.detail
    # A day alone is held against no head that lies outside of what is read.
    day = END.replace(hour=0)
    assert verdict(bucket, period=(day, day + 24 * HOUR)).faults == (fault,)
    assert verdict(bucket, period=(day + 96 * HOUR, day + 120 * HOUR)).faults == ()


def test_a_head_that_was_stored_after_its_own_days_listing_is_looked_for_once_more():
    bucket, one, _ = two_that_know_each_other()
    taken(bucket, one, -1)
    late = taken(bucket, one, -2)
    assert verdict(bucket).faults

    class Busy(MemoryBucket):
        def list(self, prefix):
            found = list(super().list(prefix))
            if prefix == "manifest/account=acme/date=2026-11-01/":
                self.objects |= late
            return iter(found)

    assert verify(Busy(dict(bucket.objects)), Check("acme"), now=END + HOUR).faults == ()


def test_the_objects_that_hold_usage_by_its_dimensions_are_read_and_compared_too():
    collector = a_collector()
    collector.hour(0)
    (usage, record) = collector.stored[0]
    body = b"by dimensions"
    sha256 = hashlib.sha256(body).hexdigest()
    key = f"manifest/meter/{usage.key.rpartition('-')[0]}-{sha256[:16]}.json.gz"
    document = json.loads(record.body) | {"meters": [{"key": key, "sha256": sha256, "bytes": len(body), "rows": 1}]}
    bucket = MemoryBucket({usage.key: usage.body, key: body})
    bucket.store_manifest(document)
    assert (verdict(bucket).faults, verdict(bucket).objects) == ((), 2)
    bucket.objects[key] = b"BY dimensions"
    assert [(fault.key, fault.reason) for fault in verdict(bucket).faults] == [(key, "WrongBytes")]
    del bucket.objects[key]
    assert [(fault.key, fault.reason) for fault in verdict(bucket).faults] == [(key, "ObjectMissing")]
    extra = key.replace("manifest/meter/account=acme/date=2026-10-31/", "manifest/meter/account=acme/date=2026-10-30/")
    bucket.objects |= {key: body, extra: body}
    assert [fault.key for fault in verdict(bucket).faults] == [extra]


def test_an_hour_is_closed_a_quarter_past_its_end():
    minute = timedelta(minutes=1)
    assert closed_until(END + 14 * minute) == END - HOUR
    assert closed_until(END + 15 * minute) == END


def test_a_copy_in_a_folder_is_verified_as_the_bucket_is(tmp_path):
    bucket = chained()
    for key, body in bucket.objects.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    folder = FolderBucket(tmp_path)
    assert verdict(folder) == verdict(bucket)
    for prefix in ("manifest/", "account=acme/date=2026-10-31/hour=2", "waiver/account=acme/", "none/"):
        assert [(i.key, i.size) for i in folder.list(prefix)] == [(i.key, i.size) for i in bucket.list(prefix)]
    victim = next(key for key in bucket.objects if key.startswith("account="))
    (tmp_path / victim).write_bytes(b"x")
    assert verdict(folder).faults[0].key == victim


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(KeylessError, match="expected a folder with a copy of the bucket"):
        FolderBucket(tmp_path / "none")


def test_memory_holds_the_hashes_of_some_days_and_no_more():
    collector = a_collector()
    for number in range(24 * 6):
        collector.hour(number)
    made = verify(collector.bucket, Check("acme"), now=AFTER + 24 * 6 * HOUR)
    assert made.holds
    assert made.manifests == 24 * 6


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "expected what `keyless billing verify --output json` prints"),
        (b"[]", "expected what"),
        (b'{"account":"acme","heads":[{}],"records":[]}', "expected what"),
        (b'{"account":"beta","heads":[],"records":[]}', "expected heads of account 'acme', found those of 'beta'"),
    ],
)
def test_a_file_of_heads_that_is_none_names_itself(body, said):
    with pytest.raises(Malformed, match=f"^heads.json: {said}"):
        known_untrusted("heads.json", body, "acme")
