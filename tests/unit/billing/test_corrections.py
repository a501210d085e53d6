"""What is stored after its hour was closed changes nothing silently: it is a revision, and is shown as one."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Refusal
from keyless.billing.export.plan import Request, period_of
from keyless.billing.export.recomputing import recomputed
from keyless.billing.export.service import export
from keyless.billing.ledger.completeness import manifest_untrusted
from keyless.billing.ledger.corrections import GRACE, closed_until, corrections, revisions
from keyless.billing.report.service import Asked, report_of
from keyless.billing.report.teams import DEFAULT
from unit.billing.bucket import MemoryBucket, manifest_document, manifest_entry, text
from unit.billing.samples import BUCKET, VPC
from unit.billing.teams_bucket import HOUR, Filler

DAY = datetime(2026, 10, 31, tzinfo=UTC)
END = DAY + timedelta(days=1)
NOW = END + timedelta(days=3)
LATE = END + timedelta(hours=5)
MINUTE = timedelta(minutes=1)


def a_day(*, late: datetime | None, second: int = 9) -> MemoryBucket:
    """A day of two control planes; of 12 h the second half is stored at ``late`` (None: not at all)."""
    bucket = MemoryBucket()
    first, other = Filler(bucket, 0, DAY), Filler(bucket, 1, DAY)
    for number in range(24):
        hour = DAY + number * HOUR
        other.hour(hour, [(BUCKET, "search", 1)], stored_at=hour + HOUR)
        if number != 12:
            first.hour(hour, [(VPC, "payments", 4)], stored_at=hour + HOUR + GRACE)
            continue
        first.hour(hour, [(VPC, "payments", 4)], part=(0, 0.5), stored_at=hour + HOUR)
        if late is not None:
            first.hour(hour, [(VPC, "payments", second), (BUCKET, "payments", 2)], part=(0.5, 1), stored_at=late)
    return bucket


def exported(bucket: MemoryBucket, **changes):
    made = export(bucket, Request("acme", period_of("", "2026-10-31/2026-10-31"), False, **changes), now=NOW)
    assert not isinstance(made, Refusal), made
    return made


def members(pieces: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(pieces)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar}


def reported(bucket: MemoryBucket, output: str = "json", *by: str, **changes):
    values = {
        "accounts": ("acme",),
        "period": (DAY, END),
        "zone": ZoneInfo("UTC"),
        "by": by or ("revision",),
        "meter": "managed",
        "rules": DEFAULT,
    }
    made = report_of(bucket, Asked(**values | changes), output, now=NOW, wrap=dict)
    assert not isinstance(made, Refusal), made
    return json.loads(made) if output == "json" else made


def quantities(document):
    return {tuple(line["values"]): line["maximumResourceHours"] for line in document["lines"]}


def test_a_segment_after_the_closing_is_the_hours_second_revision_and_sums_are_the_same():
    bucket = a_day(late=LATE)
    found = reported(bucket)
    # 24 h of four and one; late: five more of the four, and two buckets.
    assert quantities(found) == {("r1",): 24 * 4 + 24, ("r2",): 5 + 2}
    assert found["total"]["maximumResourceHours"] == 24 * 5 + 7
    assert reported(bucket, "json", "team")["total"] == found["total"]
    assert found["corrections"] == [
        {
            "controlPlane": "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065",
            "group": "default",
            "name": "ctp1",
            "hour": "2026-10-31T12:00:00Z",
            "revision": "r2",
            "storedAt": "2026-11-01T05:00:00Z",
            "segments": 1,
        }
    ]
    assert found["closedUntil"] == "2026-11-01T00:00:00Z"
    text = reported(bucket, "text")
    assert "2026-10-31T12:00:00Z to 2026-10-31T13:00:00Z: r2, stored at 2026-11-01T05:00:00Z in 1 segment\n" in text
    assert "hours are closed up to 2026-11-01T00:00:00Z" in text
    assert "<h3>Corrections</h3>" in reported(bucket, "html")


@pytest.mark.parametrize("late", [DAY + 13 * HOUR + GRACE, None])
def test_what_comes_before_the_closing_or_never_corrects_nothing(late):
    found = reported(a_day(late=late), force_incomplete=late is None)
    assert found["corrections"] == []
    assert {line["values"][0] for line in found["lines"]} == {"r1"}


def test_focus_calls_it_a_correction_only_where_its_month_was_closed():
    def classes(late):
        rows = csv.DictReader(io.StringIO(reported(a_day(late=late), "focus")))
        return {(row["ChargeClass"], int(float(row["ConsumedQuantity"]))) for row in rows}

    assert classes(END + GRACE) == {("", 24), ("", 24 * 4 + 5), ("", 2)}
    assert classes(LATE) == {("", 24), ("", 24 * 4), ("Correction", 5), ("Correction", 2)}


def test_an_export_says_what_a_report_lacked_that_was_made_when_the_period_was_closed():
    made = exported(a_day(late=LATE))
    told = json.loads(members(b"".join(made.archive))["report/completeness.json"])
    [correction] = told["corrections"]
    assert (correction["revision"], correction["hour"]) == ("r2", "2026-10-31T12:00:00Z")
    assert correction["rows"] == [
        {"group": VPC.group, "version": VPC.version, "kind": "VPC", "was": 4, "is": 9},
        {"group": BUCKET.group, "version": BUCKET.version, "kind": "Bucket", "was": 0, "is": 2},
    ]
    assert [each.revision for each in made.corrections] == [2]


def test_a_complete_report_of_usage_that_came_before_its_period_was_closed_is_the_peers():
    # Four hours late, yet before anybody could have a whole report of the day.
    assert set(members(b"".join(exported(a_day(late=DAY + 17 * HOUR)).archive))) == {
        "report/meta.json",
        "report/usage.json",
    }


def test_a_report_made_before_a_correction_is_still_proven_and_the_correction_named():
    before = a_day(late=None)
    request = Request("acme", period_of("", "2026-10-31/2026-10-31"), True)
    old = b"".join(export(before, request, now=NOW).archive)
    after = a_day(late=LATE)
    found = recomputed(after, "r.tgz", old, "acme", now=NOW)
    assert found.differs == ""
    assert [(each.revision, each.stored_at) for each in found.later] == [(2, LATE)]
    new = b"".join(exported(after).archive)
    assert recomputed(after, "r.tgz", new, "acme", now=NOW).later == ()
    assert recomputed(a_day(late=LATE, second=8), "r.tgz", new, "acme", now=NOW).differs


def covered(bucket, hour=12):
    return [
        manifest_untrusted(key, body)
        for key, body in sorted(bucket.objects.items())
        if key.startswith("manifest/account=") and f"hour={hour:02}/mxp-706c" in key
    ]


@pytest.mark.parametrize(
    ("after_closing", "expected"),
    [
        ([0, 0], [1, 1]),
        ([0, 1], [1, 2]),
        ([1, 16], [2, 2]),
        ([1, 17], [2, 3]),
        ([17, 1], [3, 2]),
        ([40, 1, 41, 90, 0], [3, 2, 3, 4, 1]),
    ],
)
def test_a_spool_that_is_emptied_is_one_revision_and_the_next_one_another(after_closing, expected):
    bucket = MemoryBucket()
    filler, closes = Filler(bucket, 0, DAY), DAY + HOUR + GRACE
    for number, minutes in enumerate(after_closing):
        part = number / len(after_closing), (number + 1) / len(after_closing)
        filler.hour(DAY, [(VPC, None, 1)], part=part, stored_at=closes + minutes * MINUTE)
    found = covered(bucket, 0)
    assert revisions(DAY, found) == expected
    assert [each.revision for each in corrections(found)] == list(range(2, max(expected) + 1))


@effort(15)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60 * 6)), min_size=1, max_size=5))
def test_revisions_add_up_to_the_report_whatever_came_when(segments):
    bucket = MemoryBucket()
    filler = Filler(bucket, 0, DAY)
    for number, (count, minutes) in enumerate(segments):
        part = number / len(segments), (number + 1) / len(segments)
        filler.hour(DAY, [(VPC, "a", count), (BUCKET, "b", 3 - count)], part=part, stored_at=DAY + minutes * MINUTE)
    asked = {"period": (DAY, DAY + HOUR), "meter": "all", "force_incomplete": True}
    whole, parts = reported(bucket, "json", "kind", **asked), reported(bucket, "json", "kind", "revision", **asked)
    assert parts["total"] == whole["total"]
    sums: dict[str, int] = {}
    for (kind, _), value in quantities(parts).items():
        sums[kind] = sums.get(kind, 0) + value
    assert {kind: n for kind, n in sums.items() if n} == {k: n for (k,), n in quantities(whole).items() if n}


def test_the_watermark_is_a_quarter_of_an_hour_behind_what_is_stored():
    assert closed_until(DAY + 14 * MINUTE) == DAY - HOUR
    assert closed_until(DAY + 15 * MINUTE) == DAY
    bucket = MemoryBucket()
    filler = Filler(bucket, 0, DAY)
    for number in range(2):
        filler.hour(DAY + number * HOUR, [(VPC, None, 1)])
    found = reported(bucket, force_incomplete=True)
    assert found["closedUntil"] == "2026-10-31T01:00:00Z"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.none() | st.integers(-90, 300)), max_size=12))
@effort(60)
def test_hours_without_a_late_segment_change_nothing_of_those_with_one(told):
    def covered(number, plane, hour, minutes):
        start = DAY + timedelta(hours=hour)
        at = None if minutes is None else start + timedelta(hours=1, minutes=minutes)
        receipts = [] if at is None else [{"key": "k", "requestId": "r", "session": "", "at": text(at)}]
        document = manifest_document(
            start, start + timedelta(hours=1), plane=f"plane-{plane}", sequence=number, receipts=receipts
        )
        return manifest_untrusted(*manifest_entry(document))

    found = [covered(number, *each) for number, each in enumerate(told)]
    places = {(each.start, each.control_plane.id) for each in found}
    apart = [
        correction
        for place in sorted(places)
        for correction in corrections([each for each in found if (each.start, each.control_plane.id) == place])
    ]
    assert list(corrections(found)) == apart
    late = [minutes for _, _, minutes in told if minutes is not None and minutes > GRACE / MINUTE]
    assert sum(each.segments for each in apart) == len(late)
