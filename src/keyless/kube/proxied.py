"""Carry requests through the proxy that the environment names (``HTTPS_PROXY``, ``NO_PROXY``), with httpx.

Where there is no proxy, ``direct`` carries them on lighter connections, and httpx is not even loaded.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx

from keyless.kube.answering import Broken
from keyless.kube.limits import CALL_SECONDS, CONNECT_SECONDS, IDLE_SECONDS, MAX_CALLS, SILENCE_SECONDS, USER_AGENT
from keyless.kube.source import Endpoint
from keyless.kube.transport import Request, Response, Stream
from keyless.kube.wire import Unsendable


class Proxied:
    """One server behind a proxy. Calls and watches have pools of their own: watches must not take what calls wait for.

    Raises ``ValueError`` for a proxy that has no address.
    """

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, proxy: str) -> None:
        self._endpoint = endpoint
        headers = {"user-agent": USER_AGENT}
        try:
            told = httpx.Proxy(proxy)
        except httpx.InvalidURL as error:
            raise ValueError(f"the proxy that the environment names: {error}") from None
        # httpx is not asked what the environment says: an address in brackets in NO_PROXY is no URL to it.
        self._calls = httpx.AsyncClient(
            proxy=told,
            trust_env=False,
            verify=context,
            headers=headers,
            timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MAX_CALLS, keepalive_expiry=IDLE_SECONDS),
        )
        self._watches = httpx.AsyncClient(
            proxy=told,
            trust_env=False,
            verify=context,
            headers=headers,
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=4, keepalive_expiry=IDLE_SECONDS),
        )

    async def send(self, request: Request, token: str | None) -> Response:
        """Send and read the whole answer."""
        with _told():
            response = await self._calls.send(self._built(self._calls, request, token))
            return Response(response.status_code, _headers(response), response.content)

    @asynccontextmanager
    async def stream(self, request: Request, token: str | None) -> AsyncGenerator[Stream, None]:
        """Send and read chunk by chunk."""
        with _told():
            response = await self._watches.send(self._built(self._watches, request, token), stream=True)
        try:
            yield Stream(response.status_code, _chunks(response), _headers(response))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._calls.aclose()
        await self._watches.aclose()

    def _built(self, pool: httpx.AsyncClient, request: Request, token: str | None) -> httpx.Request:
        name = self._endpoint.tls_server_name
        return pool.build_request(
            request.method,
            self._endpoint.server.rstrip("/") + request.path,
            params=request.params or None,
            headers={**request.headers, **({"authorization": f"Bearer {token}"} if token else {})},
            content=request.body,
            extensions={"sni_hostname": name} if name else None,
        )


class _told:  # noqa: N801 - a context manager reads like a verb
    """Turn httpx's failures into the two that every carrier has."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.LocalProtocolError | UnicodeError):
            raise Unsendable from None
        if isinstance(error, httpx.HTTPError | httpx.StreamError | httpx.InvalidURL):
            raise Broken(str(error) or type(error).__name__) from error


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    with _told():
        async for chunk in response.aiter_bytes():
            yield chunk


def _headers(response: httpx.Response) -> dict[str, str]:
    return {key.lower(): value for key, value in response.headers.items()}
