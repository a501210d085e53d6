"""When a snapshot is due, which ones go, which one is restored. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from keyless.api import Reason, Refusal
from keyless.backup.model import (
    ENCRYPTION,
    FILES,
    MANIFEST,
    SNAPSHOT,
    Malformed,
    Manifest,
    State,
    Wanted,
    home,
    minor_of,
    read_untrusted,
    taken_at,
)

UNFINISHED_FOR = timedelta(days=1)
"""How long a folder without a manifest is left alone: a slow upload of another pod may still be under way."""


def folders(keys: Iterable[str], place: str) -> Mapping[str, frozenset[str]]:
    """What lies below ``place`` that is ours, by folder, oldest first; everything else there is somebody else's."""
    found: dict[str, set[str]] = {}
    for key in keys:
        folder, slash, name = key.removeprefix(place).partition("/")
        if key.startswith(place) and slash and name in FILES and taken_at(folder) is not None:
            found.setdefault(folder, set()).add(name)
    return {folder: frozenset(found[folder]) for folder in sorted(found, key=_order)}


def complete(found: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The folders that hold a whole snapshot, oldest first."""
    return tuple(folder for folder, names in found.items() if names.issuperset(FILES))


def newest(found: Mapping[str, frozenset[str]]) -> datetime | None:
    """When the last whole snapshot was taken."""
    whole = complete(found)
    return taken_at(whole[-1]) if whole else None


def due_in_seconds(last: datetime | None, now: datetime, interval: timedelta) -> float:
    """0: now. A clock that was ahead delays the next one by an interval at most."""
    if last is None:
        return 0.0
    return min(max((last + interval - now).total_seconds(), 0.0), interval.total_seconds())


def to_delete(keys: Iterable[str], place: str, *, keep: int, now: datetime) -> tuple[str, ...]:
    """The keys that go, in order: of each folder the manifest first, so that what is half deleted is no snapshot.

    The newest ``keep`` whole snapshots stay (one at least). What was cut off goes when it is a day old and a whole
    snapshot is newer. An etcd's revision only grows: what is of a higher one than the newest is of an etcd that was
    lost, and may be all that is left of it.
    """
    found = folders(keys, place)
    whole = complete(found)
    kept = whole[-max(keep, 1) :]
    gone = {folder for folder in set(whole) - set(kept) if _revision(folder) <= _revision(kept[-1])}
    if kept:
        gone |= {folder for folder in found if folder not in whole and _is_cut_off(folder, kept[-1], now)}
    names = (MANIFEST, ENCRYPTION, SNAPSHOT)
    return tuple(
        f"{place}{folder}/{name}" for folder in found if folder in gone for name in names if name in found[folder]
    )


def _is_cut_off(folder: str, last: str, now: datetime) -> bool:
    at = taken_at(folder)
    return at is not None and _order(folder) < _order(last) and now - at > UNFINISHED_FOR


def _order(folder: str) -> tuple[str, int]:
    return folder.partition("-")[0], _revision(folder)


def _revision(folder: str) -> int:
    return int(folder.partition("-")[2])


def choose(wanted: Wanted, keys: Iterable[str], prefix: str) -> str | Refusal:
    """The folder to restore, as a key that ends in a slash.

    Where none is named it is the newest, unless an older one is of a higher revision: then etcd began anew in between,
    and which of its lives is wanted only a person knows.
    """
    place = home(prefix, wanted.control_plane_id)
    found = folders(keys, place)
    whole = complete(found)
    if not wanted.folder and whole:
        most = max(whole, key=_revision)
        return f"{place}{whole[-1]}/" if _revision(most) == _revision(whole[-1]) else _of_two(wanted, most, whole[-1])
    if wanted.folder in whole:
        return f"{place}{wanted.folder}/"
    there = ", ".join(whole[-5:]) or "none that is whole"
    what = f"snapshot {wanted.folder}" if wanted.folder else "a snapshot"
    cut = " (it is there without all of its parts: its writing was cut off)" if wanted.folder in found else ""
    return Refusal(Reason.SNAPSHOT_MISSING, f"{place}: expected {what}{cut}, found {there}")


def _of_two(wanted: Wanted, most: str, last: str) -> Refusal:
    plane = wanted.control_plane_id
    return Refusal(
        Reason.SNAPSHOT_OF_TWO_LIVES,
        f"{plane}: expected revisions of etcd to grow, found the newest snapshot {last} below the older {most}: etcd "
        f"began anew in between; name the one that is wanted, {plane}/{most} from before that or {plane}/{last}",
    )


def read_manifest(body: bytes, wanted: Wanted, key: str, *, etcd: str) -> Manifest | Refusal:
    """The manifest of the chosen folder, where this release and ``etcd`` (a version) can take it back."""
    try:
        manifest = read_untrusted(body)
    except Malformed as fault:
        return Refusal(Reason.SNAPSHOT_BROKEN, f"{key}: {fault}")
    if manifest.source.id != wanted.control_plane_id or not key.endswith(f"/{manifest.folder}/{MANIFEST}"):
        found = f"{manifest.source.id}/{manifest.folder}"
        return Refusal(
            Reason.SNAPSHOT_OF_ANOTHER,
            f"{key}: expected the manifest of a snapshot of control plane {wanted.control_plane_id}, found that of "
            f"{found}: it was moved there; name that one",
        )
    theirs, ours = minor_of(manifest.state.version), minor_of(etcd)
    if theirs is None or (ours is not None and theirs > ours):
        return Refusal(
            Reason.SNAPSHOT_TOO_NEW,
            f"{key}: expected a snapshot of etcd {etcd} or older, found one of {manifest.state.version}: set "
            "controlPlanes.kubernetes.images.etcd to that version or a newer one",
        )
    return manifest


def emptied(expected: str, state: State) -> Refusal | None:
    """Whether etcd holds another control plane's life than the one whose snapshots these are.

    An etcd whose volume was emptied answers like any other, and its snapshot would be the newest one: it is never
    stored. ``expected`` is what the operator knows, empty where it knows nothing yet.
    """
    if not expected or state.holds == expected:
        return None
    return Refusal(
        Reason.DATA_LOST,
        f"etcd: expected namespace kube-system with uid {expected}, found {state.holds or 'none'}: it began anew, and "
        "nothing of it is stored or removed; Ready of the ControlPlane says what to do",
    )


def broken(manifest: Manifest, size: int, sha256: str, key: str) -> Refusal | None:
    """Whether what was downloaded is what was stored."""
    if (size, sha256) == (manifest.size, manifest.sha256):
        return None
    what = f"{size} bytes" if size != manifest.size else "other bytes of the same length"
    return Refusal(
        Reason.SNAPSHOT_BROKEN,
        f"{key}: expected {manifest.size} bytes with the sha256 of its manifest, found {what}; restore an older one",
    )
