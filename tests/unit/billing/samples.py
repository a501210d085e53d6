"""Builders for the values of billing's tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from keyless.billing.ledger.model import Census, Frame, Gap, Gvk, Link, Member, Opening, Sample, Source
from keyless.billing.ledger.objects import Packed, StoredObject, manifest, pack

NOON = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)
VPC = Gvk("ec2.aws.upbound.io", "v1beta1", "VPC")
BUCKET = Gvk("s3.aws.upbound.io", "v1beta1", "Bucket")
CTP1 = Member(
    "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065", "default", "ctp1", "mxp-706c49fa-system", NOON - timedelta(days=1)
)
CTP2 = Member(
    "11111111-5bb8-4a7e-9f41-2fc38ef4b065", "default", "ctp2", "mxp-11111111-system", NOON - timedelta(days=1)
)


NO_LINK = Link()


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def a_source(**changes: object) -> Source:
    values = {"account": "acme", "control_plane": CTP1, "collector": "pod-1", "interval_seconds": 15} | changes
    return Source(**values)  # type: ignore[arg-type]  # the builder's callers name only fields that exist


@dataclass(frozen=True)
class Segment:
    """An opening and its frames."""

    opening: Opening
    frames: tuple[Frame, ...] = field(default=())

    @property
    def packed(self) -> Packed:
        packed = pack(self.opening, self.frames)
        assert packed is not None
        return packed

    @property
    def usage(self) -> StoredObject:
        return self.packed.usage

    def manifest(self, link: Link = NO_LINK) -> StoredObject:
        return manifest(self.packed, link)


def a_segment(
    *frames: Frame, gaps: tuple[Gap, ...] = (), census: tuple[Member, ...] = (), **changes: object
) -> Segment:
    """Two samples of three VPCs, unless told otherwise; ``changes`` are fields of the opening."""
    told: tuple[Frame, ...] = (*gaps, *((Census(census),) if census else ()))
    values = {"source": a_source(), "sequence": 7, "since": None} | changes
    opening = Opening(**values)  # type: ignore[arg-type]  # as above
    return Segment(opening, (*told, *(frames or (Sample(NOON, {VPC: 3}), Sample(NOON + seconds(15), {VPC: 3})))))
