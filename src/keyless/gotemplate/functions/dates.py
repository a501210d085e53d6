"""sprig's functions on dates. The present is not known in templates, so a value that is no time is an error here.

List: https://masterminds.github.io/sprig/date.html. Differences from sprig, all towards an error: a text that is no
time, where sprig goes on with the year 1; a zone other than UTC; what sprig would take the present for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyless.gotemplate.casting import parse_int, wrapped
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.timeparsing import parsed
from keyless.gotemplate.times import NANO, Time, duration_of, duration_text, formatted
from keyless.gotemplate.values import Int64, decoded, encoded, type_of

_UTC = frozenset({b"", b"UTC", b"Local"})


def _time(value: Any) -> Time:
    if isinstance(value, Time):
        return Time(value.seconds, value.nanos)
    if isinstance(value, int) and not isinstance(value, bool):
        return Time(int(value))
    raise Problem(f"needs a time or whole seconds since 1970, found {type_of(value)}; read a text with toDate")


def _date(layout: bytes, value: Any, zone: bytes = b"") -> bytes:
    if zone not in _UTC:
        raise Problem("UTC is the only zone that templates know")
    return encoded(formatted(_time(value), decoded(layout)))


def _to_date(layout: bytes, text: bytes) -> Time:
    return parsed(decoded(layout), decoded(text))


def _modified(by: bytes, time: Time) -> Time:
    nanos = duration_of(decoded(by))
    if nanos is None:
        raise Problem("the first argument is no duration such as -1.5h")
    return time.moved(nanos)


def _duration(value: Any) -> bytes:
    seconds = parse_int(value, 10)[0] if isinstance(value, bytes) else value if isinstance(value, Int64) else 0
    return duration_text(wrapped(seconds * NANO)).encode()


_ROUND = (("y", 365 * 86_400), ("mo", 30 * 86_400), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def _rounded(value: Any) -> bytes:
    if isinstance(value, Time):
        raise Problem("the time since then changes with the clock")
    nanos = (duration_of(decoded(value)) or 0) if isinstance(value, bytes) else value if isinstance(value, Int64) else 0
    seconds = abs(nanos) // NANO
    name, unit = next(((name, unit) for name, unit in _ROUND if seconds >= unit), ("s", 1))
    return f"{seconds // unit}{name}".encode()


DATES: Mapping[str, Function] = {
    "date": Function("sa", _date),
    "dateInZone": Function("sas", _date),
    "date_in_zone": Function("sas", _date),
    "htmlDate": Function("a", lambda value: _date(b"2006-01-02", value)),
    "htmlDateInZone": Function("as", lambda value, zone: _date(b"2006-01-02", value, zone)),
    "toDate": Function("ss", _to_date, cost="spell"),
    "mustToDate": Function("ss", _to_date, cost="spell"),
    **{name: Function("st", _modified) for name in ("dateModify", "date_modify", "mustDateModify", "must_date_modify")},
    "unixEpoch": Function("t", lambda time: b"%d" % time.seconds),
    "duration": Function("a", _duration),
    "durationRound": Function("a", _rounded),
}
