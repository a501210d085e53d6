"""Whether a waiver names what the bucket knows."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import Refusal
from keyless.billing.export.naming import unknown
from keyless.billing.export.plan import Request
from keyless.billing.export.service import export
from keyless.billing.export.waiving import waiver_of
from unit.billing.bucket import DAY, HOUR, OTHER, PLANE, MemoryBucket, event, full_day, member, text

SAID = {"account": "acme", "by": "me", "why": "w", "assumed": "a"}
NOW = DAY + timedelta(days=2)


def of_plane(plane, start=DAY, *, account="acme"):
    stretch = (plane, text(start), text(start + HOUR))
    return waiver_of(SAID | {"account": account}, stretch=stretch, key="", count=False, now=NOW)


def of_object(key):
    return waiver_of(SAID, stretch=("", "", ""), key=key, count=False, now=NOW)


def a_key(bucket):
    return next(key for key in bucket.objects if key.startswith("account="))


@pytest.mark.parametrize("days", [0, 1, -1, 40, 400])
def test_a_control_plane_is_known_on_whichever_day_a_manifest_names_it(days):
    assert unknown(full_day(), of_plane(PLANE, DAY + timedelta(days=days))) is None


def test_a_control_plane_is_known_that_only_a_neighbours_census_names():
    bucket = full_day(census=[member(OTHER)])
    assert unknown(bucket, of_plane(OTHER)) is None


def test_the_nearest_day_alone_is_read_where_it_names_the_control_plane():
    bucket = full_day()
    bucket.store_hour(DAY - timedelta(days=9), event(1.0))
    bucket.asked.clear()
    unknown(bucket, of_plane(PLANE))
    assert [prefix for verb, prefix in bucket.asked if verb == "list"] == ["manifest/account=acme/date=2026-10-31/"]


@pytest.mark.parametrize(
    "typed",
    [f"{PLANE[:-1]}6", PLANE.upper(), PLANE[1:], "ctp-706c", "default/ctp-706c", "ctp-706", f" {PLANE}"],
)
def test_a_control_plane_that_is_misspelt_or_named_is_refused_with_the_one_that_is_meant(typed):
    refused = unknown(full_day(census=[member(OTHER)]), of_plane(typed))
    assert isinstance(refused, Refusal)
    assert f"did you mean:\n  {PLANE} (default/ctp-706c)" in refused.detail


@given(st.text(min_size=1).filter(lambda typed: typed not in {PLANE, OTHER}))
def test_no_other_text_than_an_id_of_the_account_is_known(typed):
    bucket = MemoryBucket()
    bucket.store_hour(DAY, event(1.0), census=[member(OTHER)])
    refused = unknown(bucket, replace(of_plane(PLANE), control_plane=typed))
    assert refused is not None
    assert all(line.isprintable() for line in refused.detail.split("\n"))
    assert "--force" in refused.detail


def test_a_control_plane_of_another_account_is_not_known():
    bucket = full_day()
    bucket.store_hour(DAY, event(1.0, plane=OTHER), plane=OTHER, account="acme2")
    assert unknown(bucket, of_plane(OTHER)) is not None
    assert unknown(bucket, of_plane(PLANE, account="nobody")) is not None


def test_a_manifest_that_cannot_be_read_and_a_foreign_folder_name_nobody_and_stop_nothing():
    bucket = full_day()
    bucket.objects["manifest/account=acme/date=2026-10-31/hour=00/a.json"] = b"{"
    bucket.objects["manifest/account=acme/date=soon/a.json"] = b"{}"
    bucket.objects["manifest/account=acme/readme/a"] = b"{}"
    assert unknown(bucket, of_plane(PLANE)) is None
    assert unknown(bucket, of_plane("x")) is not None


def test_an_object_is_known_that_lies_in_the_bucket_or_that_a_manifest_names():
    bucket = full_day()
    key = a_key(bucket)
    assert unknown(bucket, of_object(key)) is None
    assert unknown(bucket, of_object(next(k for k in bucket.objects if k.startswith("manifest/")))) is None
    del bucket.objects[key]
    assert unknown(bucket, of_object(key)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key.replace("hour=00", "hour=01"),
        lambda key: f"{key} ",
        lambda key: f"manifest/{key}",
    ],
)
def test_an_object_that_nothing_names_is_refused(change):
    bucket = full_day()
    refused = unknown(bucket, of_object(change(a_key(bucket))))
    assert isinstance(refused, Refusal)
    assert "did you mean:\n" in refused.detail


@pytest.mark.parametrize("key", ["account=acme/x", "waiver/account=acme/x.json", "account=acme/date=x"])
def test_an_object_outside_every_day_is_refused(key):
    assert unknown(full_day(), of_object(key)) is not None


def test_whatever_an_export_calls_missing_or_faulty_may_be_waived():
    bucket = full_day(census=[member(OTHER)])
    for key in [key for key in bucket.objects if "hour=03" in key]:
        del bucket.objects[key]
    del bucket.objects[a_key(bucket)]
    bucket.objects["account=acme/date=2026-10-31/hour=12/"] = b""
    spoilt = next(key for key in bucket.objects if key.startswith("manifest/") and "hour=13" in key)
    bucket.objects[spoilt] = b"{}"
    period = (DAY - timedelta(days=3), DAY + timedelta(days=1))
    made = export(bucket, Request("acme", period, force_incomplete=True), now=NOW)
    assert made.missing
    assert made.faults
    for stretch in made.missing:
        assert unknown(bucket, of_plane(stretch.control_plane.id, stretch.start)) is None
    for fault in made.faults:
        assert unknown(bucket, of_object(fault.key)) is None


def test_manifests_are_asked_for_many_at_once_so_that_a_misspelt_name_is_no_long_wait():
    class Counting(MemoryBucket):
        at_once = 0

        def bodies(self, keys, readers):
            asked = list(keys)
            self.at_once = max(self.at_once, len(asked))
            return super().bodies(iter(asked), readers)

    bucket = Counting(full_day().objects)
    assert unknown(bucket, of_plane("x")) is not None
    assert bucket.at_once == 24
