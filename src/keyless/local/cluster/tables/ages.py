"""Times and durations as kubectl shows them: ``5m12s``, ``3h``, ``2d4h``."""

from __future__ import annotations

from datetime import UTC, datetime

UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365


def human(seconds: float) -> str:
    """A duration in at most two units; the coarser the longer it is."""
    whole = int(seconds)
    if seconds <= -2:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 2 * MINUTE:
        return f"{whole}s"
    if whole < 10 * MINUTE:
        return _two(whole, (MINUTE, "m"), (1, "s"))
    if whole < 3 * HOUR:
        return f"{whole // MINUTE}m"
    if whole < 8 * HOUR:
        return _two(whole, (HOUR, "h"), (MINUTE, "m"))
    if whole < 2 * DAY:
        return f"{whole // HOUR}h"
    if whole < 8 * DAY:
        return _two(whole, (DAY, "d"), (HOUR, "h"))
    if whole < 2 * YEAR:
        return f"{whole // DAY}d"
    if whole < 8 * YEAR:
        return _two(whole, (YEAR, "y"), (DAY, "d"))
    return f"{whole // YEAR}y"


def _two(whole: int, major: tuple[int, str], minor: tuple[int, str]) -> str:
    rest = whole % major[0] // minor[0]
    return f"{whole // major[0]}{major[1]}" + (f"{rest}{minor[1]}" if rest else "")


def moment(value: object) -> datetime | None:
    """An RFC 3339 time; ``None`` for what is none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since(value: object, now: datetime) -> str:
    """How long ago; ``<unknown>`` without a time."""
    found = moment(value)
    return UNKNOWN if found is None else human((now - found).total_seconds())
