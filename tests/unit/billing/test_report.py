"""The peer's report: aggregation, the archive, completeness."""

import gzip
import io
import json
import tarfile
from datetime import UTC, datetime, timedelta

import pytest

from keyless.billing.export.plan import Request, hours, period_of, refusal
from keyless.billing.ledger.aggregate import Row, events_untrusted, rows
from keyless.billing.ledger.completeness import NO_MANIFEST, NOT_COVERED, Missing, manifest_untrusted, missing
from keyless.billing.ledger.model import HOUR, Gap, Malformed, Sample
from keyless.billing.ledger.objects import manifest, usage_object
from keyless.billing.ledger.report_file import report, tar, usage
from unit.billing.samples import CTP1, CTP2, NOON, VPC, a_segment, seconds

ROW = Row(NOON, CTP1.id, VPC, NOON + HOUR, 3)


def an_event(**changes):
    tags = {
        "customresource_group": VPC.group,
        "customresource_version": VPC.version,
        "customresource_kind": VPC.kind,
        "mxp_id": CTP1.id,
    } | changes.pop("tags", {})
    return {"name": "kube_managedresource_uid", "tags": tags, "value": 3} | changes


def body(*events):
    return json.dumps(list(events)).encode()


def test_the_largest_value_of_the_hour_counts_however_often_an_object_is_repeated():
    objects = [("a", body(an_event(value=2.9))), ("b", body(an_event(value=5))), ("b", body(an_event(value=5)))]
    assert rows(NOON, NOON + HOUR, objects) == [Row(NOON, CTP1.id, VPC, NOON + HOUR, 5)]


def test_a_value_of_zero_emits_no_row():
    assert rows(NOON, NOON + HOUR, [("a", body(an_event(value=0)))]) == []


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (an_event(name="other"), "expected event name kube_managedresource_uid, got other"),
        (an_event(tags={"mxp_id": ""}), "MXPID tag is empty"),
        (an_event(tags={"customresource_group": ""}), "Group tag is empty"),
        (an_event(tags={"customresource_version": ""}), "Version tag is empty"),
        (an_event(tags={"customresource_kind": ""}), "Kind tag is empty"),
        (an_event(value="3"), "expected a number"),
        ("text", "expected event name"),
    ],
)
def test_an_event_that_breaks_the_contract_names_its_object(event, said):
    with pytest.raises(Malformed, match=f"some/key: {said}"):
        rows(NOON, NOON + HOUR, [("some/key", body(event))])


_PACKED = gzip.compress(b"[]", mtime=0)


@pytest.mark.parametrize("data", [b"", b"[1,", b"{}", b"[]x", _PACKED[:-4], _PACKED + b"x"])
def test_a_body_cut_short_or_trailed_by_garbage_is_refused_not_passed_over(data):
    with pytest.raises(Malformed, match="key: expected a JSON array of events"):
        events_untrusted("key", data)


def test_the_archive_is_two_members_and_exactly_two_zero_blocks():
    archive = gzip.decompress(
        report("acme", (NOON, NOON + HOUR), [ROW], collected_at=NOON + timedelta(microseconds=120))
    )
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert [m.name for m in opened.getmembers()] == ["report/meta.json", "report/usage.json"]
        assert {(m.mode, m.mtime, m.uid) for m in opened.getmembers()} == {(0o644, 0, 0)}
        meta = json.load(opened.extractfile("report/meta.json"))
    assert meta == {
        "account": "acme",
        "time_range": {"start": "2026-10-31T12:00:00Z", "end": "2026-10-31T13:00:00Z"},
        "collected_at": "2026-10-31T12:00:00.00012Z",
    }
    assert archive.endswith(bytes(1024))
    assert archive[-1025] != 0 or archive[-1536:-1024].strip(b"\0")
    assert len(archive) % 512 == 0


def test_usage_is_one_compact_event_a_line_escaped_as_go_does():
    text = usage("a<b>&c", [ROW]).decode()
    assert text.startswith('[\n{"name":"max_resource_count_per_gvk_per_mxp","tags":{"customresource_group":')
    assert '"upbound_account":"a\\u003cb\\u003e\\u0026c"' in text
    assert text.endswith('"value":3}\n]\n')
    assert usage("acme", []) == b"[\n]\n"


def test_the_tar_is_read_by_pythons_own_reader():
    with tarfile.open(fileobj=io.BytesIO(tar({"x": b"1" * 700}))) as opened:
        assert opened.extractfile("x").read() == b"1" * 700


def covered(start, end, member=CTP1, **changes):
    from unit.billing.samples import a_source

    segment = a_segment(Sample(start, {}), Sample(end, {}), source=a_source(control_plane=member), **changes)
    record = manifest(segment, usage_object(segment), events=0, previous="")
    return manifest_untrusted(record.key, record.body)


def test_manifests_that_join_leave_nothing_missing():
    found = [covered(NOON, NOON + seconds(1800)), covered(NOON + seconds(1815), NOON + HOUR - seconds(5))]
    assert missing((NOON, NOON + HOUR), found) == []


def test_a_hole_between_manifests_is_missing_with_the_collectors_own_word():
    gap = Gap(NOON + seconds(600), NOON + seconds(1200), "CollectorStopped")
    found = [covered(NOON, NOON + seconds(600)), covered(NOON + seconds(1200), NOON + HOUR, gaps=(gap,))]
    assert missing((NOON, NOON + HOUR), found) == [
        Missing(CTP1, NOON + seconds(600), NOON + seconds(1200), "CollectorStopped")
    ]


def test_a_member_of_the_census_that_never_wrote_is_missing_from_its_birth():
    found = [covered(NOON, NOON + HOUR, census=(CTP1, CTP2))]
    assert missing((NOON, NOON + HOUR), found) == [Missing(CTP2, NOON, NOON + HOUR, NO_MANIFEST)]


def test_a_collector_that_went_silent_is_missing_to_the_end():
    assert missing((NOON, NOON + HOUR), [covered(NOON, NOON + seconds(60))]) == [
        Missing(CTP1, NOON + seconds(60), NOON + HOUR, NOT_COVERED)
    ]


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"version":9}', b'{"version":1,"controlPlane":{}}'])
def test_a_manifest_that_is_none_names_its_key(text):
    with pytest.raises(Malformed, match="m/key: expected"):
        manifest_untrusted("m/key", text)


def test_a_month_and_a_range_of_days_are_half_open_periods():
    assert period_of("2026-12", "") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert period_of("", "2026-10-30/2026-10-31")[1] == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "custom", "said"),
    [
        ("", "", "expected one of"),
        ("2026-10", "2026-10-01/2026-10-02", "expected one of"),
        ("2026-13", "", "invalid format"),
        ("", "2026-10-01", "invalid format"),
        ("", "2026-10-02/2026-09-01", "at least 1h"),
    ],
)
def test_a_period_that_is_none_is_said_in_the_peers_words(month, custom, said):
    with pytest.raises(ValueError, match=said):
        period_of(month, custom)


def test_only_hours_that_have_begun_are_read():
    assert list(hours((NOON, NOON + 3 * HOUR), NOON + seconds(3700))) == [NOON, NOON + HOUR]


def test_a_running_period_is_refused_and_forced():
    request = Request("acme", (NOON, NOON + HOUR), force_incomplete=False)
    assert refusal(request, [], NOON + seconds(1)).reason == "BillingPeriodIncomplete"
    assert refusal(Request("acme", (NOON, NOON + HOUR), force_incomplete=True), [], NOON + seconds(1)) is None


def test_missing_usage_is_refused_by_name_and_a_complete_period_is_not():
    request = Request("acme", (NOON, NOON + HOUR), force_incomplete=False)
    lacking = [Missing(CTP1, NOON, NOON + seconds(60), "CollectorStopped")]
    refused = refusal(request, lacking, NOON + HOUR)
    assert refused.reason == "UsageMissing"
    assert "default/ctp1" in refused.detail
    assert "CollectorStopped" in refused.detail
    assert refusal(request, [], NOON + HOUR) is None
