"""Whether credentials can be had here: shown by having some, not by a listening port.

Two things are proven: that the agent has an identity of its own (STS says whose), and that EKS Auth answers. The first
is asked when somebody asks for readiness and nothing has shown it lately; the second is what pods' requests show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from keyless.aws import AWS_FAILURES, AwsTransient
from keyless.identity.agent.model import PodCredentials

PROVEN_FOR = timedelta(minutes=5)
ASK_SECONDS = 3.0

Fetch = Callable[[str], Awaitable[PodCredentials]]


class Readiness:
    """``identity`` returns the agent's own ARN, and raises what AWS answers."""

    def __init__(self, identity: Callable[[], Awaitable[str]], *, now: Callable[[], datetime]) -> None:
        self._identity, self._now = identity, now
        self._proven: datetime | None = None
        self._upstream = ""
        self._lock = asyncio.Lock()

    def watching(self, fetch: Fetch) -> Fetch:
        """The same, and what comes of it is remembered; what a cache answers proves nothing."""

        async def watched(token: str) -> PodCredentials:
            try:
                credentials = await fetch(token)
            except AWS_FAILURES as error:
                # A refusal of one pod shows that EKS Auth answers.
                self._upstream = f"EKS Auth: {error.code}: {error.message}" if isinstance(error, AwsTransient) else ""
                raise
            self._proven, self._upstream = self._now(), ""
            return credentials

        return watched

    async def trouble(self) -> str:
        """Why no pod can be given credentials now; empty where that is not known of."""
        async with self._lock:
            if self._proven is None or self._now() - self._proven >= PROVEN_FOR:
                if why := await self._ask():
                    return why
                self._proven = self._now()
        return self._upstream

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._identity()
        except TimeoutError:
            return f"the agent's own identity: STS gave no answer within {ASK_SECONDS:g} s"
        except AWS_FAILURES as error:
            return f"the agent's own identity: {error.code}: {error.message}"
        return ""
