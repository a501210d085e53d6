"""What changed between two whole states of a collection. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keyless.kube.model import Event, Name, version_of
from keyless.kube.resources import KubeObject


def differences(held: Mapping[Name, KubeObject], listed: Mapping[Name, KubeObject]) -> Iterator[Event]:
    """The events that lead from ``held`` to ``listed``: after a missed watch there are no ghosts and no repeats.

    An object that was deleted and made anew under its name is a deletion and an addition: it is another object.
    """
    for name, old in held.items():
        new = listed.get(name)
        if new is None or _uid(new) != _uid(old):
            yield Event("DELETED", old, old)
    for name, new in listed.items():
        old = held.get(name)  # type: ignore[assignment]  # from here on it may be missing
        if old is None or _uid(new) != _uid(old):
            yield Event("ADDED", new)
        elif version_of(new) != version_of(old):
            yield Event("MODIFIED", new, old)


def _uid(obj: KubeObject) -> str | None:
    uid: str | None = obj["metadata"].get("uid")
    return uid
