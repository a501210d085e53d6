"""Capacity that was bought against what was used: how much is left, and until when it lasts. Pure.

Resource-hours are those of managed resources, composites, claims and composed resources, by exact time; each resource
counts once. An operation counts when it is made. Nothing is switched off by any of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from keyless.api.words import counted
from keyless.billing.ledger.capacity_used import RESOURCES
from keyless.billing.ledger.model import Meter, stamp
from keyless.billing.report.model import Line
from keyless.billing.report.prices import rounded

LOOK_BACK_DAYS = 7
"""The forecast goes on as these last days went: a year's start says little of its end."""
CAPACITY_FIELDS = ("day", "meter")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bought:
    """How much may be used from ``start`` until ``end``; None: not limited."""

    resource_hours: int | None
    operations: int | None
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Meeting:
    """One limit and how it stands. ``rate`` is what a day uses; ``spent_at`` is None where it lasts until the end."""

    name: str
    bought: int
    used: Fraction
    rate: Fraction
    spent_at: datetime | None

    @property
    def utilisation(self) -> Fraction:
        """From 0; over 1 where more was used than bought."""
        return self.used / self.bought if self.bought else Fraction(1 if self.used else 0)


def meetings(bought: Bought, lines: Sequence[Line], measured_to: datetime) -> tuple[Meeting, ...]:
    """Each limit against the lines of a report by :data:`CAPACITY_FIELDS`; usage is known up to ``measured_to``."""
    since = max(bought.start, measured_to - LOOK_BACK_DAYS * DAY)
    # Whole days, as the report has them; the first of them may have begun before.
    first = since.date().isoformat()
    looked = _days(measured_to - max(since.replace(hour=0, minute=0, second=0, microsecond=0), bought.start))
    found = []
    for name, limit in (("resourceHours", bought.resource_hours), ("operations", bought.operations)):
        if limit is None:
            continue
        used = sum((_amount(name, line) for line in lines), Fraction(0))
        late = sum((_amount(name, line) for line in lines if line.values[0] >= first), Fraction(0))
        rate = late / looked if looked > 0 else Fraction(0)
        found.append(Meeting(name, limit, used, rate, _spent_at(bought, limit, used, rate, measured_to)))
    return tuple(found)


def _spent_at(bought: Bought, limit: int, used: Fraction, rate: Fraction, measured_to: datetime) -> datetime | None:
    if used >= limit:
        return measured_to
    if rate <= 0:
        return None
    days = (limit - used) / rate
    if days >= _days(bought.end - measured_to):
        return None
    return measured_to + timedelta(seconds=float(days * 86_400))


def _days(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 86_400_000_000)


def _amount(name: str, line: Line) -> Fraction:
    meter = line.values[1]
    if name == "operations":
        return Fraction(line.quantity.created if meter == Meter.OPERATION.value else 0)
    return line.quantity.exact if meter in {each.value for each in RESOURCES} else Fraction(0)


def document(bought: Bought, found: Sequence[Meeting], measured_to: datetime) -> Mapping[str, Any]:
    """As JSON."""
    return {
        "from": stamp(bought.start),
        "to": stamp(bought.end),
        "measuredTo": stamp(measured_to),
        "limits": [
            {
                "name": each.name,
                "capacity": each.bought,
                "used": f"{rounded([each.used], 2)[0]:f}",
                "utilization": percent(each.utilisation),
                "aDay": f"{rounded([each.rate], 2)[0]:f}",
                "spentAt": _whole(each.spent_at),
            }
            for each in found
        ],
    }


def as_text(account: str, bought: Bought, found: Sequence[Meeting], measured_to: datetime) -> str:
    """For a terminal."""
    period = f"from {stamp(bought.start)} to {stamp(bought.end)}"
    said = [f"Capacity of account {account} {period}, used up to {stamp(measured_to)}"]
    for each in found:
        name = "resource-hours" if each.name == "resourceHours" else each.name
        used, rate = rounded([each.used], 2)[0], rounded([each.rate], 2)[0]
        share = f"{used:,f} of {each.bought:,} ({percent(each.utilisation)}), {rate:,f} a day lately"
        said.append(f"{'ok' if each.spent_at is None else 'FAILED'} {name}: {share}: {_outlook(bought, each)}")
    return "\n".join(said)


def _outlook(bought: Bought, meeting: Meeting) -> str:
    if meeting.spent_at is None:
        return "lasts until the end"
    if meeting.used >= meeting.bought:
        return "spent"
    return f"will be spent at {_whole(meeting.spent_at)}, {counted((bought.end - meeting.spent_at).days, 'day')} early"


def percent(share: Fraction) -> str:
    """As a SpaceLicense's status has it: ``24.57%``."""
    return f"{rounded([share * 100], 2)[0]:f}%"


def _whole(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment.replace(microsecond=0))
