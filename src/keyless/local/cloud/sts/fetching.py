"""Fetch an issuer's documents over HTTPS, trusting whom AWS would trust.

The system's roots and the Space's own authority come first. A certificate of another authority is good when the last
one of the served chain has a thumbprint (SHA-1) that the provider was given; that certificate is then the only anchor,
and names and dates are verified as always: whoever merely *shows* a certificate that is public gains nothing by it.
Never follows redirects or proxies; time and size are bounded.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx

from keyless.local.cloud.sts.issuers import Mistrusted, Unfetched

_TIMEOUT_SECONDS = 5.0
_LARGEST_BYTES = 1 << 20
#: a real API server answers 406 to who does not take a key set by its own name
_ACCEPT = "application/jwk-set+json, application/json"


class HttpsFetcher:
    """Gets documents; ``ca_pem`` is the Space's own authority."""

    def __init__(self, ca_pem: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._ca_pem = ca_pem
        self._timeout_seconds = timeout_seconds
        self._http: httpx.AsyncClient | None = None

    async def __call__(self, url: str, thumbprints: tuple[str, ...] = ()) -> bytes:
        """The document's bytes; raises :class:`Unfetched`, or :class:`Mistrusted` for its certificate."""
        try:
            # One limit for all of it: a peer that sends a byte now and then must not hold a call for ever.
            async with asyncio.timeout(self._timeout_seconds):
                return await self._trusted_or_pinned(url, thumbprints)
        except TimeoutError:
            raise Unfetched(f"{url} did not answer within {self._timeout_seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise Unfetched(f"{url}: {type(error).__name__} {error}") from None

    async def _trusted_or_pinned(self, url: str, thumbprints: tuple[str, ...]) -> bytes:
        _ = urlsplit(url).port  # a ValueError for one beyond 65535, where the socket would overflow
        http = self._http = self._http or _connections(self._trust())
        try:
            return await _read(http, url)
        except httpx.ConnectError as error:
            if not _is_about_trust(error):
                raise
        async with _connections(await _pinned(url, thumbprints)) as pinned:
            try:
                return await _read(pinned, url)
            except httpx.ConnectError as error:
                if _is_about_trust(error):
                    raise Mistrusted(f"{url}: {error}") from None
                raise

    def _trust(self) -> ssl.SSLContext:
        trust = ssl.create_default_context()
        if self._ca_pem:
            trust.load_verify_locations(cadata=self._ca_pem)
        return trust

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http:
            await self._http.aclose()
            self._http = None


def _connections(trust: ssl.SSLContext) -> httpx.AsyncClient:
    # A fetch is rare: a connection kept for the next one would be half dead by then.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(
        verify=trust, timeout=_TIMEOUT_SECONDS, limits=limits, trust_env=False, follow_redirects=False
    )


async def _read(http: httpx.AsyncClient, url: str) -> bytes:
    async with http.stream("GET", url, headers={"accept": _ACCEPT}) as answer:
        if answer.status_code != httpx.codes.OK:
            raise Unfetched(f"{url} answered {answer.status_code}")
        body = b""
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > _LARGEST_BYTES:
                raise Unfetched(f"{url} is larger than {_LARGEST_BYTES} bytes")
        return body


def _is_about_trust(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _pinned(url: str, thumbprints: tuple[str, ...]) -> ssl.SSLContext:
    """Trust in the last certificate that ``url``'s host serves, if a thumbprint names it."""
    last = (await _served_chain(url))[-1]
    found = hashlib.sha1(last, usedforsecurity=False).hexdigest()
    if found not in thumbprints:
        raise Mistrusted(f"{url}: its chain ends in {found}, and the provider's thumbprints are {list(thumbprints)}")
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.load_verify_locations(cadata=last)
    # The anchor is whatever ends the chain: an intermediate authority, or the server's own certificate.
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return trust


async def _served_chain(url: str) -> list[bytes]:
    """The certificates (DER, the server's first) that ``url``'s host shows; nothing is asked of it."""
    parts = urlsplit(url)
    look = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    look.check_hostname, look.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=look)
    try:
        return _chain_of(writer.get_extra_info("ssl_object"))
    finally:
        writer.transport.abort()


def _chain_of(tls: Any) -> list[bytes]:
    """Public since Python 3.13; before it, the same method sits one object deeper and returns certificates."""
    if hasattr(tls, "get_unverified_chain"):
        return list(tls.get_unverified_chain())
    der = 2  # X509_FILETYPE_ASN1 of OpenSSL
    return [certificate.public_bytes(der) for certificate in tls._sslobj.get_unverified_chain()]
