"""Credentials by token, with one upstream call per token at a time.

Renewal is on demand: when a pod asks and its credentials are due. A dead pod asks no more: nothing is renewed for it,
and what was held goes with the pod, or with its token. A pod has one entry: that of its newest token. Of one that is
gone nothing is kept again: an API server takes its token for some ten seconds more, and EKS Auth with it.
While EKS Auth throttles or is away, credentials that still hold are served on; an answer that says "no" (association
gone, token refused) drops them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from keyless.api import Transient
from keyless.identity.agent.model import Bearer, PodCredentials, bearer_of

# SDKs ask again 15 minutes before expiry; handing out less than that would make them ask at every call.
RENEW_BEFORE_EXPIRY = timedelta(minutes=20)
MINIMUM_REMAINING = timedelta(seconds=15)

Outcome = Literal["hit", "miss", "evicted", "stale"]


@dataclass(frozen=True, slots=True)
class _Entry:
    credentials: PodCredentials
    fetched_at: datetime
    bearer: Bearer
    answer: bytes = field(repr=False)

    def is_over(self, now: datetime) -> bool:
        """Whether it serves nobody any more: a token that expired is refused before anybody looks here."""
        ends = self.bearer.expires_at
        return self.credentials.expires_at <= now or (ends is not None and ends <= now)


class CredentialCache:
    """``fetch`` asks EKS Auth; ``observe`` hears what the cache did."""

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[PodCredentials]],
        *,
        retention: timedelta,
        size: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        observe: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        self._fetch = fetch
        self._retention = retention
        self._size = size
        self._now = now
        self._observe = observe
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._flights: dict[str, asyncio.Task[PodCredentials]] = {}
        self._newest: dict[str, str] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def forget(self, pod: str) -> None:
        """The pod with this uid is gone."""
        # As many as may have an entry: an older one's token is believed by nobody any more.
        self._gone[pod] = None
        while len(self._gone) > self._size:
            self._gone.popitem(last=False)
        if (token := self._newest.get(pod)) is not None:
            self._drop(token)

    def __len__(self) -> int:
        """How many tokens have credentials here."""
        return len(self._entries)

    def answer(self, token: str) -> bytes | None:
        """What a pod is answered, as it was made ready when it came; ``None`` where upstream must be asked.

        ``None`` also for a token that has expired: what is said of it is not the cache's.
        """
        entry = self._entries.get(token)
        if entry is None:
            return None
        now = self._now()
        if entry.is_over(now) or self._due(entry, now):
            return None
        self._entries.move_to_end(token)
        self._observe("hit")
        return entry.answer

    async def get(self, token: str) -> PodCredentials:
        """Return credentials for ``token``; raises what ``fetch`` raises."""
        entry = self._entries.get(token)
        if entry and not self._due(entry, self._now()):
            self._entries.move_to_end(token)
            self._observe("hit")
            return entry.credentials
        self._observe("miss")
        try:
            credentials = await self._fly(token)
        except Transient:
            if entry and entry.credentials.expires_at - self._now() > MINIMUM_REMAINING:
                self._observe("stale")
                return entry.credentials
            raise
        return credentials

    async def _fly(self, token: str) -> PodCredentials:
        flight = self._flights.get(token)
        if flight is None:
            flight = self._flights[token] = asyncio.create_task(self._renew(token))
            flight.add_done_callback(lambda done: self._landed(token, done))
        # Shielded: a caller that gives up must not take the answer from the others.
        return await asyncio.shield(flight)

    def _landed(self, token: str, flight: asyncio.Task[PodCredentials]) -> None:
        self._flights.pop(token, None)
        if not flight.cancelled():
            flight.exception()  # whoever waited has it; nobody waiting is no fault

    async def _renew(self, token: str) -> PodCredentials:
        try:
            credentials = await self._fetch(token)
        except Transient:
            raise
        except Exception:
            self._drop(token)
            raise
        self._store(token, credentials)
        return credentials

    def _store(self, token: str, credentials: PodCredentials) -> None:
        now = self._now()
        for known in [known for known, entry in self._entries.items() if entry.is_over(now)]:
            self._drop(known)
        if self._size <= 0 or self._retention <= timedelta(0):
            return
        bearer = bearer_of(token)
        if bearer.pod in self._gone:
            return
        # EKS Auth has just taken this token, so the uid in it is the pod's own: nobody can push out another's entry.
        if (older := self._newest.get(bearer.pod)) is not None and older != token:
            self._drop(older)
        self._entries[token] = _Entry(credentials, now, bearer, credentials.body())
        self._entries.move_to_end(token)
        if bearer.pod:
            self._newest[bearer.pod] = token
        while len(self._entries) > self._size:
            self._drop(next(iter(self._entries)))

    def _drop(self, token: str) -> None:
        entry = self._entries.pop(token, None)
        if entry is None:
            return
        if self._newest.get(entry.bearer.pod) == token:
            del self._newest[entry.bearer.pod]
        self._observe("evicted")

    def _due(self, entry: _Entry, now: datetime) -> bool:
        return now >= entry.fetched_at + self._retention or now >= entry.credentials.expires_at - RENEW_BEFORE_EXPIRY
