"""Every object of every cluster: sorted in memory, durable in SQLite, watched from a ring.

One integer counts for the whole store: the resourceVersion of a change is the row id of an append-only log table.
``commit`` is one synchronous function: the row is in SQLite's write-ahead log before anybody (caller, subscriber,
watch) hears of it, so ``kill -9`` loses nothing that was answered. Objects are immutable by convention and encoded
once. The log is kept to a window; a watch that asks for less than the window gets Expired, as from etcd.

This module knows no Kubernetes rule but one: it writes ``metadata.resourceVersion``.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

MIGRATIONS = (
    """CREATE TABLE IF NOT EXISTS cluster_log (
        rv INTEGER PRIMARY KEY AUTOINCREMENT, cluster TEXT NOT NULL, api_group TEXT NOT NULL, resource TEXT NOT NULL,
        namespace TEXT NOT NULL, name TEXT NOT NULL, op TEXT NOT NULL, value BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS cluster_current (
        cluster TEXT NOT NULL, api_group TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL,
        name TEXT NOT NULL, rv INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (cluster, api_group, resource, namespace, name)) WITHOUT ROWID""",
)
LOG_WINDOW = 5000
"""Log rows kept for watches that resume after a restart; also how far any watch may lag behind."""
RING_SIZE = 1000
_COMPACT_EVERY = 500

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]
BucketKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object lives. ``namespace`` is empty at the cluster scope, ``group`` in the core group."""

    cluster: str
    group: str
    resource: str
    namespace: str
    name: str

    @property
    def bucket(self) -> BucketKey:
        """The map and the ring that hold the object."""
        return (self.cluster, self.group, self.resource)


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of an object, and its JSON bytes. Never change ``object`` in place."""

    key: Key
    rv: int
    object: dict[str, Any]
    data: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """A committed change. ``old`` is None for ADDED, and for changes before a restart whose old state is compacted."""

    type: ChangeType
    entry: Entry
    old: Entry | None


Callback = Callable[[Change], None]
Entries = list[Entry]
Pairs = list[tuple[str, str]]
Changes = list[Change]


@dataclass(slots=True)
class _Bucket:
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)
    ring: deque[Change] = field(default_factory=deque)
    floor: int = 0
    callbacks: list[Callback] = field(default_factory=list)

    def put(self, entry: Entry) -> None:
        place = (entry.key.namespace, entry.key.name)
        if place not in self.entries:
            insort(self.order, place)
        self.entries[place] = entry

    def drop(self, key: Key) -> None:
        place = (key.namespace, key.name)
        del self.entries[place]
        del self.order[bisect_left(self.order, place)]

    def remember(self, change: Change) -> None:
        self.ring.append(change)
        if len(self.ring) > RING_SIZE:
            self.floor = self.ring.popleft().entry.rv


class Store:
    """The objects of all clusters; one writer, one thread."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._buckets: dict[BucketKey, _Bucket] = {}
        self._callbacks: list[Callback] = []
        for statement in MIGRATIONS:
            database.execute(statement)
        self._rv = self._last_row()
        self._floor = self._load()

    @property
    def resource_version(self) -> int:
        """The resourceVersion of the newest change."""
        return self._rv

    def get(self, key: Key) -> Entry | None:
        """The current version of an object."""
        bucket = self._buckets.get(key.bucket)
        return bucket.entries.get((key.namespace, key.name)) if bucket else None

    def list(self, cluster: str | None, group: str, resource: str, namespace: str | None = None) -> Entries:
        """Entries sorted by namespace and name; ``cluster`` None means all clusters, ``namespace`` None all."""
        if cluster is None:
            names = sorted(name for name, grp, res in self._buckets if (grp, res) == (group, resource))
            return [entry for name in names for entry in self.list(name, group, resource, namespace)]
        bucket = self._buckets.get((cluster, group, resource))
        if bucket is None:
            return []
        if namespace is None:
            return [bucket.entries[place] for place in bucket.order]
        low, high = bisect_left(bucket.order, (namespace, "")), bisect_right(bucket.order, (namespace, "\U0010ffff"))
        return [bucket.entries[place] for place in bucket.order[low:high]]

    def resources(self, cluster: str) -> Pairs:
        """The (group, resource) pairs that hold at least one object in the cluster."""
        return sorted((grp, res) for (name, grp, res), b in self._buckets.items() if name == cluster and b.entries)

    def put(self, key: Key, obj: dict[str, Any]) -> Entry:
        """Create or replace; returns the entry with its resourceVersion, durable."""
        rv = self._rv + 1
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(rv)}}
        entry = Entry(key, rv, stored, orjson.dumps(stored))
        old = self.get(key)
        self._commit(Change("MODIFIED" if old else "ADDED", entry, old))
        return entry

    def delete(self, key: Key, final: dict[str, Any] | None = None) -> Entry:
        """Remove; returns the last state (``final`` where given) with the resourceVersion of the removal."""
        old = self.get(key)
        if old is None:
            raise KeyError(key)
        rv, last = self._rv + 1, final or old.object
        stored = {**last, "metadata": {**last["metadata"], "resourceVersion": str(rv)}}
        entry = Entry(key, rv, stored, orjson.dumps(stored))
        self._commit(Change("DELETED", entry, old))
        return entry

    def drop_cluster(self, cluster: str) -> None:
        """Forget every object of a cluster, with a DELETED change for each."""
        for group, resource in self.resources(cluster):
            for entry in self.list(cluster, group, resource):
                self.delete(entry.key)

    def subscribe(self, callback: Callback, *, bucket: BucketKey | None = None) -> Callable[[], None]:
        """Call ``callback`` after each commit (of one bucket, or all); returns the function that ends it."""
        callbacks = self._bucket(bucket).callbacks if bucket else self._callbacks
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    def since(self, bucket: BucketKey, rv: int) -> Changes | None:
        """The bucket's changes after ``rv``, or None when they are no longer all known."""
        held = self._bucket(bucket)
        if rv < max(held.floor, self._floor):
            return None
        return [change for change in held.ring if change.entry.rv > rv]

    def compact(self) -> None:
        """Forget the log, as if its window had passed: older watches are Expired from now on."""
        self._floor = self._rv
        for bucket in self._buckets.values():
            bucket.ring.clear()

    def _bucket(self, key: BucketKey) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket()
        return bucket

    def _commit(self, change: Change) -> None:
        self._write(change)
        self._rv = change.entry.rv
        bucket = self._bucket(change.entry.key.bucket)
        if change.type == "DELETED":
            bucket.drop(change.entry.key)
        else:
            bucket.put(change.entry)
        bucket.remember(change)
        for callback in (*bucket.callbacks, *self._callbacks):
            callback(change)

    def _write(self, change: Change) -> None:
        key, entry, execute = change.entry.key, change.entry, self._database.execute
        place = (key.cluster, key.group, key.resource, key.namespace, key.name)
        execute("BEGIN IMMEDIATE")
        try:
            execute(
                "INSERT INTO cluster_log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (entry.rv, *place, change.type, entry.data)
            )
            if change.type == "DELETED":
                execute(
                    "DELETE FROM cluster_current"
                    " WHERE cluster=? AND api_group=? AND resource=? AND namespace=? AND name=?",
                    place,
                )
            else:
                execute("REPLACE INTO cluster_current VALUES (?, ?, ?, ?, ?, ?, ?)", (*place, entry.rv, entry.data))
            if entry.rv % _COMPACT_EVERY == 0:
                execute("DELETE FROM cluster_log WHERE rv <= ?", (entry.rv - LOG_WINDOW,))
            execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction by itself.
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise

    def _last_row(self) -> int:
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name='cluster_log'").fetchone()
        return int(row[0]) if row else 0

    def _load(self) -> int:
        rows = self._database.execute(
            "SELECT cluster, api_group, resource, namespace, name, rv, value FROM cluster_current"
            " ORDER BY 1, 2, 3, 4, 5"
        )
        for cluster, group, resource, namespace, name, rv, value in rows:
            key = Key(cluster, group, resource, namespace, name)
            self._bucket(key.bucket).put(Entry(key, rv, orjson.loads(value), value))
        first = self._rv
        before: dict[Key, Entry] = {}
        for change in self._log():
            first = min(first, change.entry.rv - 1)
            key = change.entry.key
            self._bucket(key.bucket).remember(Change(change.type, change.entry, before.get(key)))
            before[key] = change.entry
        return first

    def _log(self) -> Iterator[Change]:
        rows = self._database.execute(
            "SELECT rv, cluster, api_group, resource, namespace, name, op, value FROM"
            " (SELECT * FROM cluster_log ORDER BY rv DESC LIMIT ?) ORDER BY rv",
            (RING_SIZE,),
        )
        for rv, cluster, group, resource, namespace, name, op, value in rows:
            yield Change(
                op, Entry(Key(cluster, group, resource, namespace, name), rv, orjson.loads(value), value), None
            )
