"""Readers that stay within something: the keys of a scope, the retries of a store.

A scope is asked before any call, and its refusal looks like no answer of AWS: nothing is learnt of what is there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from keyless.api import Reason
from keyless.aws import AwsTransient, caller_identity
from keyless.shared_secrets.stores.metered import Caller
from keyless.shared_secrets.stores.model import AwsProvider, Payload, RemoteRef, RetrySettings, Search, StoreFault
from keyless.shared_secrets.stores.ports import Reader
from keyless.shared_secrets.stores.scopes import Home, NotInScope, admit, within

# A worker that waits serves nobody else: beyond this the queue's own backoff takes over.
MOST_WAIT_SECONDS = 30.0


class OutOfScope(StoreFault):
    """A key that the Space's credentials do not read for this namespace."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.KEY_NOT_IN_SCOPE, f"{Reason.KEY_NOT_IN_SCOPE}: {message}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The prefixes of a namespace."""

    namespace: str
    prefixes: tuple[str, ...]


class ScopedReader:
    """A reader for one namespace."""

    def __init__(self, reader: Reader, session: Caller, provider: AwsProvider, bounds: Bounds) -> None:
        # Part of the identity, so that no read that another namespace waits for, and no failure of it, serves this one.
        mark = hashlib.sha256(repr(bounds).encode()).hexdigest()[:16]
        self.identity, self.by_controller = f"{reader.identity}/{mark}", reader.by_controller
        self._reader, self._session, self._provider, self._bounds = reader, session, provider, bounds

    async def read(self, ref: RemoteRef) -> Payload:
        """Read what is in scope; raises ``OutOfScope`` before anything is asked."""
        await require_in_scope(ref.key, "read", self._session, self._provider, self._bounds)
        return await self._reader.read(ref)

    async def search(self, search: Search) -> tuple[str, ...]:
        """Return those names that are in scope: of the others nothing is read and nothing told."""
        provider, prefixes = self._provider, self._bounds.prefixes
        home = Home(provider.service, provider.region, await _account("", self._session, self._bounds))
        names = await self._reader.search(search)
        return tuple(name for name in names if within((provider.prefix + name,), home, prefixes))


async def require_in_scope(key: str, verb: str, session: Caller, provider: AwsProvider, bounds: Bounds) -> None:
    """Raise ``OutOfScope`` unless a namespace may use a key; ``verb`` is what it wants to do with it."""
    full = provider.prefix + key
    try:
        account = await _account(full, session, bounds)
        admit(full, Home(provider.service, provider.region, account), bounds.prefixes)
    except NotInScope as fault:
        raise OutOfScope(
            f"namespace {bounds.namespace} may not {verb} key {full!r}: {fault}; "
            "the Helm value controlPlanes.sharedSecrets.scopes says who may read what"
        ) from None


async def _account(full: str, session: Caller, bounds: Bounds) -> str:
    """The account of the identity, where an ARN makes it matter."""
    if "arn:" in full or any(prefix.startswith("arn:") for prefix in bounds.prefixes):
        return (await caller_identity(session)).account
    return ""


class RetryingReader:
    """A reader that tries again as a store's ``retrySettings`` say, when AWS was busy or away."""

    def __init__(
        self, reader: Reader, settings: RetrySettings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.identity, self.by_controller = reader.identity, reader.by_controller
        self._reader, self._settings, self._sleep = reader, settings, sleep

    async def read(self, ref: RemoteRef) -> Payload:
        """Read, and read again after the interval, ``max_retries`` times at most."""
        waited = 0.0
        for _ in range(self._settings.max_retries):
            try:
                return await self._reader.read(ref)
            except AwsTransient:
                waited += self._settings.interval_seconds
                if waited > MOST_WAIT_SECONDS:
                    raise
                await self._sleep(self._settings.interval_seconds)
        return await self._reader.read(ref)

    async def search(self, search: Search) -> tuple[str, ...]:
        """Search once: what is asked again is the whole refresh."""
        return await self._reader.search(search)
