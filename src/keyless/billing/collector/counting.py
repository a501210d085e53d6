"""Counts the managed resources of a control plane without asking for anything at the moment of counting.

Kinds are followed by metadata-only watches, as far as a budget of connections reaches: first those with instances. The
rest are asked in turn, a few each second, so that a thousand kinds cost no more than a hundred; how often is told
(``Polled``), since what lives shorter than that in a kind that is only asked is not seen. What comes and goes between
two counts in a kind that is watched is told as a peak.

Each kind is on its own: one that cannot be asked is unknown, never zero, and the others go on.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from keyless.api import KeylessError
from keyless.billing.collector.followed import Followed, Keeper, composite_in, tallied, told
from keyless.billing.collector.kinds import DEFINITION, Found, Kinds
from keyless.billing.collector.metering import Counted, Metering
from keyless.billing.collector.plan import CONTROL_PLANE_UNREACHABLE
from keyless.billing.collector.ports import Counts
from keyless.billing.collector.tallies import Tally
from keyless.billing.ledger.model import Gvk, Meter, Metered, Polled, Unknown, hour_of
from keyless.kube import ApiError, Event, Informer, Kube, Resource

WATCHES = 200
"""Connections to the control plane's API that may stand open for watches."""
POLLS_PER_SECOND = 2.0
FIRST_POLLS_PER_SECOND = 20.0
"""Of kinds that were never asked: until then nothing is known of them."""
POLLS_AT_ONCE = 4
SYNCS_AT_ONCE = 8
SYNC_SECONDS = 2.0
"""How long a watch that brings nothing holds up the next one."""
SETTLE_SECONDS = 20.0
"""How long the first count waits for kinds that do not answer."""
NOT_COUNTED_YET = "NotCountedYet"
WATCH_EXPIRED = "WatchExpired"
COMBINATIONS = 2000
"""Combinations of dimensions that one segment may hold in full."""


class ManagedResources:
    """Implements ``Counter`` on one control plane's API."""

    def __init__(
        self,
        kube: Kube,
        interval: timedelta,
        now: Callable[[], datetime],
        *,
        watches: int = WATCHES,
        labels: Sequence[str] = (),
        combinations: int = COMBINATIONS,
    ) -> None:
        """``labels`` of instances are recorded with their numbers."""
        self._kube = kube
        self._interval = interval
        self._now = now
        self._budget = watches
        self._definitions = Kinds(kube, now)
        self._definitions.on_change(self._learn)
        self._definitions_known_at = now()
        self._kinds: dict[Resource, Followed] = {}
        self._labels = labels
        self._keepers: dict[Resource, Keeper] = {}
        self.metering = Metering(combinations)
        self._changed = asyncio.Event()
        self._stirred = asyncio.Event()
        self._gate = asyncio.Semaphore(SYNCS_AT_ONCE)
        self._watching = 0
        self._queue: deque[Followed] = deque()

    async def run(self) -> None:
        """Follow the control plane until cancelled; watches of kinds end with it."""
        polling = asyncio.create_task(self._poll(), name="polls of kinds")
        try:
            await self._definitions.run()
        finally:
            ending = [polling, *(kind.task for kind in self._kinds.values() if kind.task is not None)]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    def counts(self) -> Counts:
        """How many there are of every kind; peaks begin anew."""
        self._changed.clear()
        now = self._now()
        unknown = self._unknown_definitions(now)
        counts: dict[Gvk, int] = {}
        peaks: dict[datetime, dict[Gvk, int]] = {}
        for kind in self._kinds.values():
            why = self._unknown(kind, now)
            kind.unknown = why is not None
            if not kind.managed:
                continue
            if why is not None:
                unknown[kind.gvk] = why
            elif kind.count:
                counts[kind.gvk] = kind.count
            self._take_peaks(kind, peaks)
        if failure := self._failure(unknown):
            return Counts(failure=failure)
        return Counts(counts, peaks, unknown, self._polled())

    def metered(self, at: datetime, *, whole: bool) -> Metered:
        """The dimensions of what :meth:`counts` has just told."""
        packages = self._definitions.packages
        kinds = []
        for kind in self._kinds.values():
            if kind.informer is not None and kind.known and kind.tally.total != kind.informer.count:
                # Another version's instances were taken over, and this one's list brought no news.
                kind.tally.replace(tallied(list(kind.informer.items())), at, known=False)
            package = packages.get(f"{kind.resource.plural}.{kind.resource.group}")
            kinds.append(Counted(kind.meter, kind.gvk, package, kind.tally, kind.unknown))
            self._keepers[kind.resource].forget(kind.tally.counts)
        return self.metering.take(at, kinds, whole=whole)

    @property
    def beginning(self) -> bool:
        """Whether there is a kind that was never counted."""
        return not (self._definitions.complete and all(kind.known for kind in self._kinds.values() if kind.managed))

    @property
    def undescribed(self) -> tuple[Gvk, ...]:
        """Kinds beside managed resources that cannot be read now."""
        return tuple(kind.gvk for kind in self._kinds.values() if kind.unknown and not kind.managed)

    async def settled(self) -> None:
        """Return when every kind was counted once, or had its time."""
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while not (self._definitions.complete and all(kind.tried for kind in self._kinds.values())):
                    self._stirred.clear()
                    try:
                        async with asyncio.timeout(0.1):
                            await self._stirred.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            return

    async def changed(self) -> None:
        """Return when something was created or deleted since the last count."""
        await self._changed.wait()

    def _unknown(self, kind: Followed, now: datetime) -> Unknown | None:
        """A kind that is new, or whose turn to be asked comes, is no gap yet; one whose watch is broken is.

        One that was listed anew is, once: what came and went before nobody told.
        """
        since = kind.known_at or kind.seen_at
        if kind.informer is not None and kind.known:
            lists, kind.lists = kind.lists, kind.informer.lists
            if kind.failing is not None:
                return _unknown(since, kind.failing)
            kind.known_at = now
            return Unknown(since, WATCH_EXPIRED) if 0 < lists < kind.lists else None
        asked = kind.informer is None and kind.known
        patience = timedelta(seconds=self._every_seconds()) if asked else self._interval
        return _unknown(since, kind.failing) if now - since > 3 * max(patience, self._interval) else None

    def _unknown_definitions(self, now: datetime) -> dict[Gvk, Unknown]:
        definitions = self._definitions
        if definitions.synced and definitions.last_error is None:
            self._definitions_known_at = now
        since = [self._definitions_known_at]
        error = definitions.last_error
        for each in definitions.unread.values():
            since.append(each.since)
            error = error or each.error
        if now - min(since) <= 3 * self._interval:
            return {}
        return {DEFINITION: _unknown(min(since), error)}

    def _failure(self, unknown: dict[Gvk, Unknown]) -> tuple[str, str] | None:
        """Whether nothing is known: then there is no sample at all."""
        error = self._definitions.last_error
        if not self._definitions.synced:
            return CONTROL_PLANE_UNREACHABLE, str(error or "the control plane's definitions were not listed yet")
        if DEFINITION in unknown and all(kind.gvk in unknown for kind in self._kinds.values() if kind.managed):
            return CONTROL_PLANE_UNREACHABLE, str(error or next(iter(unknown.values())).reason)
        return None

    def _take_peaks(self, kind: Followed, peaks: dict[datetime, dict[Gvk, int]]) -> None:
        for hour, peak in kind.peaks.items():
            peaks.setdefault(hour, {})[kind.gvk] = peak
        kind.peaks.clear()

    def _polled(self) -> Polled | None:
        kinds = len(self._kinds) - self._watching
        return Polled(kinds, self._every_seconds()) if kinds else None

    def _every_seconds(self) -> int:
        kinds = len(self._kinds) - self._watching
        return max(math.ceil(kinds / POLLS_PER_SECOND), int(self._interval.total_seconds()))

    def _learn(self, before: Found | None, after: Found | None) -> None:
        old = self._leave(before.resource) if before is not None else None
        if after is not None:
            now = self._now()
            kind = self._kinds[after.resource] = Followed(after.resource, after.meter, now, Tally(now))
            self._keepers[after.resource] = Keeper(after.meter, self._labels)
            if old is not None:
                # Another version is stored from now on: what was counted in the one before is still there.
                kind.count, kind.seen_at = old.count, old.known_at or old.seen_at
                kind.tally.replace(old.tally.counts, now, known=False)
            self._follow(kind)
        self._changed.set()
        self._stirred.set()

    def _leave(self, resource: Resource) -> Followed | None:
        kind = self._kinds.pop(resource, None)
        self._keepers.pop(resource, None)
        if kind is not None:
            self._watching -= kind.informer is not None
            if kind.task is not None:
                kind.task.cancel()
        return kind

    def _follow(self, kind: Followed) -> None:
        """Give a kind a watch, where the budget reaches; an empty kind makes room for one with instances."""
        if self._watching >= self._budget:
            idle = next((k for k in self._kinds.values() if k.informer is not None and k.known and not k.count), None)
            if idle is None or not kind.count:
                # A kind that was never asked goes first.
                (self._queue.append if kind.tried else self._queue.appendleft)(kind)
                return
            self._unfollow(idle)
        self._watching += 1
        keep = self._keepers[kind.resource]
        kind.informer = Informer(self._kube, kind.resource, metadata_only=kind.metadata_only, keep=keep)
        kind.told_lists = 0
        kind.informer.on_change(lambda event: self._note(kind, event))
        name = f"watch {kind.resource.plural}.{kind.resource.group}"
        kind.task = asyncio.create_task(self._watch(kind.informer), name=name)

    async def _watch(self, informer: Informer) -> None:
        """Run a watch; only a few at once bring what exists, for all of that together is what costs memory."""
        async with self._gate:
            running = asyncio.create_task(informer.run())
            synced = asyncio.create_task(informer.synced())
            try:
                await asyncio.wait({running, synced}, timeout=SYNC_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                running.cancel()
                raise
            finally:
                synced.cancel()
        try:
            await running
        finally:
            running.cancel()

    def _unfollow(self, kind: Followed) -> None:
        assert kind.task is not None, "only a kind that is followed is left to the polls"
        kind.task.cancel()
        self._watching -= 1
        kind.informer, kind.task, kind.polled, kind.known_at = None, None, 0, self._now()
        self._queue.append(kind)

    def _note(self, kind: Followed, event: Event) -> None:
        informer = kind.informer
        assert informer is not None, "only an informer has news"
        self._tell(kind, informer, event)
        if informer.count == kind.count:
            if event.type == "MODIFIED" and not kind.managed:
                self._changed.set()
            return
        self._count(kind, informer.count)

    def _tell(self, kind: Followed, informer: Informer, event: Event) -> None:
        """Add an event to the tally. A new list brings many at once, of which the tally is told as a whole."""
        listed = told(event.object) is not None
        new = event.object if listed else informer.get(*_name_of(event))
        new = None if event.type == "DELETED" else new
        if kind.meter is Meter.COMPOSITE:
            self.metering.composite(composite_in(event.old), composite_in(new))
        if not listed:
            kind.tally.change(told(event.old), told(new), self._now())
        elif kind.told_lists != informer.lists:
            # The first list shows what there is, later ones what has come since.
            known, kind.told_lists = kind.told_lists > 0, informer.lists
            kind.tally.replace(tallied(list(informer.items())), self._now(), known=known)

    def _count(self, kind: Followed, count: int) -> None:
        hour = hour_of(self._now())
        kind.peaks[hour] = max(kind.peaks.get(hour, 0), kind.count, count)
        kind.count = count
        self._changed.set()

    async def _poll(self) -> None:
        """Ask the kinds without a watch, one after the other, evenly over the time that a round takes."""
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                if self._queue and len(running) < POLLS_AT_ONCE:
                    kind = self._queue.popleft()
                    if self._kinds.get(kind.resource) is kind:
                        kind.task = asyncio.create_task(self._ask(kind), name=f"poll of {kind.resource.plural}")
                        running.add(kind.task)
                        kind.task.add_done_callback(running.discard)
                pause = max(1 / POLLS_PER_SECOND, self._interval.total_seconds() / max(len(self._queue), 1))
                new = bool(self._queue) and not self._queue[0].tried
                await asyncio.sleep(1 / FIRST_POLLS_PER_SECOND if new else min(pause, 1.0))
        finally:
            for task in running:
                task.cancel()

    async def _ask(self, kind: Followed) -> None:
        try:
            page = await self._kube.list(kind.resource, metadata_only=kind.metadata_only)
        except KeylessError as error:
            # NotFound too: its definition went, or is not served yet; the watch of definitions knows which.
            kind.error = error
        else:
            known = kind.polled is not None
            kind.error, kind.polled, kind.known_at = None, len(page.items), self._now()
            keep = self._keepers.get(kind.resource)
            if keep is not None:
                kind.tally.replace(tallied([keep(each) for each in page.items]), self._now(), known=known)
            if kind.count != len(page.items):
                self._count(kind, len(page.items))
        finally:
            kind.task = None
            self._stirred.set()
        if kind.count:
            self._follow(kind)
        else:
            self._queue.append(kind)


def _unknown(since: datetime, error: KeylessError | None) -> Unknown:
    return Unknown(since, _word(error), "" if error is None else str(error))


def _word(error: KeylessError | None) -> str:
    """One word for a gap's reason: Kubernetes' own where it says one."""
    if error is None:
        return NOT_COUNTED_YET
    return (error.reason if isinstance(error, ApiError) else "") or type(error).__name__


def _name_of(event: Event) -> tuple[str, str | None]:
    metadata = event.object["metadata"]
    return metadata["name"], metadata.get("namespace")
