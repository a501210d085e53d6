"""Who is there, by uid, and who depends on whom: what garbage collection must find without reading everything.

Kept up by the store's changes. Holds keys and uids alone, a few hundred bytes for an object.
"""

from __future__ import annotations

from collections import defaultdict

from keyless.local.cluster.store import Change, Entry, Key

Uid = tuple[str, str]
"""Cluster and uid: an owner is looked for in its dependent's own cluster only."""


class Graph:
    """Objects and their references to owners."""

    def __init__(self) -> None:
        self._keys: dict[Uid, Key] = {}
        self._dependents: dict[Uid, set[Key]] = defaultdict(set)

    def add(self, entry: Entry) -> None:
        """Learn an object."""
        cluster, metadata = entry.key.cluster, entry.object["metadata"]
        self._keys[cluster, metadata["uid"]] = entry.key
        for owner in metadata.get("ownerReferences") or ():
            self._dependents[cluster, owner["uid"]].add(entry.key)

    def accept(self, change: Change) -> None:
        """Follow a change."""
        if change.old is not None:
            self._forget(change.old)
        if change.type == "DELETED":
            self._forget(change.entry)
        else:
            self.add(change.entry)

    def find(self, cluster: str, uid: str) -> Key | None:
        """Where the object with that uid is, if it is."""
        return self._keys.get((cluster, uid))

    def dependents(self, cluster: str, uid: str) -> list[Key]:
        """Who refers to that uid; a list, for it changes while one works on it."""
        return sorted(self._dependents.get((cluster, uid), ()), key=lambda key: (key.resource, key.namespace, key.name))

    def _forget(self, entry: Entry) -> None:
        cluster, metadata = entry.key.cluster, entry.object["metadata"]
        if self._keys.get((cluster, metadata["uid"])) == entry.key:
            del self._keys[cluster, metadata["uid"]]
        for owner in metadata.get("ownerReferences") or ():
            held = self._dependents.get((cluster, owner["uid"]))
            if held is not None:
                held.discard(entry.key)
                if not held:
                    del self._dependents[cluster, owner["uid"]]
