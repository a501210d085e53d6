"""When a CronJob runs: its schedule and its time zone, with the words of the parser that Kubernetes uses.

Spec: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#writing-a-cronjob-spec and
https://pkg.go.dev/github.com/robfig/cron/v3 (``ParseStandard``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from keyless.local.cluster.faults import FieldError, invalid, required

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: tuple[tuple[int, int, Mapping[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_NAMED = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_DURATION = re.compile(r"[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+|[-+]?0")
_NUMBER = re.compile(r"[-+]?[0-9]+")


def timing(spec: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[FieldError]:
    """The faults of ``spec.schedule`` and ``spec.timeZone``."""
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        return [required("spec.schedule"), *_zone(zone, old)]
    errors = []
    if problem := schedule_fault(schedule):
        errors.append(invalid("spec.schedule", schedule, problem))
    elif "TZ" in schedule and "TZ" not in ((old or {}).get("schedule") or ""):
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid("spec.schedule", schedule, text))
    return errors + _zone(zone, old)


def _zone(zone: str | None, old: Mapping[str, Any] | None) -> list[FieldError]:
    # What is stored may stay: the zone may have been known to the machine that stored it.
    if zone is None or (old is not None and old.get("timeZone") == zone):
        return []
    if not zone:
        return [invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        return [invalid("spec.timeZone", zone, text)]
    return (
        [] if _is_zone(zone) or not _is_zone("UTC") else [invalid("spec.timeZone", zone, f"unknown time zone {zone}")]
    )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # absent, no name, a folder of zones
        return False
    return True


def schedule_fault(schedule: str) -> str:
    """Why a schedule cannot be read; empty for a good one."""
    spec = schedule
    if spec.startswith(("TZ=", "CRON_TZ=")):
        head, _, spec = spec.partition(" ")
        if not _is_zone(head.partition("=")[2]):
            return f"provided bad location {head.partition('=')[2]}: unknown time zone {head.partition('=')[2]}"
        spec = spec.strip()
    if spec.startswith("@"):
        return _descriptor_fault(spec)
    fields = spec.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for text, (low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in text.split(","):
            if part and (problem := _range_fault(part, low, high, names)):
                return problem
    return ""


def _descriptor_fault(spec: str) -> str:
    if spec in _NAMED:
        return ""
    if spec.startswith("@every "):
        text = spec.removeprefix("@every ")
        fits = _DURATION.fullmatch(text)
        return "" if fits else f'failed to parse duration {spec}: time: invalid duration "{text}"'
    return f"unrecognized descriptor: {spec}"


def _range_fault(part: str, low: int, high: int, names: Mapping[str, int]) -> str:
    span, *steps = part.split("/")
    start_text, *ends = span.split("-")
    try:
        if start_text in {"*", "?"}:
            start, end = low, high
        else:
            start = _number(start_text, names)
            if len(ends) > 1:
                return f"too many hyphens: {part}"
            end = _number(ends[0], names) if ends else start
        if len(steps) > 1:
            return f"too many slashes: {part}"
        step = _number(steps[0], {}) if steps else 1
    except ValueError as error:
        return str(error)
    if steps and not ends and start_text not in {"*", "?"}:
        end = high  # "5/10" is every ten from five on
    return _bounds_fault(part, (start, end, step), low, high)


def _bounds_fault(part: str, found: tuple[int, int, int], low: int, high: int) -> str:
    start, end, step = found
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {part}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {part}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {part}"
    return "" if step else f"step of range should be a positive number: {part}"


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not _NUMBER.fullmatch(text) or len(text) > 18:
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)
