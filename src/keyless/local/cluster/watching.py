"""watch: the changes of a collection as JSON lines, in batches, with bookmarks.

Each watch subscribes to its collection, wakes once for all changes of a loop turn and sends them as one chunk. One
that falls too far behind is ended with Expired: the client lists again, as it would against etcd.
Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from keyless.api.numbers import is_digits
from keyless.local.cluster.api import Api
from keyless.local.cluster.conversion import entries_in_version
from keyless.local.cluster.list_options import check_options
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.objects import Target
from keyless.local.cluster.presenting import View, view
from keyless.local.cluster.reading import Filter, select, too_new, wanted
from keyless.local.cluster.status import ApiError, bad_request, expired
from keyless.local.cluster.store import Change, Entry

BOOKMARK_SECONDS = 60.0
MAX_BEHIND = 5000
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


@dataclass(slots=True)
class _Lines:
    """Turns changes into lines of the stream, in the caller's form."""

    view: View
    keep: Filter
    columns_sent: bool = False

    def change(self, change: Change) -> bytes:
        """The line for a change, or nothing when the caller does not see it."""
        new, old = change.entry, change.old
        sees_new = change.type != "DELETED" and self.keep(new.object)
        saw_old = self.keep(old.object) if old else change.type != "ADDED" and self.keep(new.object)
        if sees_new:
            return self.line("MODIFIED" if saw_old and change.type == "MODIFIED" else "ADDED", new.object, new.data)
        if saw_old or (old is None and change.type == "MODIFIED"):
            return self._gone(change)
        return b""

    def _gone(self, change: Change) -> bytes:
        if change.type == "DELETED":
            return self.line("DELETED", change.entry.object, change.entry.data)
        # It left the selection: the caller gets the state it knew, with the version of the change.
        last = (change.old or change.entry).object
        metadata = {**last["metadata"], "resourceVersion": str(change.entry.rv)}
        return self.line("DELETED", {**last, "metadata": metadata}, None)

    def line(self, kind: str, obj: dict[str, Any], data: bytes | None) -> bytes:
        """One event."""
        return b'{"type":"' + kind.encode() + b'","object":' + self._object(obj, data) + b"}\n"

    def _object(self, obj: dict[str, Any], data: bytes | None) -> bytes:
        if self.view.form != "table":
            return self.view.one(obj, data)
        body = self.view.table([obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})
        if self.columns_sent:
            body = {**body, "columnDefinitions": None}
        self.columns_sent = True
        return orjson.dumps(body)

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """A bookmark: no object changed, but the caller may resume from here."""
        served = self.view.served
        metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        body: dict[str, Any] = {"kind": served.kind, "apiVersion": served.api_version, "metadata": metadata}
        if self.view.form == "metadata":
            body |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        if self.view.form == "table":
            body |= {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": None, "rows": []}
        return orjson.dumps({"type": "BOOKMARK", "object": body}) + b"\n"


def error_line(error: ApiError) -> bytes:
    """An error inside the stream."""
    return orjson.dumps({"type": "ERROR", "object": error.status}) + b"\n"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the query of a watch asks for."""

    version: int
    initial: bool
    initial_end: bool
    bookmarks: bool
    seconds: float


def _asked(request: Request) -> _Asked:
    check_options(request, watch=True)
    text = request.params.get("resourceVersion", "") or "0"
    seconds = request.params.get("timeoutSeconds", "") or "0"
    if not is_digits(seconds):
        raise bad_request(f'strconv.ParseInt: parsing "{seconds}": invalid syntax')
    listed = request.flag("sendInitialEvents")
    bookmarks = request.flag("allowWatchBookmarks")
    # Kubernetes ends watches after 30 to 60 minutes; the spread keeps clients from coming back all at once.
    limit = float(seconds) or 1800 * (1 + random.random())  # noqa: S311 - no secret
    return _Asked(int(text), listed or text == "0", listed and bookmarks, bookmarks, limit)


class _Pending:
    """Changes that the caller has not been sent yet; beyond a limit they are let go, and the watch with them."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self._changes: list[Change] = []
        self._overflown = False

    def add(self, change: Change) -> None:
        """Called by the store, while a slow caller may still be sent earlier ones."""
        self._overflown = self._overflown or len(self._changes) >= MAX_BEHIND
        if self._overflown:
            self._changes.clear()
        else:
            self._changes.append(change)
        self.ready.set()

    def take(self) -> list[Change] | None:
        """All of them; None once some were let go."""
        self.ready.clear()
        changes, self._changes = self._changes, []
        return None if self._overflown else changes


async def watch(api: Api, request: Request, target: Target) -> Reply:
    """Open a watch; errors that are known at once are answered as such, later ones arrive in the stream."""
    lines = _Lines(view(request, target.served, api.now), wanted(request, target))
    asked = _asked(request)
    current = api.store.resource_version
    if asked.version > current:
        raise too_new(asked.version, current)
    first: list[Entry] = await select(api, target, lines.keep) if asked.initial else []
    start = current if asked.initial else asked.version
    return Reply(200, stream=_stream(api, target, lines, asked, (start, first)), media_type="application/json")


async def _stream(
    api: Api, target: Target, lines: _Lines, asked: _Asked, begin: tuple[int, list[Entry]]
) -> AsyncIterator[bytes]:
    start, first = begin
    pending = _Pending()
    unsubscribe = api.store.subscribe(pending.add, bucket=target.key.bucket)
    try:
        missed = api.store.since(target.key.bucket, start)
        if missed is None:
            yield error_line(expired(f"too old resource version: {start} ({api.store.resource_version})"))
            return
        head = [lines.line("ADDED", entry.object, entry.data) for entry in first]
        if asked.initial_end:
            head.append(lines.bookmark(start, _INITIAL_END))
        # An empty first chunk still sends the head: clients wait for it.
        yield b"".join([*head, *map(lines.change, await _in_version(api, target, missed))])
        async for changes in _follow(pending, lines, asked, lambda: api.store.resource_version):
            if isinstance(changes, bytes):
                yield changes
            elif chunk := b"".join(map(lines.change, await _in_version(api, target, changes))):
                yield chunk
    except ApiError as error:
        # A change that cannot be shown ends the watch: the client would miss it, else.
        yield error_line(error)
    finally:
        unsubscribe()


async def _in_version(api: Api, target: Target, changes: Sequence[Change]) -> list[Change]:
    """The changes, with objects of the watch's own version."""
    entries = [entry for change in changes for entry in (change.entry, change.old) if entry is not None]
    found = iter(await entries_in_version(api, target.served, entries))
    return [
        replace(change, entry=next(found), old=next(found) if change.old is not None else None) for change in changes
    ]


async def _follow(
    pending: _Pending, lines: _Lines, asked: _Asked, version: Callable[[], int]
) -> AsyncIterator[bytes | list[Change]]:
    """Changes as they come, and the lines between them."""
    loop = asyncio.get_running_loop()
    end = loop.time() + asked.seconds
    while (left := end - loop.time()) > 0:
        try:
            await asyncio.wait_for(pending.ready.wait(), min(left, BOOKMARK_SECONDS))
        except TimeoutError:
            if asked.bookmarks:
                yield lines.bookmark(version())
            continue
        changes = pending.take()
        if changes is None:
            yield error_line(expired("the watch fell behind: list again"))
            return
        yield changes
