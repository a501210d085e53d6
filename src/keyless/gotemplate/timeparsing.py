"""Go's ``time.Parse``: what a layout makes of a text.

Rules: https://pkg.go.dev/time#Parse (a fraction may follow the seconds though the layout has none; an abbreviation
that is not the local zone's is a zone of its own with no offset).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from keyless.gotemplate.errors import Problem
from keyless.gotemplate.times import CHUNK, DAYS, MONTHS, Time, since_epoch

_LEAP = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FRACTION = re.compile(r"[.,][0-9]+")
_ZONE = re.compile(r"ChST|MeST|GMT(?:[+-][0-9]{1,2})?(?![A-Z])|[+-][0-9]{2}|[A-Z]{3,5}(?![A-Z])")


class _Bad(Problem):
    def __init__(self) -> None:
        super().__init__("the text is no time of this layout")


@dataclass(slots=True)
class _Read:
    text: str
    parts: dict[str, int] = field(default_factory=dict)
    zone: str = ""

    def number(self, least: int, most: int) -> int:
        match = re.compile(f"[0-9]{{{least},{most}}}").match(self.text)
        if not match:
            raise _Bad
        self.text = self.text[match.end() :]
        return int(match.group())

    def take(self, name: str, least: int, most: int, low: int, high: int) -> None:
        found = self.number(least, most)
        if not low <= found <= high:
            raise _Bad
        self.parts[name] = found

    def one_of(self, names: tuple[str, ...]) -> int:
        for at, name in enumerate(names):
            if self.text[: len(name)].lower() == name.lower():
                self.text = self.text[len(name) :]
                return at
        raise _Bad

    def literal(self, expected: str) -> None:
        while expected:
            if expected[0] == " ":
                if self.text and self.text[0] != " ":
                    raise _Bad
                expected, self.text = expected.lstrip(" "), self.text.lstrip(" ")
                continue
            if self.text[:1] != expected[0]:
                raise _Bad
            expected, self.text = expected[1:], self.text[1:]

    def blanks(self, most: int) -> None:
        for _ in range(most):
            self.text = self.text.removeprefix(" ")


def parsed(layout: str, text: str) -> Time:
    """Return the time; raises ``Problem``, which does not show the text."""
    read, at = _Read(text), 0
    chunks = list(CHUNK.finditer(layout))
    for index, match in enumerate(chunks):
        read.literal(layout[at : match.start()])
        at = match.end()
        follows = chunks[index + 1].group() if index + 1 < len(chunks) else ""
        _take(read, match.group(), follows)
    read.literal(layout[at:])
    if read.text:
        raise _Bad
    return _made(read)


_NUMBERS = {
    "1": ("month", 1, 2, 1, 12),
    "01": ("month", 2, 2, 1, 12),
    "2": ("day", 1, 2, 0, 99),
    "_2": ("day", 1, 2, 0, 99),
    "02": ("day", 2, 2, 0, 99),
    "15": ("hour", 1, 2, 0, 23),
    "3": ("hour", 1, 2, 0, 12),
    "03": ("hour", 2, 2, 0, 12),
    "4": ("minute", 1, 2, 0, 59),
    "04": ("minute", 2, 2, 0, 59),
    "5": ("second", 1, 2, 0, 59),
    "05": ("second", 2, 2, 0, 59),
    "2006": ("year", 4, 4, 0, 9999),
    "002": ("yearday", 3, 3, 0, 999),
    "__2": ("yearday", 1, 3, 0, 999),
}
_NAMES = {
    "January": ("month", MONTHS),
    "Jan": ("month", tuple(name[:3] for name in MONTHS)),
    "Monday": ("", DAYS),
    "Mon": ("", tuple(name[:3] for name in DAYS)),
}


def _take(read: _Read, chunk: str, follows: str) -> None:
    if chunk in _NAMES:
        name, names = _NAMES[chunk]
        read.parts[name] = read.one_of(names) + 1
    elif chunk in _NUMBERS:
        read.blanks(chunk.count("_"))
        read.take(*_NUMBERS[chunk])
        if chunk in {"5", "05"} and follows[:1] not in {".", ","}:
            _fraction(read)
    elif chunk == "06":
        year = read.number(2, 2)
        read.parts["year"] = year + (1900 if year >= 69 else 2000)
    elif chunk in {"PM", "pm"}:
        marks = ("AM", "PM") if chunk == "PM" else ("am", "pm")
        if read.text[:2] not in marks:
            raise _Bad
        read.parts["pm"], read.text = marks.index(read.text[:2]), read.text[2:]
    elif chunk == "MST":
        _abbreviation(read)
    elif chunk[0] in ".,":
        if chunk[1] == "0" and not re.match(f"[.,][0-9]{{{len(chunk) - 1}}}", read.text):
            raise _Bad
        _fraction(read, len(chunk) if chunk[1] == "0" else 10)
    else:
        _offset(read, chunk)


def _fraction(read: _Read, most: int = 1 << 20) -> None:
    match = _FRACTION.match(read.text)
    if match:
        digits = match.group()[1:most]
        read.parts["nanos"] = int(digits[:9].ljust(9, "0"))
        read.text = read.text[1 + len(digits) :]


def _abbreviation(read: _Read) -> None:
    if read.text.startswith("UTC"):
        read.zone, read.text = "UTC", read.text[3:]
        read.parts["utc"] = 1
        return
    match = _ZONE.match(read.text)
    if not match:
        raise _Bad
    name = match.group()
    # Abbreviations of four and five letters end in T, but one.
    if len(name) > 3 and name.isalpha() and not name.endswith("T") and name != "WITA":
        raise _Bad
    read.zone, read.text = name, read.text[match.end() :]


def _offset(read: _Read, chunk: str) -> None:
    if chunk[0] == "Z" and read.text.startswith("Z"):
        read.parts["utc"], read.text = 1, read.text[1:]
        return
    colon = ":" if ":" in chunk else ""
    count = len(chunk.replace(":", "")) // 2
    match = re.match("([+-])" + colon.join(["([0-9]{2})"] * count), read.text)
    if not match:
        raise _Bad
    hours, minutes, seconds = (*map(int, match.groups()[1:]), 0, 0)[:3]
    if hours > 24 or minutes > 60 or seconds > 60:
        raise _Bad
    total = hours * 3600 + minutes * 60 + seconds
    read.parts["offset"], read.text = (-total if match[1] == "-" else total), read.text[match.end() :]


def _made(read: _Read) -> Time:
    parts = read.parts
    year = parts.get("year", 0)
    month, day = _day(parts, year)
    hour = parts.get("hour", 0)
    if "pm" in parts:
        hour = hour + 12 if parts["pm"] and hour < 12 else 0 if not parts["pm"] and hour == 12 else hour
    clock = hour * 3600 + parts.get("minute", 0) * 60 + parts.get("second", 0)
    seconds, nanos = since_epoch(year, month, day, clock), parts.get("nanos", 0)
    if "utc" in parts:
        return Time(seconds, nanos)
    if "offset" in parts:
        offset = parts["offset"]
        local = offset == 0 and read.zone in {"", "UTC"}
        return Time(seconds - offset, nanos, offset, "UTC" if local else read.zone)
    if read.zone:
        hours = int(read.zone[3:]) if read.zone.startswith("GMT") and len(read.zone) > 3 else 0
        return Time(seconds, nanos, hours * 3600, read.zone)
    return Time(seconds, nanos)


def _day(parts: dict[str, int], year: int) -> tuple[int, int]:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    months = _LEAP if leap else (31, 28, *_LEAP[2:])
    if "yearday" in parts:
        left = parts["yearday"]
        if not 1 <= left <= sum(months):
            raise _Bad
        month = 1
        while left > months[month - 1]:
            left -= months[month - 1]
            month += 1
        if parts.get("month", month) != month or parts.get("day", left) != left:
            raise _Bad
        return month, left
    month, day = parts.get("month", 1), parts.get("day", 1)
    if not 1 <= day <= months[month - 1]:
        raise _Bad
    return month, day
