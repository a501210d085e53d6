"""What a segment becomes in the bucket."""

import gzip
import json

from keyless.billing.ledger.aggregate import events_untrusted, rows
from keyless.billing.ledger.model import Gap, Sample
from keyless.billing.ledger.objects import count_events, manifest, manifest_prefix, usage_object
from unit.billing.samples import BUCKET, CTP1, NOON, VPC, a_segment, seconds


def test_the_key_is_the_peers_prefix_then_namespace_sequence_and_content():
    usage = usage_object(a_segment())
    assert usage.key.startswith("account=acme/date=2026-10-31/hour=12/mxp-706c49fa-system-0000000007-")
    assert usage.key.endswith(f"{usage.sha256[:16]}.json.gz")


def test_the_body_is_one_gzipped_json_array_of_the_peers_events():
    (event,) = json.loads(gzip.decompress(usage_object(a_segment()).body))
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
    assert usage_object(a_segment()) == usage_object(a_segment())


def test_a_count_that_changes_is_one_event_for_each_stretch_and_zero_is_data():
    segment = a_segment(
        Sample(NOON, {VPC: 2}),
        Sample(NOON + seconds(15), {VPC: 2}),
        Sample(NOON + seconds(30), {BUCKET: 1}),
        Sample(NOON + seconds(45), {BUCKET: 1}),
    )
    events = events_untrusted("key", usage_object(segment).body)
    found = [(e["tags"]["customresource_kind"], e["value"], e["timestamp_end"][-3:]) for e in events]
    assert found == [("VPC", 2.0, "30Z"), ("VPC", 0.0, "45Z"), ("Bucket", 0.0, "30Z"), ("Bucket", 1.0, "45Z")]


def test_an_hour_without_managed_resources_is_an_empty_array():
    body = usage_object(a_segment(Sample(NOON, {}))).body
    assert gzip.decompress(body) == b"[]"
    assert rows(NOON, NOON + seconds(3600), [("key", body)]) == []


def test_the_manifest_lies_outside_the_peers_prefix_and_names_the_objects_it_commits():
    segment = a_segment(gaps=(Gap(NOON - seconds(60), NOON, "CollectorStopped"),), census=(CTP1,))
    usage = usage_object(segment)
    record = manifest(segment, usage, events=count_events(segment), previous="")
    document = json.loads(record.body)
    assert record.key.startswith(manifest_prefix("acme", NOON))
    assert not record.key.startswith("account=")
    assert document["objects"] == [{"key": usage.key, "sha256": usage.sha256, "bytes": len(usage.body), "events": 1}]
    assert document["gaps"][0]["reason"] == "CollectorStopped"
    assert [m["id"] for m in document["census"]] == [CTP1.id]
    assert (document["from"], document["to"]) == ("2026-10-31T12:00:00Z", "2026-10-31T12:00:15Z")
