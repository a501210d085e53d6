"""The public keys of token issuers, fetched over HTTPS as AWS does, and kept.

One fetch at a time for each issuer; keys are kept for an hour and used on while the issuer is down; a key id that is
not among them fetches again, but not more than once a second. Never follows redirects or proxies; answers are bounded.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from keyless.tokens import KeySet, TokenRefusal, keys_unavailable, parse_jwks

_KEPT_SECONDS = 3600.0
_BETWEEN_FETCHES_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0
_LARGEST_BYTES = 1 << 20

Fetch = Callable[[str], Awaitable[bytes]]


class Unfetched(Exception):
    """The document could not be had; the text says why."""


@dataclass(slots=True)
class _Kept:
    keys: KeySet
    fetched_at: float


class IssuerKeys:
    """Looks keys up by issuer and key id."""

    def __init__(self, fetch: Fetch, now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def keys(self, issuer: str, key_id: str | None) -> KeySet | TokenRefusal:
        """The keys of ``issuer``, fresh enough to know ``key_id`` if it knows it at all."""
        if kept := self._good(issuer, key_id):
            return kept.keys
        async with self._locks.setdefault(issuer, asyncio.Lock()):
            if kept := self._good(issuer, key_id):
                return kept.keys
            try:
                keys = await self._fetched(issuer)
            except Unfetched as error:
                stale = self._kept.get(issuer)
                return stale.keys if stale else keys_unavailable(str(error))
            self._kept[issuer] = _Kept(keys, self._now())
            return keys

    def _good(self, issuer: str, key_id: str | None) -> _Kept | None:
        kept = self._kept.get(issuer)
        if kept is None:
            return None
        age = self._now() - kept.fetched_at
        known = kept.keys.find(key_id) is not None
        return kept if age < (_KEPT_SECONDS if known else _BETWEEN_FETCHES_SECONDS) else None

    async def _fetched(self, issuer: str) -> KeySet:
        discovery = _object(await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration"), issuer)
        if discovery.get("issuer") != issuer:
            raise Unfetched(f"the discovery document of {issuer} is for another issuer")
        location = discovery.get("jwks_uri")
        if not isinstance(location, str) or not location.startswith("https://"):
            raise Unfetched(f"the discovery document of {issuer} has no https jwks_uri")
        try:
            return parse_jwks(await self._fetch(location))
        except ValueError as error:
            raise Unfetched(f"{location}: {error}") from None


def _object(body: bytes, issuer: str) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unfetched(f"the discovery document of {issuer} is no JSON object")
    return found


class HttpsFetcher:
    """Fetches documents over HTTPS, trusting the system's roots and the Space's own authority."""

    def __init__(self, ca_pem: str) -> None:
        self._ca_pem = ca_pem
        self._http: httpx.AsyncClient | None = None

    async def __call__(self, url: str) -> bytes:
        """The document's bytes; raises :class:`Unfetched`."""
        http = self._http = self._http or self._connect()
        try:
            async with http.stream("GET", url, headers={"accept": "application/json"}) as answer:
                if answer.status_code != 200:
                    raise Unfetched(f"{url} answered {answer.status_code}")
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _LARGEST_BYTES:
                        raise Unfetched(f"{url} is larger than {_LARGEST_BYTES} bytes")
                return body
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unfetched(f"{url}: {type(error).__name__} {error}") from None

    def _connect(self) -> httpx.AsyncClient:
        trust = ssl.create_default_context()
        if self._ca_pem:
            trust.load_verify_locations(cadata=self._ca_pem)
        return httpx.AsyncClient(verify=trust, timeout=_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http:
            await self._http.aclose()
            self._http = None
