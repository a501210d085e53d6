"""``syncWindows``: hours in which a periodic refresh may come, or may not. Pure; all times are UTC.

A window is open from each start of its schedule for its duration. Schedules are cron's five fields, the words
``@hourly`` to ``@yearly``, and ``@every DURATION``, as https://pkg.go.dev/github.com/robfig/cron/v3 has them. External
Secrets leaves out a schedule that it cannot read, so a misprint lets everything through or nothing: here it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from keyless.shared_secrets.durations import seconds_of

MOST_WINDOWS = 50
# A schedule such as 30 February never comes; four years have every day that there is, eight every century's gap.
_HORIZON = timedelta(days=8 * 366)
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: at for at, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 6, {name: at for at, name in enumerate(_DAYS)}),
)
_RANGE = re.compile(r"(?P<from>\*|\?|[0-9]{1,4}|[A-Z]{3})(?:-(?P<to>[0-9]{1,4}|[A-Z]{3}))?(?:/(?P<step>[0-9]{1,4}))?")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When windows begin: ``every_seconds``, or cron's fields; a star in a field of days leaves it to the other one."""

    every_seconds: int = 0
    fields: tuple[frozenset[int], ...] = ()
    any_day: bool = True
    any_weekday: bool = True

    def last_start(self, after: datetime, until: datetime) -> datetime | None:
        """Return the first start later than ``after`` and not after ``until``, if there is one."""
        if self.every_seconds:
            # Counted from wherever one looks: it has no hour of its own.
            every = after.replace(microsecond=0) + timedelta(seconds=self.every_seconds)
            return every if every <= until else None
        start = self.next_start(after)
        return start if start is not None and start <= until else None

    def next_start(self, after: datetime) -> datetime | None:
        """Return the first start later than ``after``; None: it never comes."""
        if self.every_seconds:
            return after.replace(microsecond=0) + timedelta(seconds=self.every_seconds)
        minutes, hours, _, months, _ = self.fields
        at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = after + _HORIZON
        while at < end:
            if at.month not in months:
                at = (at.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            elif not self._is_day(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in minutes:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _is_day(self, at: datetime) -> bool:
        day, weekday = at.day in self.fields[2], at.isoweekday() % 7 in self.fields[4]
        # Both given: either is enough, as cron has always had it.
        return day and weekday if self.any_day or self.any_weekday else day or weekday


@dataclass(frozen=True, slots=True)
class Window:
    """A schedule and how long it stays open."""

    schedule: Schedule
    seconds: float


@dataclass(frozen=True, slots=True)
class SyncWindows:
    """``kind`` allow: refreshes come inside only; deny: outside only."""

    allows: bool
    windows: tuple[Window, ...]


def windows_of(spec: Mapping[str, Any]) -> SyncWindows:
    """Read ``syncWindows``; raises ``ValueError`` that names the window."""
    found = spec.get("windows") or ()
    if not 0 < len(found) <= MOST_WINDOWS:
        raise ValueError(f"windows: expected 1 to {MOST_WINDOWS}, found {len(found)}")
    windows = []
    for number, one in enumerate(found):
        try:
            seconds = seconds_of(str(one.get("duration") or ""))
            schedule = schedule_of(str(one.get("schedule") or ""))
        except ValueError as error:
            raise ValueError(f"windows[{number}]: {error}") from None
        if seconds <= 0:
            raise ValueError(f"windows[{number}]: duration is not more than nothing")
        windows.append(Window(schedule, min(seconds, _HORIZON.total_seconds())))
    return SyncWindows(spec.get("kind") != "deny", tuple(windows))


def schedule_of(text: str) -> Schedule:
    """Read a schedule; raises ``ValueError`` that names the field."""
    if text.startswith("@every "):
        seconds = seconds_of(text.removeprefix("@every ").strip())
        return Schedule(every_seconds=max(1, int(min(seconds, _HORIZON.total_seconds()))))
    fields = _WORDS.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"schedule {text!r}: expected five fields, a word such as @daily, or @every and a duration")
    sets = tuple(_field(one, *about) for one, about in zip(fields, _FIELDS, strict=True))
    stars = [one in {"*", "?", "*/1"} for one in fields]
    return Schedule(fields=sets, any_day=stars[2], any_weekday=stars[4])


def _field(text: str, name: str, least: int, most: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.upper().split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"schedule: {name} {text!r} cannot be read")
        star = match["from"] in {"*", "?"}
        start = least if star else _number(match["from"], names, name)
        end = most if star else _number(match["to"], names, name) if match["to"] else start
        step = int(match["step"]) if match["step"] else 1
        if match["step"] and not star and not match["to"]:
            end = most  # 5/15 is 5-59/15
        if (star and match["to"]) or step < 1 or not least <= start <= end <= most:
            raise ValueError(f"schedule: {name} {text!r}: expected {least} to {most}, in order")
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int], name: str) -> int:
    if text in names:
        return names[text]
    if not text.isascii() or text[0] not in "0123456789":
        raise ValueError(f"schedule: {name} {text!r} cannot be read")
    return int(text)


def is_blocked(windows: SyncWindows | None, now: datetime) -> bool:
    """Return whether a refresh that is due has to wait."""
    if windows is None:
        return False
    is_open = any(_opened(window, now) is not None for window in windows.windows)
    return is_open != windows.allows


def seconds_to_change(windows: SyncWindows, now: datetime) -> float:
    """Return how long it is until a window opens or closes, a day at most; the question is then asked again."""
    moments = []
    for window in windows.windows:
        opened = _opened(window, now)
        if opened is not None:
            moments.append(opened + timedelta(seconds=window.seconds))
        following = window.schedule.next_start(now)
        if following is not None:
            moments.append(following)
    waits = [(moment - now).total_seconds() for moment in moments if moment > now]
    # A start counts from the moment after it.
    return max(1.0, min([*waits, 86_400.0]) + 1.0)


def _opened(window: Window, now: datetime) -> datetime | None:
    """Return when the window that is open now began."""
    now = now.astimezone(UTC)
    return window.schedule.last_start(now - timedelta(seconds=window.seconds), now)
