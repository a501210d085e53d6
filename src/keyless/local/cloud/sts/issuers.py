"""The public keys of token issuers, as AWS keeps them: fetched when needed, held, looked for again.

One fetch at a time for each issuer, and whoever waits for it shares what it brought. Keys are held for an hour and used
on while the issuer is down; a key id that is not among them fetches again, but not more than once a second; an issuer
that is down is left alone for as long. How a document is fetched and whom TLS trusts is :mod:`fetching`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from keyless.tokens import (
    KeySet,
    TokenRefusal,
    certificate_mistrusted,
    jwks_location,
    keys_unavailable,
    parse_jwks,
)

_HELD_SECONDS = 3600.0
_BETWEEN_FETCHES_SECONDS = 1.0
#: how long keys that are due for a new fetch serve on after one that failed
_AFTER_FAILURE_SECONDS = 60.0

Fetch = Callable[[str, tuple[str, ...]], Awaitable[bytes]]
"""Gets the document at a URL; the thumbprints are for certificates of unknown authorities. Raises Unfetched."""


class Unfetched(Exception):
    """The document could not be had; the text says why."""


class Mistrusted(Unfetched):
    """The peer's certificate comes from no authority that is trusted, and no thumbprint names it."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of an issuer: its keys if ever had, and how the last attempt ended."""

    keys: KeySet | None
    fetched_at: float
    tried_at: float
    failure: TokenRefusal | None = None

    def answers(self, key_id: str | None, now: float) -> bool:
        """Whether this is good enough for a token of ``key_id``, so that nobody need be asked."""
        since = now - self.tried_at
        if since < _BETWEEN_FETCHES_SECONDS:
            return True
        if self.keys is None or self.keys.find(key_id) is None:
            return False
        return now - self.fetched_at < _HELD_SECONDS or (self.failure is not None and since < _AFTER_FAILURE_SECONDS)


class IssuerKeys:
    """Looks keys up by issuer and key id."""

    def __init__(self, fetch: Fetch, now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._held: dict[tuple[str, tuple[str, ...]], _Held] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def keys(self, issuer: str, key_id: str | None, thumbprints: tuple[str, ...] = ()) -> KeySet | TokenRefusal:
        """The keys of ``issuer``, fresh enough to know ``key_id`` if the issuer knows it at all."""
        place = issuer, thumbprints
        held = self._held.get(place)
        if held is None or not held.answers(key_id, self._now()):
            async with self._locks.setdefault(issuer, asyncio.Lock()):
                held = self._held.get(place)  # another one may have fetched meanwhile
                if held is None or not held.answers(key_id, self._now()):
                    held = self._held[place] = await self._tried(issuer, thumbprints, held)
        if held.keys is not None:
            return held.keys
        return held.failure or keys_unavailable(f"{issuer} has not been asked")

    async def _tried(self, issuer: str, thumbprints: tuple[str, ...], before: _Held | None) -> _Held:
        try:
            keys = await self._fetched(issuer, thumbprints)
        except Unfetched as error:
            failure = (
                certificate_mistrusted(str(error)) if isinstance(error, Mistrusted) else keys_unavailable(str(error))
            )
            now = self._now()
            return _Held(before.keys, before.fetched_at, now, failure) if before else _Held(None, now, now, failure)
        now = self._now()
        return _Held(keys, now, now)

    async def _fetched(self, issuer: str, thumbprints: tuple[str, ...]) -> KeySet:
        document = await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration", thumbprints)
        try:
            location = jwks_location(document, issuer)
            return parse_jwks(await self._fetch(location, thumbprints))
        except ValueError as error:
            raise Unfetched(f"{issuer}: {error}") from None
