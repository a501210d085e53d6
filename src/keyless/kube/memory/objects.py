"""The objects of the memory server: versions, a log of changes, and those who follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from keyless.kube.memory.apply import Owned
from keyless.kube.memory.route import Key
from keyless.kube.model import EventType
from keyless.kube.resources import KubeObject


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change; a bookmark has no key."""

    type: EventType
    version: int
    key: Key | None = None
    object: KubeObject | None = None
    old: KubeObject | None = None


@dataclass(slots=True, eq=False)
class Follower:
    """A reader of the log: where it stands, and the news that wakes it."""

    position: int
    news: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: bool = False


class Objects:
    """All objects with one counter for all resource versions."""

    def __init__(self) -> None:
        self.version = 1
        self.oldest = 0
        """Watches must not start before this version: the log was cut there."""
        self.owners: dict[Key, dict[str, Owned]] = {}
        self._current: dict[Key, KubeObject] = {}
        self._log: list[Change] = []
        self._followers: set[Follower] = set()

    def get(self, key: Key) -> KubeObject | None:
        """The object there, if any."""
        return self._current.get(key)

    def items(self) -> list[tuple[Key, KubeObject]]:
        """Everything, ordered as lists are: by namespace and name."""
        return sorted(self._current.items(), key=lambda pair: (pair[0].namespace, pair[0].name))

    def put(self, key: Key, obj: KubeObject) -> KubeObject:
        """Store a new state; returns it with its resourceVersion."""
        self.version += 1
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        old = self._current.get(key)
        self._current[key] = stored
        self._tell(Change("MODIFIED" if old else "ADDED", self.version, key, stored, old))
        return stored

    def remove(self, key: Key) -> KubeObject:
        """Forget an object; its last state carries the version of its removal."""
        self.version += 1
        old = self._current.pop(key)
        self.owners.pop(key, None)
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._tell(Change("DELETED", self.version, key, last, old))
        return last

    def bookmark(self) -> None:
        """Send every follower the present version."""
        self._tell(Change("BOOKMARK", self.version))

    def cut(self) -> None:
        """Forget the log: whoever was not following up to now gets 410."""
        self.oldest = self.version

    def drop_followers(self) -> None:
        """End every stream, as a restarting server does."""
        for follower in self._followers:
            follower.dropped = True
            follower.news.set()

    def follow(self, version: int | None) -> Follower:
        """Start reading after ``version``, or from now."""
        after = self.version if version is None else version
        position = next((i for i, change in enumerate(self._log) if change.version > after), len(self._log))
        follower = Follower(position)
        self._followers.add(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        """Stop reading."""
        self._followers.discard(follower)

    def read(self, follower: Follower) -> Iterator[Change]:
        """What the follower has not seen yet."""
        while follower.position < len(self._log) and not follower.dropped:
            change = self._log[follower.position]
            follower.position += 1
            yield change

    def _tell(self, change: Change) -> None:
        self._log.append(change)
        for follower in self._followers:
            follower.news.set()
