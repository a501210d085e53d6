"""The peer's report: its two members, its bytes, and the third that ours may have."""

import gzip
import io
import json
import tarfile
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.ledger.aggregate import Row
from keyless.billing.ledger.completeness import Missing
from keyless.billing.ledger.integrity import Fault
from keyless.billing.ledger.model import HOUR, stamp
from keyless.billing.ledger.report_file import completeness_document, report, usage
from unit.billing.samples import CTP1, NOON, VPC

ROW = Row(NOON, CTP1.id, VPC, NOON + HOUR, 3)


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


def test_a_report_with_something_to_say_has_a_third_member_that_says_it():
    told = completeness_document([], [Missing(CTP1, NOON, NOON + HOUR, "NotCovered", (VPC,))], [Fault("k", "r", "d")])
    archive = gzip.decompress(report("acme", (NOON, NOON + HOUR), [ROW], collected_at=NOON, completeness=told))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert [m.name for m in opened.getmembers()][2:] == ["report/completeness.json"]
        document = json.load(opened.extractfile("report/completeness.json"))
    assert document["missing"][0]["from"] == "2026-10-31T12:00:00Z"
    assert document["notCounted"] == [{"object": "k", "reason": "r", "detail": "d"}]
    assert completeness_document([], [], []) == b""


@effort(30)
@given(st.integers(0, 300), st.sampled_from(["acme", 'a"<>&\u2028é', "\\"]), st.integers(1, 2**53))
def test_however_many_rows_there_are_the_archive_is_what_gos_writer_would_make(count, name, value):
    rows = [Row(NOON + n % 5 * HOUR, f"{name}-{n % 7}", VPC, NOON + (n % 5 + 1) * HOUR, value) for n in range(count)]
    with tarfile.open(fileobj=io.BytesIO(report(name, (NOON, NOON + HOUR), rows, collected_at=NOON))) as opened:
        text = opened.extractfile("report/usage.json").read()
    lines = [
        json.dumps(
            {
                "name": "max_resource_count_per_gvk_per_mxp",
                "tags": {
                    "customresource_group": row.gvk.group,
                    "customresource_version": row.gvk.version,
                    "customresource_kind": row.gvk.kind,
                    "upbound_account": name,
                    "mxp_id": row.mxp_id,
                },
                "timestamp": stamp(row.start),
                "timestamp_end": stamp(row.end),
                "value": row.value,
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )
        for row in rows
    ]
    plain = "[" + ",".join("\n" + line for line in lines) + "\n]\n"
    for character in "<>&\u2028\u2029":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    assert text.decode() == plain
