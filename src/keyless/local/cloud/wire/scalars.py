"""Single values between text and Python: timestamps, numbers, booleans, base64."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.shapes import Shape

_NUMBERS = {"integer": int, "long": int, "float": float, "double": float}
#: Python reads more as a number than a wire format holds: underscores, blanks, digits of other scripts
_WRITTEN = re.compile(r"[0-9A-Za-z.+-]+", re.ASCII)


def from_text(shape: Shape, text: str) -> Any:
    """Read ``text`` (a form field, header, argument or XML text) as ``shape`` says."""
    kind = shape.kind
    if kind == "string":
        return text
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind in _NUMBERS:
            if not _WRITTEN.fullmatch(text) or not in_range(kind, number := _NUMBERS[kind](text)):
                raise ValueError(kind)
            return number
        if kind == "timestamp":
            return timestamp_from_text(text)
        if kind == "blob":
            return base64.b64decode(text, validate=True)
    except (ValueError, KeyError, OverflowError, binascii.Error):
        raise AwsError("MalformedInput", f"A value of type {kind} was expected") from None
    return text


def in_range(kind: str, number: float) -> bool:
    """Whether a number fits its kind: 32 bits for an ``integer``, 64 for a ``long``."""
    bits = {"integer": 31, "long": 63}.get(kind)
    return bits is None or -(1 << bits) <= number < 1 << bits


def timestamp_from_text(text: str) -> datetime:
    """Read ISO 8601, RFC 822 or epoch seconds; raises ``ValueError``."""
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if text[:1].isascii() and text[:1].isalpha():
        return parsedate_to_datetime(text)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def to_text(shape: Shape, value: Any, *, timestamps: str) -> str:
    """Write ``value`` as text; ``timestamps`` is the format where the shape names none."""
    kind = shape.kind
    if kind == "string":
        return str(value)
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return str(timestamp_to_wire(value, shape.timestamps or timestamps))
    if kind == "blob":
        return base64.b64encode(value).decode()
    if kind in {"float", "double"}:
        return str(special_float(value))
    return str(value)


_EPOCH = re.compile(r"[0-9]{1,15}(\.[0-9]*)?")
SPECIAL_FLOATS = frozenset({"NaN", "Infinity", "-Infinity"})


def special_float(value: float) -> float | str:
    """AWS's word for a number that JSON and XML have no digits for; any other number as it is."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def timestamp_to_wire(value: datetime | float, form: str) -> str | int | float:
    """Write a time (aware datetime or epoch seconds) as ``iso8601``, ``rfc822`` or ``unixTimestamp``."""
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    moment = moment.astimezone(UTC)
    if form == "unixTimestamp":
        seconds = round(moment.timestamp(), 3)
        return int(seconds) if seconds == int(seconds) else seconds
    if form == "rfc822":
        return format_datetime(moment, usegmt=True)
    if moment.microsecond:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
