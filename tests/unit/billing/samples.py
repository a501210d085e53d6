"""Builders for the values of billing's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keyless.billing.ledger.model import Gvk, Member, Sample, Segment, Source

NOON = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)
VPC = Gvk("ec2.aws.upbound.io", "v1beta1", "VPC")
BUCKET = Gvk("s3.aws.upbound.io", "v1beta1", "Bucket")
CTP1 = Member(
    "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065", "default", "ctp1", "mxp-706c49fa-system", NOON - timedelta(days=1)
)
CTP2 = Member(
    "11111111-5bb8-4a7e-9f41-2fc38ef4b065", "default", "ctp2", "mxp-11111111-system", NOON - timedelta(days=1)
)


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def a_source(**changes: object) -> Source:
    values = {"account": "acme", "control_plane": CTP1, "collector": "pod-1", "interval_seconds": 15} | changes
    return Source(**values)  # type: ignore[arg-type]  # the builder's callers name only fields that exist


def a_segment(*samples: Sample, **changes: object) -> Segment:
    values = {
        "source": a_source(),
        "sequence": 7,
        "since": None,
        "samples": samples or (Sample(NOON, {VPC: 3}), Sample(NOON + seconds(15), {VPC: 3})),
    } | changes
    return Segment(**values)  # type: ignore[arg-type]  # as above
