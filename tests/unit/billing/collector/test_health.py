"""``BillingHealthy`` and readiness: green only where metering does what it is there for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from keyless.billing.collector.health import Vitals, healthy, not_ready, to_say
from keyless.billing.ledger.model import HOUR, Gvk, Unknown
from unit.billing.samples import BUCKET, NOON, VPC, seconds

GOOD = Vitals(
    now=NOON + seconds(10),
    interval=seconds(15),
    flush=seconds(300),
    started_at=NOON - HOUR,
    last_sample=NOON,
    closed_through=NOON,
)
WHY = Unknown(NOON - seconds(60), "Forbidden")


def test_all_well_names_the_last_closed_hour():
    said = healthy(GOOD)
    assert (said.type, said.status, said.reason) == ("BillingHealthy", True, "UsageComplete")
    assert said.message == "every kind is counted; usage is stored up to 2026-10-31T12:00:00Z"
    assert not_ready(GOOD) == ""


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"unknown": {VPC: WHY}}, "KindsNotCounted", "VPC.v1beta1.ec2.aws.upbound.io (Forbidden since 2026-"),
        ({"now": NOON + seconds(61)}, "NotSampled", "nothing is counted since 2026-10-31T12:00:00Z"),
        ({"now": NOON + seconds(61), "failure": ("SpoolFull", "No space left")}, "SpoolFull", "No space left"),
        ({"last_sample": None, "started_at": NOON}, "CollectorStarting", "no sample yet"),
        ({"waiting_since": NOON - HOUR, "waiting": 3, "upload_failure": "NoBucket"}, "UsageNotStored", "NoBucket"),
        ({"clock_offset": seconds(-3600)}, "ClockWrong", "differs from S3's by -3600 s"),
        ({"closed_through": None}, "UsageComplete", "no hour is stored yet"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_said(changes, reason, words):
    said = healthy(replace(GOOD, **changes))
    assert (said.reason, said.status) == (reason, reason == "UsageComplete")
    assert words in said.message


@pytest.mark.parametrize("beginning", [False, True])
@pytest.mark.parametrize("unknown", [{}, {VPC: WHY}])
def test_a_collector_that_has_just_started_does_not_call_whole_what_it_has_not_asked(beginning, unknown):
    vitals = replace(GOOD, beginning=beginning, unknown=unknown)
    assert to_say(vitals) == (None if beginning and not unknown else healthy(vitals))


def test_why_a_kind_is_not_counted_is_said_in_the_servers_words():
    why = replace(WHY, detail="conversion webhook for\x1b v1 failed: " + "x" * 400)
    message = healthy(replace(GOOD, unknown={VPC: why})).message
    assert "Forbidden since 2026-10-31T11:59:00Z: conversion webhook for  v1 failed: xxx" in message
    assert len(message) < 500
    assert why == WHY, "a server's words begin no new run of samples"


def test_many_kinds_are_named_in_part_and_counted():
    unknown = {replace(BUCKET, kind=f"K{n}"): WHY for n in range(300)}
    message = healthy(replace(GOOD, unknown=unknown)).message
    assert "and 295 more" in message
    assert len(message) < 700


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"last_sample": None}, "no sample yet"),
        ({"last_sample": NOON - 2 * HOUR}, "no sample yet"),
        ({"now": NOON + seconds(90)}, "the last sample is 90 s old"),
        ({"now": NOON + seconds(90), "failure": ("SpoolFull", "No space left")}, "SpoolFull: No space left"),
    ],
)
def test_a_collector_that_does_not_collect_is_not_ready(changes, words):
    assert words in not_ready(replace(GOOD, **changes))


def test_a_bucket_that_refuses_is_no_reason_to_take_the_pod_out():
    assert not_ready(replace(GOOD, waiting_since=NOON - timedelta(days=1), upload_failure="AccessDenied")) == ""


def test_dimensions_that_are_left_out_are_told_while_the_numbers_are_whole():
    said = healthy(replace(GOOD, folded=3, undescribed=(Gvk("example.org", "v1", "XApp"),)))
    assert said.status
    assert "more combinations than billing.dimensions.limit" in said.message
    assert "not read for dimensions: XApp.example.org" in said.message
    assert "dimensions" not in healthy(GOOD).message
