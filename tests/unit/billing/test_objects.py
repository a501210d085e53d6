"""What a segment becomes in the bucket."""

import gzip
import json

from keyless.billing.ledger.aggregate import events_untrusted, rows
from keyless.billing.ledger.model import Chain, ClockJump, ClockState, Gap, Link, Polled, Sample, Skipped, Unknown
from keyless.billing.ledger.objects import manifest_prefix
from unit.billing.samples import BUCKET, CTP1, NO_LINK, NOON, VPC, a_segment, seconds


def test_the_key_is_the_peers_prefix_then_namespace_sequence_and_content():
    usage = a_segment().usage
    assert usage.key.startswith("account=acme/date=2026-10-31/hour=12/mxp-706c49fa-system-0000000007-")
    assert usage.key.endswith(f"{usage.sha256[:16]}.json.gz")


def test_the_body_is_one_gzipped_json_array_of_the_peers_events():
    (event,) = json.loads(gzip.decompress(a_segment().usage.body))
    assert event == {
        "kind": "absolute",
        "name": "kube_managedresource_uid",
        "tags": {
            "customresource_group": "ec2.aws.upbound.io",
            "customresource_version": "v1beta1",
            "customresource_kind": "VPC",
            "upbound_account": "acme",
            "mxp_id": CTP1.id,
        },
        "timestamp": "2026-10-31T12:00:00Z",
        "timestamp_end": "2026-10-31T12:00:15Z",
        "value": 3.0,
    }


def test_the_same_segment_is_the_same_bytes_under_the_same_key():
    assert a_segment().usage == a_segment().usage


def test_a_count_that_changes_is_one_event_for_each_stretch_and_zero_is_data():
    segment = a_segment(
        Sample(NOON, {VPC: 2}),
        Sample(NOON + seconds(15), {VPC: 2}),
        Sample(NOON + seconds(30), {BUCKET: 1}),
        Sample(NOON + seconds(45), {BUCKET: 1}),
    )
    events = events_untrusted("key", segment.usage.body)
    found = [(e["tags"]["customresource_kind"], e["value"], e["timestamp_end"][-3:]) for e in events]
    assert sorted(found) == [("Bucket", 0.0, "30Z"), ("Bucket", 1.0, "45Z"), ("VPC", 0.0, "45Z"), ("VPC", 2.0, "30Z")]


def test_an_hour_without_managed_resources_is_an_empty_array():
    body = a_segment(Sample(NOON, {})).usage.body
    assert gzip.decompress(body) == b"[]"
    assert rows(NOON, NOON + seconds(3600), [("key", body)]) == []


def test_the_manifest_lies_outside_the_peers_prefix_and_names_the_objects_it_commits():
    segment = a_segment(gaps=(Gap(NOON - seconds(60), NOON, "CollectorStopped"),), census=(CTP1,))
    usage = segment.usage
    record = segment.manifest()
    document = json.loads(record.body)
    assert record.key.startswith(manifest_prefix("acme", NOON))
    assert not record.key.startswith("account=")
    assert document["objects"] == [{"key": usage.key, "sha256": usage.sha256, "bytes": len(usage.body), "events": 1}]
    assert document["gaps"][0]["reason"] == "CollectorStopped"
    assert [m["id"] for m in document["census"]] == [CTP1.id]
    assert (document["from"], document["to"]) == ("2026-10-31T12:00:00Z", "2026-10-31T12:00:15Z")


def document_of(segment, link=NO_LINK):
    return json.loads(segment.manifest(link).body)


def test_more_that_were_there_between_two_samples_are_an_event_of_their_own():
    segment = a_segment(Sample(NOON, {VPC: 1}), Sample(NOON + seconds(15), {VPC: 1}, peaks={VPC: 9}))
    events = events_untrusted("key", segment.usage.body)
    assert [(e["value"], e["timestamp"][-3:], e["timestamp_end"][-3:]) for e in events] == [
        (9.0, "00Z", "15Z"),
        (1.0, "00Z", "15Z"),
    ]


def test_a_kind_that_could_not_be_counted_is_a_gap_of_its_own_never_a_zero():
    why = Unknown(NOON + seconds(5), "Forbidden")
    segment = a_segment(
        Sample(NOON, {VPC: 1, BUCKET: 2}),
        Sample(NOON + seconds(15), {VPC: 1}, unknown={BUCKET: why}),
        Sample(NOON + seconds(30), {VPC: 1, BUCKET: 4}),
    )
    events = events_untrusted("key", segment.usage.body)
    assert sorted(e["value"] for e in events if e["tags"]["customresource_kind"] == "Bucket") == [2.0, 4.0]
    assert document_of(segment)["gaps"] == [
        {
            "from": "2026-10-31T12:00:05Z",
            "to": "2026-10-31T12:00:30Z",
            "reason": "Forbidden",
            "kinds": [{"group": BUCKET.group, "version": BUCKET.version, "kind": BUCKET.kind}],
            "detail": "",
        }
    ]


def test_the_manifest_tells_its_place_in_the_chain_the_clock_and_what_was_polled():
    clock = ClockState(seconds(-3), (ClockJump(NOON, seconds(3600)),))
    segment = a_segment(Sample(NOON, {}), clock, Polled(300, 60), Sample(NOON + seconds(45), {}))
    document = document_of(segment, Link("spool-1", Chain.UNKNOWN, skipped=(Skipped(6, "SpoolDamaged"),)))
    assert (document["spool"], document["chain"], document["previousManifestSha256"]) == ("spool-1", "Unknown", "")
    assert document["skipped"] == [{"sequence": 6, "reason": "SpoolDamaged"}]
    assert document["clock"] == {"offsetMs": -3000, "jumps": [{"at": "2026-10-31T12:00:00Z", "ms": 3600000}]}
    assert document["polled"] == {"kinds": 300, "everySeconds": 60}
    assert (document["intervals"], document["intervalsSampled"], document["longestMs"]) == (4, 2, 45000)
