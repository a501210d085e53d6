"""What changed since a report: what it was is what the report said, what it is is what a report says now."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Refusal
from keyless.billing.ledger.frames import head_untrusted
from keyless.billing.ledger.model import Malformed
from keyless.billing.ledger.signed import Signature, Statement
from keyless.billing.report.prices import prices_untrusted
from keyless.billing.report.service import changes_of
from keyless.billing.report.since import earlier_untrusted
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import VPC
from unit.billing.teams_bucket import HOUR, Filler
from unit.billing.test_usage_report import NOW, START, asked, made

HOURS = 4
PERIOD = (START, START + HOURS * HOUR)
PRICES = prices_untrusted("p", 'prices: [{currency: EUR, tiers: [{upTo: 9, price: "0.333"}, {price: "0.1"}]}]')
IN_TIME = timedelta(minutes=80)
SHEET = {"prices": PRICES, "period": PERIOD}


def reported(bucket, **changes):
    """A report, as it lies in a file."""
    found = made(bucket, "team", **SHEET | changes)
    assert not isinstance(found, Refusal), found.detail
    return {"kind": "UsageReport", **found}


def changed(bucket, earlier, output="json", by=("team",), **changes):
    read = earlier_untrusted("september.json", json.dumps(earlier).encode())
    found = changes_of(bucket, asked(*by, accounts=read.accounts, **SHEET | changes), read, output, now=NOW, wrap=dict)
    if isinstance(found, Refusal):
        return found
    return json.loads(found) if output == "json" else found


@st.composite
def stored(draw):
    """Parts of hours: of which control plane, when S3 took them, what was there; and how many a report knew."""
    found = []
    for hour in range(HOURS):
        for plane in range(2):
            cut = draw(st.sampled_from([0.25, 0.5, 0.75]))
            for part in ((0, cut), (cut, 1)):
                late = draw(st.sampled_from([None, 0, 1, 5, 5.1, 30]))
                owned = [(VPC, draw(st.sampled_from(["a", "b", None])), draw(st.integers(0, 9)))]
                found.append((hour, plane, part, late, owned))
    # What is late comes last, whatever its hour.
    found.sort(key=lambda each: each[3] or 0)
    return found, draw(st.integers(0, len(found)))


def filled(parts):
    bucket = MemoryBucket()
    fillers = [Filler(bucket, number, START) for number in range(2)]
    for hour, plane, part, late, owned in parts:
        start = START + hour * HOUR
        at = start + IN_TIME + timedelta(days=late) if late else start + part[1] * HOUR
        fillers[plane].hour(start, owned, part=part, stored_at=at)
    return bucket


@effort(12)
@given(stored())
def test_was_is_what_the_report_said_and_is_what_one_says_now(given_parts):
    parts, known = given_parts
    before, after = filled(parts[:known]), filled(parts)
    # Nothing at all is no report; what is missing then was told, and was not counted.
    earlier, now = (reported(each, force_incomplete=True) for each in (before, after))
    found = changed(after, earlier, force_incomplete=True)
    assert {key: found[key] for key in now if key != "kind"} == {key: now[key] for key in now if key != "kind"}
    for side, report in (("was", earlier), ("is", now)):
        lines = {tuple(each["values"]): each for each in report["lines"]}
        for line in [*found["since"]["lines"], found["since"]["total"]]:
            told = lines.get(tuple(line["values"])) if "values" in line else report["total"]
            assert line["maximumResourceHours"][side] == (told or {}).get("maximumResourceHours", 0)
            assert Decimal(line["exactResourceHours"][side]) == Decimal((told or {}).get("exactResourceHours", 0))
            money = {each["currency"]: Decimal(each["amount"]) for each in (told or {}).get("costs", [])}
            found_money = {each["currency"]: Decimal(each[side]) for each in line["costs"]}
            assert found_money == dict.fromkeys(found_money, Decimal(0)) | money
    assert found["since"]["digest"] == earlier["digest"]


@effort(12)
@given(stored())
def test_every_segment_since_is_told_once_and_what_each_changed_adds_up(given_parts):
    parts, known = given_parts
    after = filled(parts)
    found = changed(after, reported(filled(parts[:known]), force_incomplete=True), force_incomplete=True)
    since = found["since"]
    assert sum(each["segments"] for each in since["stored"]) == len(parts) - known
    places = [(each["hour"], each["controlPlane"], each["revision"]) for each in since["stored"]]
    assert len(set(places)) == len(places)
    total = since["total"]["maximumResourceHours"]
    assert sum(each["maximumResourceHours"] for each in since["stored"]) == total["is"] - total["was"]
    late = {(each["hour"], each["controlPlane"], each["revision"]) for each in found["corrections"]}
    assert {place for place in places if place[2] != "r1"} <= late
    changes = [Decimal(each["exactResourceHours"]["change"]) for each in since["lines"]]
    assert sum(changes) == Decimal(since["total"]["exactResourceHours"]["change"])


def one_late():
    bucket = MemoryBucket()
    fillers = [Filler(bucket, number, START) for number in range(2)]
    for number in range(HOURS):
        fillers[1].hour(START + number * HOUR, [])
        fillers[0].hour(
            START + number * HOUR, [(VPC, "=pay", 3)], part=(0, 0.5), stored_at=START + number * HOUR + IN_TIME / 2
        )
        if number != 1:
            fillers[0].hour(START + number * HOUR, [(VPC, "=pay", 3)], part=(0.5, 1))
    earlier = reported(bucket, force_incomplete=True)
    fillers[0].hour(START + HOUR, [(VPC, "=pay", 5)], part=(0.5, 1), stored_at=START + 40 * HOUR)
    return bucket, earlier


def test_a_late_segment_of_an_hour_is_told_with_its_revision_and_what_it_changed():
    bucket, earlier = one_late()
    said = changed(bucket, earlier, "text")
    assert "what changed since september.json" in said
    assert (
        "default/ctp1 (706c49fa-5bb8-4a7e-9f41-2fc38ef4b065): 2026-10-30T01:00:00Z to 2026-10-30T02:00:00Z: r2,"
        " stored at 2026-10-31T16:00:00Z in 1 segment: +2 by maximum, +2.5000 exact" in said
    )
    [row] = [line.split() for line in said.splitlines() if line.startswith("=pay")]
    assert row[1:7] == ["12", "14", "+2", "10.5000", "13.0000", "+2.5000"]
    assert row[7:] == ["3.30", "3.50", "+0.20"]
    rows = list(csv.DictReader(io.StringIO(changed(bucket, earlier, "csv"))))
    assert [(row["team"], row["by maximum, change"], row["EUR, change"]) for row in rows] == [
        ("'=pay", "+2", "+0.20"), ("total", "+2", "+0.20")
    ]  # fmt: skip


def test_where_nothing_came_the_report_stands():
    bucket, _ = one_late()
    said = changed(bucket, reported(bucket), "text")
    assert said.endswith("nothing of this period was stored since: the report stands\n")
    assert changed(bucket, reported(bucket))["since"]["stored"] == []


def test_the_signature_of_an_export_says_as_well_what_it_was_made_from():
    bucket, report = one_late()
    earlier = MemoryBucket({key: bucket.objects[key] for key in sorted(bucket.objects)})
    heads = tuple(head_untrusted(each) for each in report["heads"])
    statement = Statement("acme", *PERIOD, "0" * 64, heads).written()
    read = earlier_untrusted("september.tgz.sig", Signature(statement, "Ed25519", "k", b"s").written())
    assert (read.accounts, read.period, read.zone, read.heads) == (("acme",), PERIOD, "UTC", heads)
    found = changes_of(earlier, asked("team", **SHEET), read, "json", now=NOW, wrap=dict)
    assert json.loads(found)["since"]["lines"] == changed(bucket, report)["since"]["lines"]


def test_a_report_that_rests_on_what_is_gone_is_compared_with_nothing():
    bucket, earlier = one_late()
    cut = MemoryBucket({key: body for key, body in bucket.objects.items() if "/hour=03/" not in key})
    refused = changed(cut, earlier, force_incomplete=True)
    assert isinstance(refused, Refusal)
    assert "september.json: expected manifest" in refused.detail
    assert "keyless billing verify" in refused.detail


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "expected what `keyless billing report --output json` prints"),
        (b"[]", "expected what"),
        (b"1", "expected what"),
        (b"{}", "expected what"),
        (b'{"kind": "CapacityUsage"}', "expected kind UsageReport"),
        (b'{"kind": "UsageReport"}', "expected what"),
        (b'{"kind": "UsageReport", "heads": [{"controlPlane": "x"}]}', "an earlier version made it"),
        (b'{"kind": "UsageReport", "heads": 3}', "expected heads as a list"),
        (b'{"statement": 3}', "september.json: expected"),
        (b"PK\x03\x04", "expected what"),
    ],
)
def test_what_is_no_report_is_refused_with_its_name(body, said):
    with pytest.raises(Malformed, match=r"september\.json") as refused:
        earlier_untrusted("september.json", body)
    assert said in str(refused.value)


@pytest.mark.parametrize("spoilt", ["accounts", "timeZone", "from", "to", "collectedAt", "closedUntil", "heads"])
@pytest.mark.parametrize("value", [3, [3], {}, "x", [[]]])
def test_a_report_that_was_spoilt_is_refused(spoilt, value):
    _, earlier = one_late()
    with pytest.raises(Malformed, match=r"september\.json"):
        earlier_untrusted("september.json", json.dumps(earlier | {spoilt: value}).encode())
