"""Points in time as Go's ``time`` prints and reads them by layout. Pure: the present is not known here.

Rules: https://pkg.go.dev/time (Layout, Parse, ParseDuration). The local zone is UTC, as in External Secrets' image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.values import Int64, Struct

NANO = 1_000_000_000
DAY = 86_400
# Farther than any calendar: beyond it Go's own years wrap.
_FARTHEST = 1 << 50
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
CHUNK = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|[-Z]07(?::00:00|0000|:00|00)?|[.,](?:0+|9+)(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Time(Struct):
    """Seconds since 1970 in UTC, nanoseconds, and the zone it is shown in: seconds east, and its name."""

    seconds: int
    nanos: int = 0
    offset: int = 0
    zone: str = "UTC"
    go_type = "time.Time"

    def __post_init__(self) -> None:
        if abs(self.seconds) > _FARTHEST:
            raise Problem("the time is out of the calendar")

    def text(self) -> str:
        """Return Go's ``String``."""
        return formatted(self, "2006-01-02 15:04:05.999999999 -0700 MST")

    def json(self) -> str:
        """Return RFC 3339, which has no year before 0 and none after 9999."""
        if not 0 <= civil(self.seconds + self.offset)[0] <= 9999:
            raise Problem("JSON has no such year")
        return formatted(self, "2006-01-02T15:04:05.999999999Z07:00")

    def members(self) -> Mapping[str, Any]:
        """Return what Go's methods without arguments answer."""
        year, month, day, yearday = civil(self.seconds + self.offset)
        clock = (self.seconds + self.offset) % DAY
        return {
            "Year": year,
            "Day": day,
            "YearDay": yearday,
            "Hour": clock // 3600,
            "Minute": clock % 3600 // 60,
            "Second": clock % 60,
            "Nanosecond": self.nanos,
            "Unix": Int64(self.seconds),
            "Month": MONTHS[month - 1].encode(),
            "Weekday": DAYS[weekday(self.seconds + self.offset)].encode(),
            "String": self.text().encode(),
            "UTC": Time(self.seconds, self.nanos),
        }

    def identity(self) -> Any:
        """Return what tells two times apart."""
        return (self.seconds, self.nanos, self.offset, self.zone)

    def moved(self, nanos: int) -> Time:
        """Return the time so much later."""
        more, left = divmod(self.nanos + nanos, NANO)
        return Time(self.seconds + more, left, self.offset, self.zone)


def civil(seconds: int) -> tuple[int, int, int, int]:
    """Return year, month, day and day of the year, in the Gregorian calendar of all times."""
    days = seconds // DAY + 719_468
    era, left = divmod(days, 146_097)
    year = (left - left // 1460 + left // 36_524 - left // 146_096) // 365
    since_march = left - (365 * year + year // 4 - year // 100)
    shifted = (5 * since_march + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year += era * 400 + (month <= 2)
    return year, month, since_march - (153 * shifted + 2) // 5 + 1, seconds // DAY - _days(year, 1, 1) + 1


def _days(year: int, month: int, day: int) -> int:
    year -= month <= 2
    era, left = divmod(year, 400)
    in_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + left * 365 + left // 4 - left // 100 + in_year - 719_468


def since_epoch(year: int, month: int, day: int, clock: int) -> int:
    """Return the seconds since 1970 of a date and the seconds of its day."""
    return _days(year, month, day) * DAY + clock


def weekday(seconds: int) -> int:
    """Return the day of the week, 0 for Sunday."""
    return (seconds // DAY + 4) % 7


def formatted(time: Time, layout: str) -> str:
    """Return Go's ``Format``."""
    local = time.seconds + time.offset
    date = civil(local)
    return CHUNK.sub(lambda match: _chunk(match.group(), time, local, date), layout)


def _chunk(chunk: str, time: Time, local: int, date: tuple[int, int, int, int]) -> str:
    if chunk[0] in ".,":
        digits = f"{time.nanos:09d}"[: len(chunk) - 1].ljust(min(len(chunk) - 1, 9), "0")
        if chunk[1] == "9":
            digits = digits.rstrip("0")
            return chunk[0] + digits if digits else ""
        return chunk[0] + digits.ljust(len(chunk) - 1, "0")
    if chunk[0] in "-Z" and chunk[1:3] == "07":
        return "Z" if chunk[0] == "Z" and not time.offset else offset_text(time.offset, chunk[1:])
    year, month, day, yearday = date
    clock = local % DAY
    hour, minute, second = clock // 3600, clock % 3600 // 60, clock % 60
    half = hour % 12 or 12
    return {
        "2006": f"{'-' if year < 0 else ''}{abs(year):04d}",
        "06": f"{year % 100:02d}",
        "January": MONTHS[month - 1],
        "Jan": MONTHS[month - 1][:3],
        "1": f"{month}",
        "01": f"{month:02d}",
        "Monday": DAYS[weekday(local)],
        "Mon": DAYS[weekday(local)][:3],
        "2": f"{day}",
        "_2": f"{day:2d}",
        "02": f"{day:02d}",
        "__2": f"{yearday:3d}",
        "002": f"{yearday:03d}",
        "15": f"{hour:02d}",
        "3": f"{half}",
        "03": f"{half:02d}",
        "4": f"{minute}",
        "04": f"{minute:02d}",
        "5": f"{second}",
        "05": f"{second:02d}",
        "PM": "PM" if hour >= 12 else "AM",
        "pm": "pm" if hour >= 12 else "am",
        "MST": time.zone or offset_text(time.offset, "0700"),
    }[chunk]


def offset_text(offset: int, form: str) -> str:
    """Return ``+02:00`` in the form of the layout: ``07``, ``0700``, ``07:00`` and with seconds."""
    sign, rest = ("-" if offset < 0 else "+"), abs(offset)
    parts = [f"{rest // 3600:02d}", f"{rest % 3600 // 60:02d}", f"{rest % 60:02d}"]
    count = len(form.replace(":", "")) // 2
    return sign + (":" if ":" in form else "").join(parts[:count])


_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": NANO, "m": 60 * NANO, "h": 3600 * NANO}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def duration_of(text: str) -> int | None:
    """Return ``time.ParseDuration`` in nanoseconds; None where it fails."""
    body = text[1:] if text[:1] in {"-", "+"} else text
    if body == "0":
        return 0
    found = list(_DURATION.finditer(body))
    if not found or len(body) > 100 or "".join(match.group() for match in found) != body:
        return None
    total = 0
    for match in found:
        whole, _, fraction = match[1].partition(".")
        unit = _UNITS[match[2]]
        total += int(whole or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
    limit = 1 << 63
    if total > limit or (total == limit and not text.startswith("-")):
        return None
    return -total if text.startswith("-") else total


def duration_text(nanos: int) -> str:
    """Return Go's ``Duration.String``."""
    rest, sign = abs(nanos), "-" if nanos < 0 else ""
    if not rest:
        return "0s"
    if rest < NANO:
        name, unit = next((n, u) for n, u in (("ms", 10**6), ("µs", 1000), ("ns", 1)) if rest >= u)
        return f"{sign}{_decimal(rest, unit)}{name}"
    minutes, left = divmod(rest, 60 * NANO)
    seconds = f"{_decimal(left, NANO)}s"
    if not minutes:
        return sign + seconds
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(value: int, unit: int) -> str:
    whole, left = divmod(value, unit)
    digits = f"{left:0{len(str(unit)) - 1}d}".rstrip("0") if left else ""
    return f"{whole}.{digits}" if digits else f"{whole}"
