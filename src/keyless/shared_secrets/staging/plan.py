"""Which control planes may take a new version now. Pure.

A SharedExternalSecret names its stages by annotation. Each control plane's controller says in a row of
``status.rotation`` which versions it holds and whether its workloads are ready, and decides for itself by the rows of
the others: there is nothing else to remember, so any controller may stop after any step.

A control plane of the first stage takes what is new. One of a later stage takes it when all of the stage before hold it
and have been ready for as long as was asked. What was withdrawn (the provider went back to a version that a later
stage never left) is taken back at once, for it has been through all stages.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.kube import KubeObject
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.stores.model import RemoteRef

STAGES = "keyless.dev/rotation-stages"
"""Comma-separated, each larger than the one before: names of control planes, then ``N`` or ``N%`` of them by name."""
WAIT = "keyless.dev/rotation-wait"
"""How long a stage must have been ready before the next one begins: a duration, ``0s`` when absent."""
STUCK_AFTER = "keyless.dev/rotation-stuck-after"
"""After which wait a stage counts as stuck: a duration, ``10m`` when absent."""
MOST_STAGES = 20
_PART = re.compile(r"([0-9]{1,6})(%?)")

Versions = Mapping[str, str]
"""What is read, by store and key → the provider's name of its version."""


class StagingFault(ValueError):
    """An annotation says nothing that can be followed."""


@dataclass(frozen=True, slots=True)
class Staging:
    """What a SharedExternalSecret asks for."""

    stages: tuple[str, ...]
    wait_seconds: float = 0.0
    stuck_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Why a control plane may not take a version yet, in words for people."""

    message: str


def staging_of(shared: KubeObject) -> Staging | None:
    """Read the annotations; None: a new version goes to all at once. Raises ``StagingFault``."""
    annotations = shared["metadata"].get("annotations") or {}
    text = annotations.get(STAGES)
    if text is None:
        return None
    parts = tuple(part.strip() for part in str(text).split(","))
    if not all(parts) or len(parts) > MOST_STAGES:
        raise StagingFault(
            f'annotation {STAGES}: expected up to {MOST_STAGES} names, numbers or shares such as "ctp1, 25%", '
            f"found {str(text)[:100]!r}"
        )
    for part in parts:
        if part.endswith("%") and not ((found := _PART.fullmatch(part)) and 0 < int(found[1]) <= 100):
            raise StagingFault(f"annotation {STAGES}: expected a share from 1% to 100%, found {part[:20]!r}")
    return Staging(parts, _seconds(annotations, WAIT, "0s"), _seconds(annotations, STUCK_AFTER, "10m"))


def _seconds(annotations: Mapping[str, Any], name: str, absent: str) -> float:
    said = str(annotations.get(name) or absent)
    try:
        seconds = seconds_of(said)
    except ValueError:
        seconds = -1.0
    if seconds < 0:
        raise StagingFault(f"annotation {name}: expected a duration such as 5m, found {said[:40]!r}")
    return seconds


def stage_sets(staging: Staging, planes: Iterable[str]) -> list[frozenset[str]]:
    """Return who has a new version after each stage; the last is everybody. A name that is not there is nobody."""
    everybody = sorted(set(planes))
    sets: list[frozenset[str]] = []
    named: list[str] = []
    for part in staging.stages:
        found = _PART.fullmatch(part)
        if found is None:
            named += [part] if part in everybody and part not in named else []
            taken = named
        else:
            # A share of few is one at least: a stage of nobody would prove nothing.
            many = -(-len(everybody) * int(found[1]) // 100) if found[2] else int(found[1])
            taken = [*named, *(name for name in everybody if name not in named)][: max(1, len(named), many)]
        grown = frozenset(taken) | (sets[-1] if sets else frozenset())
        if grown and (not sets or grown != sets[-1]):
            sets.append(grown)
    if not sets or sets[-1] != frozenset(everybody):
        sets.append(frozenset(everybody))
    return sets


def held_of(sources: Iterable[KubeObject] | None, *, offered: bool = False) -> dict[str, str] | None:
    """Return the versions that an ExternalSecret's ``status.sources`` say it holds, or was offered last.

    None: what is found by a search, or carries a version that is not told, cannot be compared.
    """
    held: dict[str, str] = {}
    for source in sources or ():
        version = (source.get("seenVersion") if offered else None) or source.get("version")
        if not version:
            return None
        remote = RemoteRef(
            str(source.get("key") or ""), str(source.get("requestedVersion") or ""), bool(source.get("metadata"))
        )
        held[name_of_source(str(source.get("storeKind")), str(source.get("store")), remote)] = str(version)
    return held or None


def name_of_source(store_kind: str, store: str, remote: RemoteRef) -> str:
    """Return the name under which ``held_of`` knows a version."""
    return json.dumps([store_kind, store, remote.key, remote.version, remote.metadata])


def is_new(held: Versions, offered: Versions) -> bool:
    """Return whether something that is held has another version now; what the spec names anew is no rotation."""
    return any(offered.get(name, version) != version for name, version in held.items())


def revision_of(versions: Versions) -> str:
    """Return one short word for what is held: made of names of versions, of no value."""
    return hashlib.sha256(json.dumps(sorted(versions.items())).encode()).hexdigest()[:16]


def waits_for(
    staging: Staging, me: str, planes: Sequence[str], rows: Mapping[str, KubeObject], revision: str, now: datetime
) -> Waits | None:
    """Return what ``me`` waits for before it takes ``revision``; None: it may take it."""
    sets = stage_sets(staging, {*planes, me})
    mine = next(number for number, one in enumerate(sets) if me in one)
    if mine == 0:
        return None
    before, number = sorted(sets[mine - 1]), mine + 1
    others = [rows[name] for name in before if name in rows and rows[name].get("revision") != revision]
    if _never_left([rows[name] for name in set(planes) - sets[mine] if name in rows], others, revision):
        return None
    words = [word for name in before if (word := _lacks(name, rows.get(name), revision, staging, now))]
    if not words:
        return None
    return Waits(f"stage {number} of {len(sets)} waits for {'; '.join(words[:3])}{' …' if len(words) > 3 else ''}")


def _never_left(later: Iterable[KubeObject], others: Iterable[KubeObject], revision: str) -> bool:
    """Return whether one of a later stage has held ``revision`` since before the earlier ones took what they hold.

    One that came after that took it because it had nothing to keep: it proves nothing.
    """
    taken = [str(row.get("since", "")) for row in others]
    held = [str(row.get("since", "")) for row in later if row.get("revision") == revision and row.get("since")]
    return bool(taken and held) and min(held) < min(taken)


def _lacks(name: str, row: KubeObject | None, revision: str, staging: Staging, now: datetime) -> str:
    if row is None or row.get("revision") != revision:
        return f"{name}, which does not hold it yet"
    if not row.get("ready"):
        return f"{name}, whose workloads are not ready" + (f" ({row['message']})" if row.get("message") else "")
    since = _time(row.get("readySince"))
    if since is None or (now - since).total_seconds() < staging.wait_seconds:
        return f"{name}, ready since {row.get('readySince')}, for {staging.wait_seconds:g} s"
    return ""


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
