"""Decide about one ExternalSecret: is it due, what becomes of its target, what is said. Pure.

What is written is in ``target``, what may not be in ``refusals``, what may not go yet in ``deletion``.

Rules: https://external-secrets.io/latest/api/externalsecret/ (refreshPolicy, creationPolicy, deletionPolicy)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.shared_secrets.sync.hashes import data_hash, resource_version
from keyless.shared_secrets.sync.model import Source, Wanted
from keyless.shared_secrets.sync.target import DATA_HASH_ANNOTATION, MANAGED_LABEL, data_of, is_owned
from keyless.shared_secrets.sync.windows import is_blocked, seconds_to_change

SYNCED = "secret synced"
SYNCED_RETAIN = "secret retained due to DeletionPolicy=Retain"
DELETED = "secret deleted due to DeletionPolicy=Delete"
MISSING = "secret will not be created due to CreationPolicy=Merge"
GET_FAILED = "could not get secret data from provider"
UPDATE_FAILED = "could not update secret"
DELETE_FAILED = "could not delete secret"
ORPHANS_FAILED = "could not delete orphaned secrets"
# A Merge target that does not exist carries no label, so no watch tells when somebody makes it.
SECONDS_TO_LOOK_FOR_TARGET = 10.0
NEW_SECONDS = 5.0
MOST_OWN_SECONDS = 30.0
"""What was read for the very object that asks; its wait for a worker is no reason to read it twice."""
MOST_SHARED_SECONDS = 60.0
SPREAD, MOST_SPREAD_SECONDS = 0.1, 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """What the condition Ready says; ``again_seconds`` is set where the next try has its own time."""

    ready: bool
    reason: str
    message: str
    again_seconds: float | None = None


def is_due(obj: KubeObject, wanted: Wanted, target: KubeObject | None, now: datetime) -> bool:
    """Return whether the provider is to be read: by the refresh policy, or because the target is not as it was left."""
    if _ready(obj).get("reason") == Reason.TARGET_CONTENDED:
        return True  # also when the other writer gave in: else nothing would take the word back
    return policy_asks(obj, wanted, now) or not is_valid(obj, wanted, target)


def is_changed(obj: KubeObject) -> bool:
    """Return whether a person changed the object since it was synced: its spec, a label or an annotation."""
    return bool(_status(obj).get("syncedResourceVersion") != resource_version(obj))


def policy_asks(obj: KubeObject, wanted: Wanted, now: datetime) -> bool:
    """Return whether the refresh policy asks for a read."""
    synced = _synced_at(obj)
    version = _status(obj).get("syncedResourceVersion")
    if wanted.policy == "CreatedOnce":
        return synced is None or not version
    if wanted.policy == "OnChange":
        return synced is None or is_changed(obj)
    if wanted.interval_seconds <= 0:
        return synced is None
    if is_changed(obj) or synced is None or synced > now:
        return True
    # Hours that a person set hold back what time alone asks for, neither a new object nor a change.
    return not (_seconds_until(synced, wanted, now) > 0 or is_blocked(wanted.windows, now))


def seconds_to_next(obj: KubeObject, wanted: Wanted, now: datetime, spread: str) -> float | None:
    """Return when the next periodic read is due; None: only a change asks for one.

    ``spread`` is the control plane's own: it and the store decide at which second of a tick the reads come, all of one
    store together, so that they travel in few calls, and those of two control planes apart.
    """
    if wanted.policy != "Periodic" or wanted.interval_seconds <= 0:
        return SECONDS_TO_LOOK_FOR_TARGET if _ready(obj).get("reason") == Reason.SECRET_MISSING else None
    seconds = _seconds_to_tick(_synced_at(obj) or now, wanted, now, spread)
    if seconds <= 0 and wanted.windows is not None and is_blocked(wanted.windows, now):
        seconds = seconds_to_change(wanted.windows, now)
    return min(seconds, SECONDS_TO_LOOK_FOR_TARGET) if _ready(obj).get("reason") == Reason.SECRET_MISSING else seconds


def seconds_after_sync(wanted: Wanted, now: datetime, spread: str) -> float | None:
    """Return the wait after a sync that just succeeded, as ``seconds_to_next`` does."""
    if wanted.policy != "Periodic" or wanted.interval_seconds <= 0:
        return None
    return _seconds_to_tick(now, wanted, now, spread)


def _seconds_until(synced: datetime, wanted: Wanted, now: datetime) -> float:
    # Seconds, not a date: an interval may lead past the calendar's end.
    return wanted.interval_seconds - (now - synced).total_seconds()


def _seconds_to_tick(synced: datetime, wanted: Wanted, now: datetime, spread: str) -> float:
    """Return the wait to the first tick after the interval's end: a tenth of it later at most, a minute at most."""
    tick = min(MOST_SPREAD_SECONDS, wanted.interval_seconds * SPREAD)
    stores = sorted({f"{source.store.kind}/{source.store.name}" for source in _sources(wanted)})
    digest = hashlib.sha256("\0".join((spread, *stores)).encode()).digest()
    offset = int.from_bytes(digest[:8]) / 2**64 * tick
    due = synced.timestamp() + wanted.interval_seconds
    late = (offset - due) % tick
    return max(0.0, due + late - now.timestamp())


def _sources(wanted: Wanted) -> Iterator[Source]:
    yield from (item.source for item in wanted.extracts)
    yield from (item.source for item in wanted.data)


def most_age_seconds(obj: KubeObject, wanted: Wanted, *, fresh: bool, since_seconds: float = 0.0) -> float:
    """Return how old a value may be that was read before: none where a person asks anew.

    A twentieth of the interval is less than Secrets Manager's own delay matters to who reads so seldom. A new object
    takes what was read a moment ago, so that hundreds made together are one call; one that a person changed takes what
    was read for that very change, ``since_seconds`` ago, however long it waited for a worker.
    """
    own = min(since_seconds, MOST_OWN_SECONDS)
    if fresh:
        return own if _synced_at(obj) else max(own, NEW_SECONDS)
    if wanted.policy != "Periodic" or wanted.interval_seconds <= 0:
        return 0.0
    return min(MOST_SHARED_SECONDS, wanted.interval_seconds / 20)


def is_valid(obj: KubeObject, wanted: Wanted, target: KubeObject | None) -> bool:
    """Return whether the target is as the last sync left it."""
    if wanted.creation in {"Orphan", "None"}:
        return True
    if target is None:
        # A Merge without its target, or a target that the deletion policy removed, waits for the next refresh.
        reason = _ready(obj).get("reason")
        return reason in {Reason.SECRET_MISSING, Reason.SECRET_DELETED} and not is_changed(obj)
    metadata = target["metadata"]
    if wanted.creation == "Owner" and not is_owned(obj, target):
        return False
    if (metadata.get("labels") or {}).get(MANAGED_LABEL) != "true":
        return False
    said = (metadata.get("annotations") or {}).get(DATA_HASH_ANNOTATION)
    return bool(said == data_hash(data_of(target)))


def outcome(wanted: Wanted, read: Mapping[str, bytes], target: KubeObject | None) -> str:
    """Return what to do with what was read: ``write``, ``delete``, ``retain`` (nothing found) or ``missing``."""
    if wanted.creation == "None":
        return "nothing"
    if not read:
        if wanted.deletion == "Delete" and wanted.creation == "Owner":
            return "delete"
        if wanted.deletion == "Retain":
            return "retain"
    if target is None and wanted.creation == "Merge":
        return "missing"
    return "write"


def _status(obj: KubeObject) -> dict[str, Any]:
    return obj.get("status") or {}


def _ready(obj: KubeObject) -> dict[str, Any]:
    return next((c for c in _status(obj).get("conditions") or () if c.get("type") == "Ready"), {})


def _synced_at(obj: KubeObject) -> datetime | None:
    text = _status(obj).get("refreshTime")
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
