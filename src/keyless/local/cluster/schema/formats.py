"""The string formats that Kubernetes checks; all other names are ignored, as it ignores them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from uuid import UUID

UNITS = "ns|us|µs|μs|ms|s|m|h"
WORDS = (
    r"n|ns|nano|nanosec|nanosecond|nanoseconds|us|µs|μs|micro|microsec|microsecond|microseconds|ms|milli|millisec|"
    r"millisecond|milliseconds|s|sec|second|seconds|m|min|minute|minutes|h|hr|hour|hours|d|day|days|w|wk|week|weeks"
)
GO_DURATION = re.compile(rf"[-+]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:{UNITS}))+)")
LONG_DURATION = re.compile(rf"(?:[0-9]+\s*(?:{WORDS})[ ,]*)+", re.IGNORECASE)
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]")
HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[-A-Za-z0-9]{0,62}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]{0,62}[A-Za-z0-9])?)*\.?"
)
EMAIL = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+")
URI = re.compile(r"(?:[A-Za-z][-A-Za-z0-9+.]*:|/)[^\s]*")
MAC = re.compile(
    r"(?:[0-9A-Fa-f]{2}[:-]){5}(?:[0-9A-Fa-f]{2}[:-]){0,14}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2,9}[0-9A-Fa-f]{4}"
)
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
HEX_COLOUR = re.compile(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
RGB_COLOUR = re.compile(r"rgb\(\s*[0-9]{1,3}\s*,\s*[0-9]{1,3}\s*,\s*[0-9]{1,3}\s*\)")
ISBN10 = re.compile(r"[0-9]{9}[0-9X]")
ISBN13 = re.compile(r"[0-9]{13}")
SSN = re.compile(r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}")
CARD = re.compile(r"[0-9]{13,19}")
OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")


def _accepts(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _matches(*patterns: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: any(pattern.fullmatch(text) for pattern in patterns)


def _date(text: str) -> bool:
    return bool(DATE.fullmatch(text)) and _accepts(date.fromisoformat)(text)


def _date_time(text: str) -> bool:
    return bool(DATE_TIME.fullmatch(text)) and _accepts(datetime.fromisoformat)(text.upper())


def _uuid(version: int | None) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            found = UUID(text)
        except ValueError:
            return False
        return version is None or found.version == version

    return check


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "bsonobjectid": _matches(OBJECT_ID),
    "byte": _matches(BASE64),
    "cidr": lambda text: "/" in text and _accepts(lambda value: ipaddress.ip_network(value, strict=False))(text),
    "creditcard": _matches(CARD),
    "date": _date,
    "datetime": _date_time,
    "duration": _matches(GO_DURATION, LONG_DURATION),
    "email": _matches(EMAIL),
    "hexcolor": _matches(HEX_COLOUR),
    "hostname": _matches(HOSTNAME),
    "ipv4": _accepts(ipaddress.IPv4Address),
    "ipv6": _accepts(ipaddress.IPv6Address),
    "isbn": _matches(ISBN10, ISBN13),
    "isbn10": _matches(ISBN10),
    "isbn13": _matches(ISBN13),
    "mac": _matches(MAC),
    "password": lambda text: True,  # noqa: ARG005 - any text is a password
    "rgbcolor": _matches(RGB_COLOUR),
    "ssn": _matches(SSN),
    "uri": _matches(URI),
    "uuid": _uuid(None),
    "uuid3": _uuid(3),
    "uuid4": _uuid(4),
    "uuid5": _uuid(5),
}


def fits(name: str, text: str) -> bool:
    """Whether ``text`` has the format; unknown formats fit everything. Dashes in names do not count."""
    check = FORMATS.get(name.replace("-", ""))
    return check is None or check(text)
