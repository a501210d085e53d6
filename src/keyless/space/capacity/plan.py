"""What a SpaceLicense says: the capacity that was bought, what of it was used, until when it lasts. Pure.

Nothing is switched off by any of it, whatever is used. The license file's format and signature are published by nobody:
a SpaceLicense that names one is not called valid nor invalid, and its Secret is not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from keyless.api.words import counted
from keyless.billing.ledger.capacity_used import Used, used_untrusted
from keyless.billing.ledger.model import Malformed, Meter, hour_of, moment_untrusted, stamp
from keyless.billing.report.capacity import DAY, Bought, Meeting, meetings, percent
from keyless.billing.report.model import HOUR_MS, Line, Quantity
from keyless.kube import KubeObject, condition_of, set_condition

NAME = "space"
"""The only one that counts, as at the peer."""
KEPT = "keyless.dev/capacity-used"
"""The annotation that remembers what control planes used which are gone since."""
VALID, LASTS = "LicenseValid", "CapacityLasts"
WARN_FROM = 80
"""Percent from which it is said that a capacity is nearly spent."""


@dataclass(frozen=True, slots=True)
class PlaneUse:
    """What one ControlPlane's collector tells; None for what it does not."""

    id: str
    used: Used | None = None
    stored_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Milliseconds and operations since a day: of control planes that were there last time, and of those that went."""

    since: str
    known: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    gone: tuple[int, int] = (0, 0)


def plane_use(control_plane: KubeObject, since: str) -> PlaneUse | None:
    """By its status; None before it has an id. Use since another day than the capacity's is none."""
    status = control_plane.get("status") or {}
    told = status.get("billing") or {}
    if not status.get("controlPlaneID"):
        return None
    try:
        used = used_untrusted(told["capacity"]) if told.get("capacity") else None
        stored_to = moment_untrusted(told["storedTo"]) if told.get("storedTo") else None
    except Malformed:
        return PlaneUse(status["controlPlaneID"])
    return PlaneUse(status["controlPlaneID"], used if used and used.since == since else None, stored_to)


def kept_next(before: Kept | None, planes: Sequence[PlaneUse], since: str) -> Kept:
    """What to remember: one that is no longer there is added to what is gone, once, and its id is forgotten."""
    if before is None or before.since != since:
        before = Kept(since)
    there = {each.id: each for each in planes}
    gone = [use for id_, use in before.known.items() if id_ not in there]
    known = {id_: use for id_, use in before.known.items() if id_ in there}
    for each in planes:
        if each.used is not None:
            # A collector that lost its count begins anew: what it had told is not taken back.
            most = known.get(each.id, (0, 0))
            known[each.id] = max(most[0], each.used.milliseconds), max(most[1], each.used.operations)
    return Kept(since, known, (before.gone[0] + sum(g[0] for g in gone), before.gone[1] + sum(g[1] for g in gone)))


def kept_document(kept: Kept) -> dict[str, Any]:
    """As the annotation has it."""
    return {"since": kept.since, "gone": list(kept.gone), "known": {i: list(u) for i, u in sorted(kept.known.items())}}


def kept_untrusted(document: Any) -> Kept | None:
    """Read it back; None where somebody has spoilt it: what is gone is then lost, and the rest is told anew."""
    try:
        gone = [int(each) for each in document["gone"]]
        known = {str(i): (int(u[0]), int(u[1])) for i, u in document["known"].items()}
        return Kept(str(document["since"]), known, (gone[0], gone[1]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        return None


def lines_of(kept: Kept, planes: Iterable[PlaneUse]) -> list[Line]:
    """As a report by day and meter has them; what no day is known of comes before all days."""
    found: list[Line] = []
    told: dict[str, tuple[int, int]] = {}
    for each in planes:
        if each.used is None:
            continue
        told[each.id] = each.used.milliseconds, each.used.operations
        for day in each.used.days:
            found += _lines(day.day, day.milliseconds, day.operations)
        found += _lines("", each.used.before.milliseconds, each.used.before.operations)
    for id_, (milliseconds, operations) in kept.known.items():
        one = told.get(id_, (0, 0))
        found += _lines("", milliseconds - one[0], operations - one[1])
    return [*found, *_lines("", *kept.gone)]


def _lines(day: str, milliseconds: int, operations: int) -> list[Line]:
    return [
        Line((day, Meter.MANAGED.value), Quantity(0, milliseconds)),
        Line((day, Meter.OPERATION.value), Quantity(0, 0, operations)),
    ]


def measured_to(planes: Iterable[PlaneUse], bought: Bought) -> datetime | None:
    """The end of the last hour of which every collector has stored its use; None before that."""
    told = [each.stored_to for each in planes if each.stored_to is not None and each.used is not None]
    end = min((hour_of(each) for each in told), default=None)
    return None if end is None or end <= bought.start else min(end, bought.end)


def status_of(
    license_: KubeObject, bought: Bought | None, kept: Kept, planes: Sequence[PlaneUse], now: datetime
) -> KubeObject:
    """The whole status, from the one before."""
    before = license_.get("status") or {}
    conditions = set_condition(before.get("conditions") or [], VALID, *_valid(license_, bought), now=now)
    status: KubeObject = {"plan": "community"} if not _secret(license_) else {}
    if bought is None:
        return {**status, "conditions": [each for each in conditions if each["type"] != LASTS]}
    limits = {"resourceHours": bought.resource_hours, "operations": bought.operations}
    status["capacity"] = {name: limit for name, limit in limits.items() if limit is not None}
    end = measured_to(planes, bought)
    if end is None:
        said = ("Unknown", "NotMeasured", "no collector has stored what was used since the capacity's first day")
        return {**status, "conditions": set_condition(conditions, LASTS, *said, now=now)}
    found = meetings(bought, lines_of(kept, planes), end)
    status["usage"] = _usage(bought, kept, planes, found, end)
    return {**status, "conditions": set_condition(conditions, LASTS, *_lasts(bought, found, end), now=now)}


def _secret(license_: KubeObject) -> str:
    found = (license_.get("spec") or {}).get("secretRef") or {}
    return f"{found.get('namespace', '')}/{found['name']}" if found.get("name") else ""


def _valid(license_: KubeObject, bought: Bought | None) -> tuple[bool | str, str, str]:
    source = "the capacity is that of the chart's values" if bought else "no capacity is set in the chart's values"
    if secret := _secret(license_):
        text = (
            f"Secret {secret} holds a license file, whose format and signature are not published: it is not read; "
            f"{source}, nothing is switched off"
        )
        return "Unknown", "LicenseFormatUnknown", text
    return True, "Valid", f"community edition, no license is named; {source}"


def _usage(
    bought: Bought, kept: Kept, planes: Sequence[PlaneUse], found: Sequence[Meeting], end: datetime
) -> KubeObject:
    lines = lines_of(kept, planes)
    by_name = {each.name: each for each in found}
    told: KubeObject = {
        "resourceHours": sum(line.quantity.milliseconds for line in lines) // HOUR_MS,
        "operations": sum(line.quantity.created for line in lines),
        "firstMeasurement": stamp(bought.start),
        "lastMeasurement": stamp(end),
    }
    for name, meeting in by_name.items():
        told[f"{name}Utilization"] = percent(meeting.utilisation)
    return told


def _lasts(bought: Bought, found: Sequence[Meeting], end: datetime) -> tuple[bool | str, str, str]:
    """The worst of the limits decides; each is told."""
    worst = max((_worth(each, bought, end) for each in found), default=0)
    reasons = ("WithinCapacity", "NearlySpent", "WillBeSpent", "CapacitySpent")
    told = "; ".join(_said(each, end) for each in found)
    return worst == 0, reasons[worst], f"{told}; until {stamp(bought.end)}. Nothing is switched off"


def _worth(meeting: Meeting, bought: Bought, end: datetime) -> int:
    if meeting.used >= meeting.bought:
        return 3
    if meeting.spent_at is not None:
        return 2
    # What is left for what is left of the time is as it was meant: the last day of a year may well be nearly spent.
    return 1 if meeting.utilisation * 100 >= WARN_FROM and bought.end - end > DAY else 0


def _said(meeting: Meeting, end: datetime) -> str:
    name = "resource-hours" if meeting.name == "resourceHours" else meeting.name
    share = f"{name}: {percent(meeting.utilisation)} of {meeting.bought:,} used by {stamp(end)}"
    if meeting.used >= meeting.bought:
        return f"{share}, spent"
    if meeting.spent_at is None:
        return f"{share}, lasts"
    days = max((meeting.spent_at - end) // DAY, 0)
    return f"{share}, will be spent on {meeting.spent_at.date().isoformat()}, in {counted(days, 'day')}"


def news_of(before: KubeObject, after: KubeObject) -> tuple[str, str] | None:
    """Reason and message of a warning: once for each reason for which a capacity does not last."""
    old, new = (condition_of(status.get("conditions"), LASTS) for status in (before, after))
    if new is None or new["status"] != "False" or (old is not None and old.get("reason") == new["reason"]):
        return None
    return new["reason"], new["message"]
