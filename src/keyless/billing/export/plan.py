"""What an export covers, and whether it may be written. Pure.

Flags and texts are the peer's (``up space billing export``); beyond its clock test, hours that the manifests do not
account for refuse the report too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyless.api import Reason, Refusal
from keyless.billing.ledger.completeness import Missing
from keyless.billing.ledger.model import HOUR, hour_of, stamp

Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Request:
    """One export. ``force_incomplete`` writes the report although something is missing."""

    account: str
    period: Period
    force_incomplete: bool


def period_of(month: str, custom: str) -> Period:
    """The period that one of the two flags names; raises ``ValueError`` with the peer's word."""
    if bool(month) == bool(custom):
        raise ValueError("expected one of --billing-month and --billing-custom")
    if month:
        start = _date(f"{month}-01")
        return start, (start + timedelta(days=32)).replace(day=1)
    first, slash, last = custom.partition("/")
    if not slash:
        raise ValueError("invalid format: expected 2006-01-02/2006-01-02")
    start, end = _date(first), _date(last) + timedelta(days=1)
    if end - start < HOUR:
        raise ValueError("time range must be at least 1h")
    return start, end


def hours(period: Period, now: datetime) -> Iterator[datetime]:
    """The starts of the period's hours that have begun."""
    start = hour_of(period[0])
    while start < min(period[1], now):
        yield start
        start += HOUR


def refusal(request: Request, missing: Sequence[Missing], now: datetime) -> Refusal | None:
    """Why the report may not be written, or None."""
    if request.force_incomplete:
        return None
    start, end = request.period
    if start < now < end:
        return Refusal(
            Reason.BILLING_PERIOD_INCOMPLETE,
            "billing period is incomplete, use --force-incomplete to continue"
            f" (it ends at {stamp(end)}; an hour counts when it is over)",
        )
    if missing:
        return Refusal(
            Reason.USAGE_MISSING,
            "usage is missing, use --force-incomplete to continue:\n" + "\n".join(describe(m) for m in missing),
        )
    return None


def describe(missing: Missing) -> str:
    """One line: which control plane, which stretch, why."""
    plane = missing.control_plane
    return (
        f"  {plane.group}/{plane.name} ({plane.id}): {stamp(missing.start)} to {stamp(missing.end)}: {missing.reason}"
    )


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"invalid format: expected a date as 2006-01-02, found {text!r}") from None
