"""Two reports as one: the larger number counts, in any order and however often; a report that is none is refused."""

from __future__ import annotations

import gzip
import os
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent, Refusal
from keyless.billing.export import output
from keyless.billing.export.plan import Request, period_of
from keyless.billing.export.recomputing import recomputed
from keyless.billing.export.service import export
from keyless.billing.export.updating import FileTarget, ObjectTarget, update
from keyless.billing.ledger.merging import merged, written
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.report_reading import ReadReport, report_untrusted
from unit.billing.bucket import DAY, HOUR, MemoryBucket, full_day

START = datetime(2026, 10, 1, tzinfo=UTC)
NOW = DAY + timedelta(days=5)
KINDS = [("p1", "g", "v1", "A"), ("p1", "g", "v1", "B"), ("p2", "<g>", "v1", "Ä")]


def hours(first, last):
    return st.dictionaries(
        st.tuples(st.integers(first, last - 1), st.sampled_from(KINDS)), st.integers(1, 50), max_size=8
    ).map(lambda rows: {(START + h * HOUR, START + (h + 1) * HOUR, kind): n for (h, kind), n in rows.items()})


def gap(first, last, plane="p1"):
    times = {"from": f"{START + first * HOUR:%Y-%m-%dT%H:%M:%SZ}", "to": f"{START + last * HOUR:%Y-%m-%dT%H:%M:%SZ}"}
    return {"controlPlane": plane, "group": "g", "name": "n", **times, "reason": "NotCovered", "kinds": []}


@st.composite
def reports(draw):
    first = draw(st.integers(0, 20))
    last = draw(st.integers(22, 40))  # a gap below is two hours long and lies inside
    missing = draw(st.lists(st.tuples(st.integers(first, last - 2), st.sampled_from(["p1", "p2"])), max_size=2))
    told = {"waivers": [], "missing": [gap(at, at + 2, plane) for at, plane in missing], "notCounted": []}
    return ReadReport(
        "acme",
        START + first * HOUR,
        START + last * HOUR,
        START + timedelta(days=30, seconds=draw(st.integers(0, 9))),
        draw(hours(first, last)),
        told if missing else {},
    )


def as_bytes(report):
    return b"".join(written(report))


@effort(40)
@given(reports(), reports())
def test_the_order_of_two_reports_does_not_matter_nor_how_often(one, other):
    both = as_bytes(merged(one, other))
    assert as_bytes(merged(other, one)) == both
    again = report_untrusted("both", both)
    assert as_bytes(merged(again, other)) == both == as_bytes(again)
    largest = {place: max(one.rows.get(place, 0), other.rows.get(place, 0)) for place in {**one.rows, **other.rows}}
    assert again.rows == largest


@effort(40)
@given(reports(), reports())
def test_what_is_missing_afterwards_is_what_neither_has(one, other):
    def lacks(report, plane, hour):
        at = START + hour * HOUR
        if not report.start <= at < report.end:
            return True
        told = (g for g in report.completeness.get("missing", ()) if g["controlPlane"] == plane)
        return any(datetime.fromisoformat(g["from"]) <= at < datetime.fromisoformat(g["to"]) for g in told)

    both = merged(one, other)
    for plane in ("p1", "p2"):
        for hour in range(40):
            mentioned = any(r.start <= START + hour * HOUR < r.end and lacks(r, plane, hour) for r in (one, other))
            expected = mentioned and lacks(one, plane, hour) and lacks(other, plane, hour)
            inside = both.start <= START + hour * HOUR < both.end
            assert (inside and lacks(both, plane, hour)) == expected


def day_report(hours_of_usage=range(24), *, day="2026-10-31"):
    full = full_day()
    bucket = MemoryBucket({k: v for k, v in full.objects.items() if any(f"hour={h:02}" in k for h in hours_of_usage)})
    return b"".join(export(bucket, Request("acme", period_of("", f"{day}/{day}"), True), now=NOW).archive)


def test_a_new_target_is_the_source_and_a_fuller_report_fills_the_gap(tmp_path):
    part, whole = tmp_path / "part.tgz", tmp_path / "whole.tgz"
    part.write_bytes(day_report(range(12)))
    whole.write_bytes(day_report())
    target = tmp_path / "target.tgz"
    update(FileTarget(target), part, force_incomplete=False)
    assert gzip.decompress(target.read_bytes()) == gzip.decompress(part.read_bytes())
    made = update(FileTarget(target), whole, force_incomplete=False)
    assert not made.completeness.get("missing")
    assert report_untrusted("t", target.read_bytes()).rows == report_untrusted("w", whole.read_bytes()).rows
    assert sorted(os.listdir(tmp_path)) == ["part.tgz", "target.tgz", "whole.tgz"]


def test_reports_that_do_not_touch_are_merged_only_by_force_and_the_hole_is_told(tmp_path):
    target, source = tmp_path / "t.tgz", tmp_path / "s.tgz"
    first = ReadReport("acme", START, START + 2 * HOUR, START, {})
    target.write_bytes(as_bytes(first))
    source.write_bytes(as_bytes(ReadReport("acme", START + 5 * HOUR, START + 6 * HOUR, START, {})))
    refused = update(FileTarget(target), source, force_incomplete=False)
    assert isinstance(refused, Refusal)
    assert "from 2026-10-01T02:00:00Z to 2026-10-01T05:00:00Z" in refused.detail
    assert target.read_bytes() == as_bytes(first)
    made = update(FileTarget(target), source, force_incomplete=True)
    [hole] = made.completeness["missing"]
    assert (hole["from"], hole["to"], hole["reason"]) == (
        "2026-10-01T02:00:00Z", "2026-10-01T05:00:00Z", "NotInEitherReport",
    )  # fmt: skip


def test_another_accounts_report_is_refused(tmp_path):
    target, source = tmp_path / "t.tgz", tmp_path / "s.tgz"
    target.write_bytes(as_bytes(ReadReport("acme", START, START + HOUR, START)))
    source.write_bytes(as_bytes(ReadReport("beta", START, START + HOUR, START)))
    with pytest.raises(Permanent, match=r"s\.tgz: expected a report of account 'acme', found one of 'beta'"):
        update(FileTarget(target), source, force_incomplete=False)


class KilledHere(BaseException):
    pass


@pytest.mark.parametrize("step", ["tempfile.mkstemp", "os.fdopen", "os.fsync", "Path.chmod", "Path.replace", "after"])
def test_an_update_killed_at_any_step_leaves_the_old_report_or_the_new_one(tmp_path, monkeypatch, step):
    target, source = tmp_path / "t.tgz", tmp_path / "s.tgz"
    old = as_bytes(ReadReport("acme", START, START + HOUR, START))
    target.write_bytes(old)
    source.write_bytes(as_bytes(ReadReport("acme", START, START + 2 * HOUR, START, {})))

    def killed(*_, **__):
        raise KilledHere

    with monkeypatch.context() as patched:
        if step != "after":
            patched.setattr(f"keyless.billing.export.output.{step}", killed)
            with pytest.raises(KilledHere):
                update(FileTarget(target), source, force_incomplete=False)
            assert target.read_bytes() == old
    made = update(FileTarget(target), source, force_incomplete=False)
    assert target.read_bytes() == as_bytes(made) != old


def test_a_full_disk_leaves_the_old_report_and_nothing_else(tmp_path, monkeypatch):
    target, source = tmp_path / "t.tgz", tmp_path / "s.tgz"
    source.write_bytes(as_bytes(ReadReport("acme", START, START + HOUR, START)))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.os, "fsync", full)
    with pytest.raises(Permanent, match="No space left"):
        update(FileTarget(target), source, force_incomplete=False)
    assert os.listdir(tmp_path) == ["s.tgz"]


class Shelf:
    """A bucket with versions; ``between`` happens after the report was read."""

    def __init__(self):
        self.held, self.between = {}, None

    def etag(self, key):
        return str(hash(self.held[key])) if key in self.held else None

    def get(self, key):
        return self.held[key]

    def put_if(self, key, body, etag):
        if self.between:
            self.between()
        if self.etag(key) != etag:
            raise Permanent(f"{key}: somebody has written it meanwhile: run the same command again")
        self.held[key] = body


def test_of_two_updates_of_one_object_at_once_one_is_refused_and_nothing_is_lost(tmp_path):
    shelf, source = Shelf(), tmp_path / "s.tgz"
    source.write_bytes(as_bytes(ReadReport("acme", START, START + HOUR, START)))
    update(ObjectTarget(shelf, "reports/2026.tgz"), source, force_incomplete=False)
    others = as_bytes(ReadReport("acme", START, START + 9 * HOUR, START))
    shelf.between = lambda: shelf.held.update({"reports/2026.tgz": others})
    with pytest.raises(Permanent, match="run the same command again"):
        update(ObjectTarget(shelf, "reports/2026.tgz"), source, force_incomplete=False)
    assert shelf.held["reports/2026.tgz"] == others


@pytest.mark.parametrize("key", ["account=acme/x.tgz", "manifest/x", "waiver/x", ""])
def test_no_report_is_put_where_usage_is_stored(key):
    with pytest.raises(Permanent, match="expected a key of its own"):
        ObjectTarget(Shelf(), key)


WHOLE = day_report(range(20))


@effort(60)
@given(st.data())
def test_a_corrupted_report_is_refused_with_its_name_or_read_but_never_breaks_anything(data):
    tar = bytearray(gzip.decompress(WHOLE))
    packed = data.draw(st.booleans(), "in the gzip")
    body = bytearray(WHOLE) if packed else tar
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "double", "digit"]))
        if how == "flip":
            body[at] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "cut":
            del body[at : at + data.draw(st.sampled_from([40, 512, len(body)]))]
        elif how == "double":
            body[at:at] = body[at : at + 512]
        else:
            body[at] = 0x39
        if not body:
            break
    spoilt = bytes(body) if packed else gzip.compress(bytes(body), mtime=0)
    # Whatever else is raised fails the test.
    with suppress(Malformed):
        assert report_untrusted("r.tgz", spoilt).account
    with suppress(Malformed):
        assert recomputed(MemoryBucket({}), "r.tgz", spoilt, "acme", now=NOW).differs


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "expected a gzipped report"),
        (b"PK\x03\x04", "expected a gzipped report"),
        (gzip.compress(b""), "expected the end of the tar"),
        (gzip.compress(bytes(1024)), "expected report/meta.json and report/usage.json, found nothing"),
        (WHOLE[:-300], "cut off"),
        (gzip.compress(gzip.decompress(WHOLE)[:-1024]), "expected the end of the tar"),
        (gzip.compress(gzip.decompress(WHOLE).replace(b'"value":3}', b'"value":-}')), "expected a report of usage"),
        (gzip.compress(gzip.decompress(WHOLE).replace(b'"value":3}', b'"value":0}')), "event 2: value: expected"),
        (gzip.compress(gzip.decompress(WHOLE).replace(b'"acme","mxp', b'"beta","mxp')), "expected account 'acme'"),
        (gzip.compress(gzip.decompress(WHOLE).replace(b"_count_per", b"_total_per")), "event 0: expected max_resource"),
    ],
)
def test_what_is_no_report_is_told_by_its_place(body, said):
    with pytest.raises(Malformed, match=said):
        report_untrusted("r.tgz", body)


def test_a_report_that_inflates_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("keyless.billing.ledger.report_reading.INFLATED_LIMIT", 1000)
    bomb = zlib.compressobj(9, wbits=31)
    with pytest.raises(Malformed, match="expected at most 1000 bytes"):
        report_untrusted("r.tgz", bomb.compress(bytes(10**6)) + bomb.flush())
