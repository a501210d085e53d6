"""A live copy of a collection: list, then watch, for as long as it runs.

It asks for what exists as initial events (client-go 0.35's way) and falls back to a list where the server does not know
them. A watch that ends is continued from the last version seen, bookmarks included; a version that is too old (410)
leads to a new list, which is compared with what is held. Failures wait with backoff and jitter and never empty the
copy: a reader sees old facts rather than none.

Watching: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Iterable
from contextlib import aclosing

import structlog

from keyless.api import Bug, KeylessError
from keyless.kube.backoff import Backoff
from keyless.kube.errors import Expired, Invalid, Rejected
from keyless.kube.kube import Kube
from keyless.kube.model import Event, Name, Selector, name_of, version_of
from keyless.kube.relist import differences
from keyless.kube.resources import KubeObject, Resource

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark that closes the initial events."""
INITIAL_SECONDS = 30.0
"""A server older than 1.27 ignores the wish for initial events and never closes them: then we list."""
PASSING_SECONDS = 5.0
"""Failures that are over sooner are nobody's concern."""
WATCH_SECONDS = 300
"""Watches end after this time and up to as much again, so that connections spread over a server's replicas."""

_BACKOFF = Backoff(first_seconds=0.25, cap_seconds=30.0)
_log = structlog.get_logger("keyless.kube.informer")


class Informer:
    """Keeps what the selectors ask for, and with ``metadata_only`` nothing but metadata."""

    def __init__(
        self,
        kube: Kube,
        res: Resource,
        *,
        namespace: str | None = None,
        labels: Selector = None,
        fields: Selector = None,
        metadata_only: bool = False,
        keep: Callable[[KubeObject], KubeObject] | None = None,
    ) -> None:
        """``keep`` makes what is held of an object (name, namespace, uid and version are needed to tell changes)."""
        self.res = res
        self.last_error: KeylessError | None = None
        """Why the copy may be old just now; ``None`` while the watch stands."""
        self.lists = 0
        """How often the whole collection was listed: after the first time, changes may have been missed."""
        self._kube = kube
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._metadata_only = metadata_only
        self._keep = keep
        self._held: dict[Name, KubeObject] = {}
        self._version = ""
        self._initial_events = True
        self._synced = asyncio.Event()
        self._callbacks: list[Callable[[Event], None]] = []
        self._failing_since: float | None = None

    def on_change(self, callback: Callable[[Event], None]) -> None:
        """Have ``callback`` called, in order, for every change from now on; it must not wait."""
        self._callbacks.append(callback)

    def get(self, name: str, namespace: str | None = None) -> KubeObject | None:
        """The object as last seen."""
        return self._held.get(Name(namespace or "", name))

    def items(self) -> Iterable[KubeObject]:
        """All objects as last seen; a snapshot, safe to walk while things change."""
        return list(self._held.values())

    @property
    def count(self) -> int:
        """How many objects there are, as last seen."""
        return len(self._held)

    @property
    def has_synced(self) -> bool:
        """Whether the copy was complete at least once."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Wait until the copy was complete once."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        failures = 0
        while True:
            began, loop = self._version, asyncio.get_running_loop()
            since = loop.time()
            try:
                await self._follow()
            except Expired as error:
                if not self._version:
                    self._failed(error)  # nothing is newer than a new list: this server says so of everything
                self._version = ""
            except KeylessError as error:
                self._failed(error)
                _log.info("watch failed", resource=self.res.plural, error=str(error))
            except Exception as error:  # noqa: BLE001 - one answer that nobody foresaw must not end the component
                self._failed(Bug(f"{self.res.plural}: {type(error).__name__}"))
                trace = "".join(traceback.format_exception(error))
                _log.error("bug", resource=self.res.plural, trace=trace)
            # A server that closes at once without news is a failure too: else we would storm it.
            lively = self._version != began or loop.time() - since > 1.0
            failures = 0 if lively and self.last_error is None else failures + 1
            jitter = 0.5 + random.random()  # noqa: S311 - spreads load, guards nothing
            asked = getattr(self.last_error, "retry_after_seconds", None) or 0.0
            await asyncio.sleep(max(_BACKOFF.seconds(failures) * jitter, asked))

    def trouble(self) -> str:
        """Why the copy has been old, or not there, for longer than a passing failure; empty: nothing speaks against it.

        A watch that cannot be opened for a moment is everyday life; one that stays away makes readers believe old
        facts.
        """
        if self.last_error is None or self._failing_since is None:
            return ""
        lasting = asyncio.get_running_loop().time() - self._failing_since
        return f"{self.res.plural} cannot be watched: {self.last_error}" if lasting >= PASSING_SECONDS else ""

    def _failed(self, error: KeylessError) -> None:
        self.last_error = error
        if self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()

    def _works(self) -> None:
        self.last_error = self._failing_since = None

    async def _follow(self) -> None:
        if self._version:
            await self._watch()
        elif self._initial_events:
            try:
                async with asyncio.timeout(INITIAL_SECONDS) as deadline:
                    await self._watch(deadline)
            except (Invalid, Rejected, TimeoutError):
                self._initial_events = False
        else:
            page = await self._kube.list(
                self.res,
                self._namespace,
                labels=self._labels,
                fields=self._fields,
                metadata_only=self._metadata_only,
            )
            self._replace({name_of(item): self._kept(item) for item in page.items}, page.resource_version)

    async def _watch(self, deadline: asyncio.Timeout | None = None) -> None:
        """One watch; with a ``deadline`` the initial events come first and lift it."""
        initial: dict[Name, KubeObject] | None = None if self._version else {}
        events = self._kube.watch(
            self.res,
            self._namespace,
            resource_version=self._version,
            labels=self._labels,
            fields=self._fields,
            metadata_only=self._metadata_only,
            initial_events=initial is not None,
            timeout_seconds=random.randint(WATCH_SECONDS, 2 * WATCH_SECONDS),  # noqa: S311 - spreads load
            # What exists is not known yet while the initial events come: only their end is a success.
            opened=self._works if initial is None else None,
        )
        async with aclosing(events):
            async for event in events:
                if initial is None:
                    self._accept(event)
                elif _closes_initial(event):
                    self._replace(initial, version_of(event.object))
                    initial = None
                    if deadline is not None:
                        deadline.reschedule(None)
                else:
                    _collect(initial, event, self._kept)

    def _kept(self, obj: KubeObject) -> KubeObject:
        return obj if self._keep is None else self._keep(obj)

    def _accept(self, event: Event) -> None:
        self._version = version_of(event.object)
        self._works()
        if event.type == "BOOKMARK":
            return
        name = name_of(event.object)
        old = self._held.get(name)
        if event.type == "DELETED":
            self._held.pop(name, None)
            if old is not None:
                self._tell(Event("DELETED", event.object, old))
        else:
            self._held[name] = self._kept(event.object)
            self._tell(Event("MODIFIED" if old else "ADDED", event.object, old))

    def _replace(self, listed: dict[Name, KubeObject], version: str) -> None:
        held, self._held, self._version = self._held, listed, version
        self._works()
        self.lists += 1
        for event in differences(held, listed):
            self._tell(event)
        self._synced.set()

    def _tell(self, event: Event) -> None:
        for callback in self._callbacks:
            try:
                callback(event)
            except Exception as error:  # noqa: BLE001 - one object that a reader cannot bear must not stop all others
                trace = "".join(traceback.format_exception(error))
                _log.error("bug", resource=self.res.plural, subject="/".join(name_of(event.object)), trace=trace)


def _closes_initial(event: Event) -> bool:
    annotations = event.object.get("metadata", {}).get("annotations") or {}
    return event.type == "BOOKMARK" and annotations.get(INITIAL_EVENTS_END) == "true"


def _collect(initial: dict[Name, KubeObject], event: Event, kept: Callable[[KubeObject], KubeObject]) -> None:
    """Initial events may already be followed by changes to them."""
    if event.type == "DELETED":
        initial.pop(name_of(event.object), None)
    elif event.type != "BOOKMARK":
        initial[name_of(event.object)] = kept(event.object)
