"""What a report asks a bucket for, and what it makes of objects that more than one manifest names."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from keyless.billing.report.service import Asked, report_of
from keyless.billing.report.teams import DEFAULT
from unit.billing.teams_bucket import HOUR, two_teams

START = datetime(2026, 10, 30, 20, tzinfo=UTC)
HOURS = 8
OBJECTS = {"within manifests": 128 * 1024, "beside them": 0}


def total(bucket):
    asked = Asked(("acme",), (START, START + HOURS * HOUR), ZoneInfo("UTC"), ("team",), "managed", DEFAULT)
    found = report_of(bucket, asked, "json", now=START + 90 * HOUR, wrap=dict)
    assert isinstance(found, str), found
    return json.loads(found)["total"]["maximumResourceHours"]


@pytest.mark.parametrize("inside", OBJECTS.values(), ids=OBJECTS.keys())
def test_no_object_is_asked_for_twice_nor_a_listing(inside):
    bucket = two_teams(START, HOURS, inside=inside)
    total(bucket)
    times = Counter(bucket.asked)
    assert {each: n for each, n in times.items() if n > 1} == {}
    read = [key for what, key in times if what == "get"]
    assert len([key for key in read if key.startswith("manifest/account=")]) == 2 * HOURS
    assert len([key for key in read if key.startswith("manifest/meter/")]) == (0 if inside else 2 * HOURS)
    # What the peer reads says nothing more than the rows by dimensions do.
    assert [key for key in read if key.startswith("account=")] == []


@pytest.mark.parametrize("inside", OBJECTS.values(), ids=OBJECTS.keys())
@pytest.mark.parametrize("last", [False, True])
def test_an_object_that_two_manifests_name_counts_as_in_one(inside, last):
    bucket = two_teams(START, HOURS, inside=inside)
    before = total(bucket)
    keys = sorted(key for key in bucket.objects if key.startswith("manifest/account="))
    key = keys[-1 if last else 0]
    body = json.dumps(json.loads(bucket.objects[key]) | {"spool": "another"}, separators=(",", ":")).encode()
    bucket.objects[f"{key[: key.rindex('-') + 1]}{hashlib.sha256(body).hexdigest()[:16]}.json"] = body
    assert total(bucket) == before
