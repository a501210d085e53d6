"""Whether an object must be written again, and what came of writing it. Pure.

What an object holds is told by the API server alone: it keeps quantities, empty values and defaults in its own form, so
a comparison of texts would find a difference for ever. A write by server-side apply that changes nothing makes no new
version; what came of the last one is remembered here, and the object is left alone until either side changes.

Someone else may undo each write of ours. The first few are put back at once, then the waits double, and the user is
told which fields they are: two that fight make no progress, and every other control plane waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyless.kube import Backoff, KubeObject
from keyless.space.items import STAMP, Item

CORRECTIONS = 3
"""So many are put back at once: people edit by hand, and a first write may meet a controller's."""
FORGOTTEN_AFTER = timedelta(minutes=15)
"""Longer than the longest wait, so that a fight is not taken for a new one each time."""
_WAITS = Backoff(first_seconds=2.0, cap_seconds=300.0)
NAMED_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Applied:
    """What is known of the last write of one object."""

    stamp: str
    uid: str
    version: str
    """The object's resourceVersion after it."""
    at: datetime
    corrections: int = 0
    """How many times in a row the same content had to be written again."""
    fields: tuple[str, ...] = ()
    """What the last correction changed."""


def due_in_seconds(wanted: Item, live: KubeObject | None, applied: Applied | None, now: datetime) -> float | None:
    """When to write ``wanted``: 0 or less now, more later, None not at all."""
    stamp = stamp_of(wanted.object)
    if live is not None and _is_settled(wanted, live, applied):
        return None
    if applied is None or applied.stamp != stamp or applied.corrections < CORRECTIONS:
        return 0.0
    wait = _WAITS.seconds(applied.corrections - CORRECTIONS + 1)
    return max(0.0, wait - (now - applied.at).total_seconds())


def is_contested(applied: Applied, now: datetime) -> bool:
    """Whether the object does not stay as it is written."""
    return applied.corrections >= CORRECTIONS and now - applied.at < FORGOTTEN_AFTER


def after_writing(
    wanted: Item, before: KubeObject | None, after: KubeObject, applied: Applied | None, now: datetime
) -> Applied:
    """What to remember of a write that found ``before`` and left ``after``."""
    stamp, metadata = stamp_of(wanted.object), after["metadata"]
    again = applied is not None and applied.stamp == stamp and now - applied.at < FORGOTTEN_AFTER
    corrections = applied.corrections if applied is not None and again else 0
    changed = ("all of it",) if before is None else tuple(changed_fields(wanted.object, before, after))
    uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
    if not changed:
        at, fields = (applied.at, applied.fields) if applied is not None and again else (now, ())
        return Applied(stamp, uid, version, at, corrections, fields)
    return Applied(stamp, uid, version, now, corrections + 1 if again else 0, changed)


def changed_fields(wanted: Any, before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The paths below ``wanted`` at which ``before`` and ``after`` differ."""
    if before == after:
        return
    if isinstance(wanted, dict) and isinstance(before, dict) and isinstance(after, dict):
        for key, value in wanted.items():
            yield from changed_fields(value, before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(wanted, list) and _same_length(wanted, before, after):
        for index, value in enumerate(wanted):
            yield from changed_fields(value, before[index], after[index], f"{path}[{index}]")
    else:
        yield path


def stamp_of(obj: KubeObject) -> str:
    """The stamp of its content that an object carries; empty for one that is not ours."""
    return str((obj["metadata"].get("annotations") or {}).get(STAMP, ""))


def covers(live: Any, wanted: Any) -> bool:
    """Whether ``live`` holds all of ``wanted``, letter by letter; lists must have as many items, in the same order.

    Yes is certain and saves a write after a restart; no means only that the API server must be asked.
    """
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return not wanted and live is None
        return all(covers(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(live, list):
            return not wanted and live is None
        return len(live) == len(wanted) and all(covers(*pair) for pair in zip(live, wanted, strict=True))
    return bool(live == wanted)


def _is_settled(wanted: Item, live: KubeObject, applied: Applied | None) -> bool:
    metadata, stamp = live["metadata"], stamp_of(wanted.object)
    if applied is not None and (applied.stamp, applied.uid, applied.version) == (
        stamp,
        metadata.get("uid", ""),
        metadata.get("resourceVersion", ""),
    ):
        return True
    return stamp_of(live) == stamp and covers(live, wanted.object)


def _same_length(*lists: Any) -> bool:
    return all(isinstance(each, list) and len(each) == len(lists[0]) for each in lists)
