"""What a control plane has used of a capacity that was bought, day by day, as its collector counts it. Pure.

A meter object says it of one segment; the sum of all since the capacity's first day is kept beside the chain's head and
told in the ControlPlane's status. Single days are kept for the forecast, which goes on as the last week went.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from keyless.billing.ledger.model import Malformed, Meter

RESOURCES = (Meter.MANAGED, Meter.COMPOSITE, Meter.CLAIM, Meter.COMPOSED)
"""The meters whose time are resource-hours; each resource is of one of them."""
DAYS_KEPT = 10
"""More than the forecast looks back, for collectors are not all as far."""


@dataclass(frozen=True, slots=True, order=True)
class DayUse:
    """One day in UTC: milliseconds of resources, and operations that were made."""

    day: str
    milliseconds: int = 0
    operations: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """Since the day ``since``; ``before`` are the days that are not kept singly, by the name of their newest."""

    since: str
    before: DayUse = DayUse("")
    days: tuple[DayUse, ...] = ()

    @property
    def milliseconds(self) -> int:
        """In all."""
        return self.before.milliseconds + sum(each.milliseconds for each in self.days)

    @property
    def operations(self) -> int:
        """In all."""
        return self.before.operations + sum(each.operations for each in self.days)


def added(used: Used, start: datetime, milliseconds: int, operations: int) -> Used:
    """With one segment more, which began at ``start``; one from before the capacity's first day counts for nothing."""
    day = start.date().isoformat()
    if day < used.since:
        return used
    if day <= used.before.day:
        return replace(used, before=_sum(used.before.day, used.before, DayUse(day, milliseconds, operations)))
    days = {each.day: each for each in used.days}
    days[day] = _sum(day, days.get(day, DayUse(day)), DayUse(day, milliseconds, operations))
    first = (datetime.fromisoformat(max(days)) - timedelta(days=DAYS_KEPT - 1)).date().isoformat()
    before = used.before
    for name in sorted(each for each in days if each < first):
        before = _sum(name, before, days.pop(name))
    return replace(used, before=before, days=tuple(sorted(days.values())))


def _sum(day: str, one: DayUse, other: DayUse) -> DayUse:
    return DayUse(day, one.milliseconds + other.milliseconds, one.operations + other.operations)


def used_document(used: Used) -> dict[str, Any]:
    """As JSON: in the spool's head, and below ``status.billing.capacity`` of a ControlPlane."""
    return {
        "since": used.since,
        "before": _day_document(used.before),
        "days": [_day_document(each) for each in used.days],
    }


def _day_document(day: DayUse) -> dict[str, Any]:
    return {"day": day.day, "resourceMilliseconds": day.milliseconds, "operations": day.operations}


def used_untrusted(document: Any) -> Used:
    """Read it back; raises ``Malformed``."""
    try:
        return Used(str(document["since"]), _day_of(document["before"]), tuple(sorted(map(_day_of, document["days"]))))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"expected use by day, found {type(error).__name__}") from None


def _day_of(document: Any) -> DayUse:
    found = DayUse(str(document["day"]), int(document["resourceMilliseconds"]), int(document["operations"]))
    if found.milliseconds < 0 or found.operations < 0:
        raise ValueError("negative")
    if found.day:
        datetime.fromisoformat(found.day)
    return found
