"""Calls to AWS, counted by External Secrets' names and kept to a share of the account's quota.

A quota belongs to account, region and API; others in the account need theirs. Chains whose account nobody told share
one bucket: too careful hurts less than throttling a stranger.

Quotas: docs/reference/facts/secrets.md
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from keyless.aws import AWS_FAILURES, Keys

MOST_BUCKETS = 500


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls a second, and how many may come at once."""

    per_second: float
    burst: int


# A quarter of what an account has, a twentieth where that is ten thousand.
PARAMETERS = Rate(10.0, 20)
LISTS = Rate(25.0, 50)
VALUES = Rate(500.0, 500)
OTHERS = Rate(10.0, 20)
_FAMILIES = {
    "BatchGetSecretValue": ("secretsmanager lists", LISTS),
    "ListSecrets": ("secretsmanager lists", LISTS),
    "GetSecretValue": ("secretsmanager values", VALUES),
    "DescribeSecret": ("secretsmanager values", VALUES),
}
_PROVIDERS = {"secretsmanager": "AWS/SecretsManager", "ssm": "AWS/ParameterStore"}


class Caller(Protocol):
    """What a reader or writer needs of a session."""

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call an operation; raises ``AwsTransient`` or ``AwsPermanent``."""
        ...

    async def keys(self) -> Keys:
        """Return the credentials as they stand."""
        ...


class Bucket:
    """Spaces calls: each takes the next free moment, so that waiting ones come in their order."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._next = float("-inf")

    def take(self) -> float:
        """Take a call; returns the seconds to wait for it."""
        now = self._clock()
        # Unused time counts up to the burst.
        self._next = max(self._next, now - (self._rate.burst - 1) / self._rate.per_second)
        wait = max(0.0, self._next - now)
        self._next += 1 / self._rate.per_second
        return wait


class Calls:
    """Of one controller: its buckets, and who hears of each call (provider, operation, ``success`` or ``error``)."""

    def __init__(
        self,
        heard: Callable[[str, str, str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._heard, self._clock, self._sleep = heard, clock, sleep
        self._buckets: OrderedDict[tuple[str, str, str], Bucket] = OrderedDict()

    def of(self, session: Caller, account: str, region: str) -> Caller:
        """Return the session with its calls counted and spaced."""
        return _Metered(self, session, account, region)

    async def let(self, account: str, region: str, service: str, operation: str) -> None:
        """Wait for the call's turn."""
        family, rate = _FAMILIES.get(operation, (service, PARAMETERS if service == "ssm" else OTHERS))
        key = (account, region, family)
        if key not in self._buckets:
            self._buckets[key] = Bucket(rate, self._clock)
        self._buckets.move_to_end(key)
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if wait := self._buckets[key].take():
            await self._sleep(wait)

    def count(self, service: str, operation: str, status: str) -> None:
        """Count a call that was answered, or failed."""
        self._heard(_PROVIDERS.get(service, f"AWS/{service}"), operation, status)


class _Metered:
    def __init__(self, calls: Calls, session: Caller, account: str, region: str) -> None:
        self._calls, self._session = calls, session
        self._account, self._region = account, region

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        await self._calls.let(self._account, self._region, service, operation)
        try:
            answer = await self._session.call(service, operation, **params)
        except AWS_FAILURES:
            self._calls.count(service, operation, "error")
            raise
        self._calls.count(service, operation, "success")
        return answer

    async def keys(self) -> Keys:
        return await self._session.keys()
