"""An export against a bucket in memory: what it asks, what it counts, what stops it."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from datetime import timedelta

import pytest

from keyless.api import Refusal
from keyless.billing.export.plan import Request
from keyless.billing.export.service import export
from keyless.billing.ledger.waivers import Waiver, Withdrawal, waiver_object, withdrawal_object
from unit.billing.bucket import DAY, HOUR, OTHER, PLANE, MemoryBucket, event, full_day, member, packed

PERIOD = (DAY, DAY + timedelta(days=1))
AFTER = DAY + timedelta(days=2)
NOON = DAY + 12 * HOUR
OPTIONS = ("--bucket=usage",)


def exported(bucket, *, account="acme", period=PERIOD, now=AFTER, force=False, compat=False):
    made = export(bucket, Request(account, period, force, compat, OPTIONS), now=now)
    if isinstance(made, Refusal):
        return made
    with tarfile.open(fileobj=io.BytesIO(b"".join(made.archive))) as opened:
        members = {m.name: opened.extractfile(m).read() for m in opened.getmembers()}
    return made, members


def values(result):
    _, members = result
    return [row["value"] for row in json.loads(members["report/usage.json"])]


def test_a_complete_day_is_the_peers_report_and_nothing_more():
    result = exported(full_day())
    assert values(result) == list(range(1, 25))
    assert list(result[1]) == ["report/meta.json", "report/usage.json"]
    assert result[0].rows == 24


def test_a_day_costs_one_listing_of_usage_and_one_of_manifests_and_no_object_is_read_twice():
    bucket = full_day()
    exported(bucket)
    assert [prefix for verb, prefix in bucket.asked if verb == "list"] == [
        "manifest/account=acme/date=2026-10-31/",
        "waiver/account=acme/",
        "account=acme/date=2026-10-31/",
    ]
    read = [key for verb, key in bucket.asked if verb == "get"]
    assert sorted(read) == sorted(bucket.objects)


def test_usage_that_is_stored_while_an_export_runs_is_never_called_missing():
    class Busy(MemoryBucket):
        def list(self, prefix):
            found = list(super().list(prefix))
            if prefix.startswith("manifest/"):
                self.store_hour(NOON, event(1.0, plane=OTHER), plane=OTHER)
            return iter(found)

    result = exported(Busy(full_day().objects), force=True)
    assert {fault.reason for fault in result[0].faults} == {"NotInManifest"}
    assert values(result) == list(range(1, 25))


def test_strict_and_compat_find_the_same_rows_in_what_a_collector_wrote():
    strict, compat = exported(full_day())[1], exported(full_day(), compat=True)[1]
    assert strict["report/usage.json"] == compat["report/usage.json"]
    # Who reads no manifest does not know when the usage was stored.
    assert json.loads(strict["report/meta.json"])["collected_at"] == "2026-11-01T00:00:00Z"
    assert json.loads(compat["report/meta.json"])["collected_at"] == "2026-11-02T00:00:00Z"


def test_an_hour_counts_by_its_key_and_what_lies_outside_the_hours_is_not_seen():
    bucket = full_day()
    bucket.objects["account=acme/date=2026-10-31/readme.txt"] = b"not usage"
    bucket.objects["account=acme/date=2026-10-31/hour=24/x"] = b"not usage"
    bucket.objects["account=acme2/date=2026-10-31/hour=01/x"] = b"another account's"
    assert values(exported(bucket)) == list(range(1, 25))


def an_object(bucket):
    return next(key for key in bucket.objects if key.startswith("account=") and "hour=12" in key)


def remove(bucket):
    del bucket.objects[an_object(bucket)]


def shorten(bucket):
    bucket.objects[an_object(bucket)] = bucket.objects[an_object(bucket)][:-1]


def flip(bucket):
    body = bytearray(bucket.objects[an_object(bucket)])
    body[20] ^= 1
    bucket.objects[an_object(bucket)] = bytes(body)


def forge(bucket):
    body = bucket.objects[an_object(bucket)]
    forged = gzip.compress(json.dumps([event(999.0)]).encode(), mtime=0)
    bucket.objects[an_object(bucket)] = forged.ljust(len(body), b"\0")[: len(body)]


def add(bucket):
    bucket.objects["account=acme/date=2026-10-31/hour=12/extra.json.gz"] = packed(event(999.0))


def add_folder(bucket):
    bucket.objects["account=acme/date=2026-10-31/hour=12/"] = b""


def a_manifest(bucket):
    return next(key for key in bucket.objects if key.startswith("manifest/") and "hour=12" in key)


def spoil_manifest(bucket):
    bucket.objects[a_manifest(bucket)] = b"{}"


def contradict(bucket):
    document = json.loads(bucket.objects[a_manifest(bucket)])
    document["objects"][0]["bytes"] += 1
    bucket.store_manifest(document)


def claim(bucket):
    named = {"key": an_object(bucket), "sha256": "0" * 64, "bytes": 1, "events": 1}
    bucket.store_hour(NOON, event(1.0), plane=OTHER, objects=[named])


def edit_manifest(bucket):
    key = a_manifest(bucket)
    bucket.objects[key] = bucket.objects[key].replace(b'"samples":240', b'"samples":241')


def edit_both(bucket):
    key, body = an_object(bucket), packed(event(999.0))
    bucket.objects[key] = body
    manifest = a_manifest(bucket)
    document = json.loads(bucket.objects[manifest])
    document["objects"] = [
        {"key": key, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body), "events": 1},
    ]
    del bucket.objects[manifest]
    bucket.store_manifest(document)


FAULTS = {
    "a manifest whose object is missing": (remove, "ObjectMissing"),
    "a wrong length": (shorten, "WrongLength"),
    "different bytes": (flip, "WrongBytes"),
    "a forgery of the same length": (forge, "Wrong"),
    "an object that no manifest names": (add, "NotInManifest"),
    "a key that stands for a folder": (add_folder, "EmptyObject"),
    "a manifest that is none": (spoil_manifest, "Malformed"),
    "two manifests that contradict each other": (contradict, "WrongBytes"),
    "a manifest that vouches for another's object": (claim, "expected a key that begins with"),
    "a manifest that was edited": (edit_manifest, "expected a SHA-256 that begins with"),
    "an object and its manifest, edited to agree": (edit_both, "expected a SHA-256 that begins with"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_default_checks_every_object_against_its_manifest(name):
    spoil, reason = FAULTS[name]
    bucket = full_day()
    spoil(bucket)
    refused = exported(bucket)
    assert isinstance(refused, Refusal)
    assert reason in refused.detail
    assert "hour=12" in refused.detail
    assert "keyless billing waive --bucket=usage --account=acme --object=" in refused.detail
    forced = exported(bucket, force=True)
    assert 999 not in values(forced)
    assert json.loads(forced[1]["report/completeness.json"])["notCounted"]


def test_a_foreign_manifest_of_another_account_vouches_for_nothing():
    bucket, other = full_day(), MemoryBucket()
    other.store_hour(NOON, event(5.0), account="beta")
    body = next(body for key, body in other.objects.items() if key.startswith("manifest/"))
    bucket.objects["manifest/account=acme/date=2026-10-31/hour=12/foreign.json"] = body
    assert "foreign.json: Malformed: expected a key that goes on with account=beta/" in exported(bucket).detail


def test_events_that_are_malformed_under_a_true_hash_name_key_and_place():
    bucket = full_day()
    key = bucket.store_hour(NOON, event(3.0), event("3"), plane=PLANE)
    refused = exported(bucket)
    assert f"{key}: Malformed: event 2: value: expected a number, found a string" in refused.detail


def test_an_object_too_large_to_be_usage_is_refused_unread():
    bucket = full_day()
    key = an_object(bucket)
    bucket.objects[key] = bytes(33 * 2**20)
    refused = exported(bucket, compat=True)
    assert "expected at most" in refused.detail
    assert ("get", key) not in bucket.asked


def waive(bucket, **what):
    waiver = Waiver("acme", "me", "known", "nothing", AFTER, **what)
    record = waiver_object(waiver)
    bucket.objects[record.key] = record.body
    return waiver


def test_an_unacknowledged_object_is_counted_or_left_out_as_it_was_waived():
    bucket = full_day()
    add(bucket)
    key = "account=acme/date=2026-10-31/hour=12/extra.json.gz"
    left_out = waive(bucket, object_key=key)
    assert values(exported(bucket)) == list(range(1, 25))
    del bucket.objects[waiver_object(left_out).key]
    waive(bucket, object_key=key, counted=True)
    assert 999 in values(exported(bucket))


def test_what_cannot_be_read_cannot_be_counted_whatever_a_waiver_says():
    bucket = full_day()
    key = "account=acme/date=2026-10-31/hour=12/extra"
    bucket.objects[key] = b"not usage"
    waive(bucket, object_key=key, counted=True)
    assert f"{key}: Malformed" in exported(bucket).detail
    waive(bucket, object_key=key)
    assert values(exported(bucket)) == list(range(1, 25))


def test_a_waived_gap_is_shown_by_every_later_report():
    bucket = full_day()
    for key in [key for key in bucket.objects if "hour=12" in key]:
        del bucket.objects[key]
    refused = exported(bucket)
    assert "2026-10-31T12:00:00Z to 2026-10-31T13:00:00Z: NotCovered" in refused.detail
    waiver = waive(bucket, control_plane=PLANE, start=NOON, end=NOON + HOUR)
    result = exported(bucket)
    assert result[0].waivers == (waiver,)
    (shown,) = json.loads(result[1]["report/completeness.json"])["waivers"]
    assert (shown["by"], shown["why"], shown["assumed"], shown["id"]) == ("me", "known", "nothing", waiver.id)


def test_a_record_that_is_no_waiver_stops_the_report_by_its_key():
    bucket = full_day()
    bucket.objects["waiver/account=acme/x.json"] = b"{}"
    assert "waiver/account=acme/x.json: Malformed: expected a waiver" in exported(bucket).detail
    waive(bucket, object_key="waiver/account=acme/x.json")
    assert values(exported(bucket)) == list(range(1, 25))


def records(bucket):
    """A waiver of the gap at noon that was taken back, and a later one of nothing that matters."""
    for key in [key for key in bucket.objects if "hour=12" in key]:
        del bucket.objects[key]
    first = waive(bucket, control_plane=PLANE, start=NOON, end=NOON + HOUR)
    back = Withdrawal(first.id, "me", "it was wrong", AFTER, (first.id,))
    record = withdrawal_object("acme", back)
    bucket.objects[record.key] = record.body
    waive(bucket, control_plane=OTHER, start=NOON, end=NOON + HOUR, after=(back.id,))
    return waiver_object(first).key, record.key


def test_a_waiver_that_was_taken_back_waives_nothing_whoever_removes_or_edits_that_record():
    bucket = full_day()
    first, back = records(bucket)
    assert "NotCovered" in exported(bucket).detail
    true = bucket.objects[back]
    bucket.objects[back] = true.replace(b"it was wrong", b"it was right")
    assert f"{back}: Malformed: expected the record of its name" in exported(bucket).detail
    del bucket.objects[back]
    assert "ObjectMissing: expected the record that a later one follows" in exported(bucket).detail
    bucket.objects[back] = true
    bucket.objects[first] = bucket.objects[first].replace(b"known", b"guess")
    assert f"{first}: Malformed: expected the waiver of its name" in exported(bucket).detail
    moved = bucket.objects.pop(first)
    bucket.objects["waiver/account=acme/0123456789abcdef.json"] = moved
    assert "0123456789abcdef.json: Malformed" in exported(bucket).detail


def test_what_took_a_waiver_back_before_records_named_their_own_hash_is_read():
    bucket = full_day()
    for key in [key for key in bucket.objects if "hour=12" in key]:
        del bucket.objects[key]
    first = waive(bucket, control_plane=PLANE, start=NOON, end=NOON + HOUR)
    old = {"version": 1, "takenBack": first.id, "by": "me", "why": "wrong", "at": "2026-11-02T00:00:00Z"}
    bucket.objects[f"waiver/account=acme/{first.id}.taken-back.json"] = json.dumps(old).encode()
    assert "NotCovered" in exported(bucket).detail


def test_a_control_plane_that_was_deleted_does_not_hold_up_the_month():
    bucket = full_day(census=[member(OTHER, deletedAt="2026-10-31T03:00:00Z")])
    for number in range(3):
        bucket.store_hour(DAY + number * HOUR, event(1.0, plane=OTHER), plane=OTHER)
    assert exported(bucket)[0].missing == ()


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(
    ("account", "shift", "said"),
    [
        ("acmee", timedelta(0), "expected usage of account 'acmee'"),
        ("acme", timedelta(days=-40), "from 2026-09-21T00:00:00Z"),
        ("acme", timedelta(days=40), "which has not begun"),
    ],
)
def test_where_there_is_nothing_what_there_is_is_said(account, shift, said, compat):
    bucket = full_day()
    bucket.store_hour(DAY - 40 * 24 * HOUR + HOUR, event(1.0), account="beta")
    refused = exported(bucket, account=account, period=(PERIOD[0] + shift, PERIOD[1] + shift), compat=compat)
    assert said in refused.detail
    assert "account 'acme': 2026-10\n  account 'beta': 2026-09" in refused.detail
    assert not [key for verb, key in bucket.asked if verb == "get"]


def test_an_empty_bucket_holds_no_usage_at_all_and_a_forced_report_of_it_is_empty():
    assert "it holds no usage at all" in exported(MemoryBucket()).detail
    assert exported(MemoryBucket(), force=True)[1]["report/usage.json"] == b"[\n]\n"


@pytest.mark.parametrize("compat", [False, True])
def test_to_force_a_report_of_an_account_that_is_not_there_is_refused_and_of_a_quiet_month_says_what_there_is(compat):
    bucket = full_day()
    later = PERIOD[0] + 40 * (24 * HOUR), PERIOD[1] + 40 * (24 * HOUR)
    request = Request("acme", later, True, compat, OPTIONS)
    quiet = export(bucket, request, now=AFTER + 80 * (24 * HOUR))
    assert quiet.rows == 0
    assert "account 'acme': 2026-10" in quiet.empty
    misspelt = export(bucket, replace(request, account="acne"), now=AFTER + 80 * (24 * HOUR))
    if compat:
        assert misspelt.rows == 0, "the peer writes an empty report"
    else:
        assert (misspelt.reason, "account 'acme': 2026-10" in misspelt.detail) == ("UsageMissing", True)


def test_a_running_period_is_refused_before_anything_is_read_and_forced_up_to_now():
    bucket = full_day()
    now = DAY + 6.5 * HOUR
    assert exported(bucket, now=now).reason == "BillingPeriodIncomplete"
    assert bucket.asked == []
    assert values(exported(bucket, now=now, force=True)) == list(range(1, 8))
