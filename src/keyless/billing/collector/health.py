"""``BillingHealthy``: whether metering does what it is there for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyless.api.words import counted
from keyless.billing.collector.host import HEALTHY
from keyless.billing.collector.ports import Said
from keyless.billing.ledger.model import Gvk, Unknown, stamp

COMPLETE = "UsageComplete"
STARTING = "CollectorStarting"
NOT_SAMPLED = "NotSampled"
KINDS_NOT_COUNTED = "KindsNotCounted"
NOT_STORED = "UsageNotStored"
CLOCK_WRONG = "ClockWrong"
GRACE = timedelta(minutes=15)
"""How late an upload may be before the hour counts as not stored."""
CLOCK_LIMIT = timedelta(seconds=60)
DETAIL = 300
"""Characters of a server's words, for each kind."""
NAMED = 5
"""Kinds that a message names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the collector knows about itself."""

    now: datetime
    interval: timedelta
    flush: timedelta
    started_at: datetime
    last_sample: datetime | None
    failure: tuple[str, str] | None = None
    unknown: Mapping[Gvk, Unknown] = field(default_factory=dict)
    waiting: int = 0
    waiting_since: datetime | None = None
    upload_failure: str = ""
    closed_through: datetime | None = None
    clock_offset: timedelta | None = None
    folded: int = 0
    """How many combinations of dimensions are coarser than they should be."""
    undescribed: tuple[Gvk, ...] = ()
    """Composites, claims and the like that cannot be read: the peer's numbers lack nothing, dimensions do."""
    beginning: bool = False
    """Whether a kind was never counted yet."""


def to_say(vitals: Vitals) -> Said | None:
    """What to report now. None: what was said last stands, for it is not known to be otherwise.

    A collector that has just started knows of no trouble, and may have not asked yet the one kind that is in trouble;
    within three intervals such a kind is counted, or is told as not counted.
    """
    said = healthy(vitals)
    return None if said.status and vitals.beginning else said


def healthy(vitals: Vitals) -> Said:
    """The condition: the worst first."""
    reason, message = _trouble(vitals) or (COMPLETE, "every kind is counted")
    closed = vitals.closed_through
    told = f"usage is stored up to {stamp(closed)}" if closed else "no hour is stored yet"
    return Said(HEALTHY, reason == COMPLETE, reason, f"{message}; {told}{_dimensions(vitals)}")


def not_ready(vitals: Vitals) -> str:
    """Why the pod is not ready; empty: it collects. A bucket that refuses is no reason: usage is kept."""
    late = vitals.now - (vitals.last_sample or vitals.started_at)
    if vitals.failure is not None and late > 4 * vitals.interval:
        return f"{vitals.failure[0]}: {vitals.failure[1]}"
    if vitals.last_sample is None or vitals.last_sample < vitals.started_at:
        return "no sample yet"
    return f"the last sample is {late.total_seconds():.0f} s old" if late > 4 * vitals.interval else ""


def _trouble(vitals: Vitals) -> tuple[str, str] | None:
    since = vitals.last_sample or vitals.started_at
    if vitals.now - since > 4 * vitals.interval:
        reason, detail = vitals.failure or (NOT_SAMPLED, "the collector is not keeping up")
        return reason, f"nothing is counted since {stamp(since)}: {detail}"
    if vitals.last_sample is None:
        return STARTING, "no sample yet"
    if vitals.unknown:
        return KINDS_NOT_COUNTED, _kinds(vitals.unknown)
    if vitals.waiting_since is not None and vitals.now - vitals.waiting_since > vitals.flush + GRACE:
        why = f": {vitals.upload_failure}" if vitals.upload_failure else ""
        return NOT_STORED, f"{counted(vitals.waiting, 'segment')} not stored since {stamp(vitals.waiting_since)}{why}"
    if vitals.clock_offset is not None and abs(vitals.clock_offset) > CLOCK_LIMIT:
        seconds = vitals.clock_offset.total_seconds()
        return CLOCK_WRONG, f"the node's clock differs from S3's by {seconds:.0f} s; S3's is used: set the node's"
    return None


def _dimensions(vitals: Vitals) -> str:
    said = ""
    if vitals.folded:
        # The number moves with every resource; a message that did would be written again each time.
        said += "; some dimensions are left out, for there are more combinations than billing.dimensions.limit"
    if vitals.undescribed:
        named = ", ".join(f"{gvk.kind}.{gvk.group}" for gvk in sorted(vitals.undescribed)[:NAMED])
        said += f"; not read for dimensions: {named}"
    return said


def _kinds(unknown: Mapping[Gvk, Unknown]) -> str:
    ordered = sorted(unknown.items(), key=lambda item: item[0])
    named = [
        f"{gvk.kind}.{gvk.version}.{gvk.group} ({why.reason} since {stamp(why.since)}{_detail(why)})"
        for gvk, why in ordered
    ]
    rest = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"not counted: {', '.join(named[:NAMED])}{rest}"


def _detail(why: Unknown) -> str:
    text = "".join(c if c.isprintable() else " " for c in why.detail[:DETAIL])
    return f": {text}" if text and text != why.reason else ""
