"""Carry requests over HTTPS with httpx.

Calls and watches have pools of their own: hundreds of watches must not take the connections that calls wait for. When
server or CA change (see ``Source``), new requests use new pools; the old ones close when their last request ended.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from keyless.api import Permanent, os_failure
from keyless.kube.errors import Unreachable, failure_status
from keyless.kube.source import Endpoint, Source
from keyless.kube.transport import Request, Response, Stream

CALL_SECONDS = 30.0
"""Silence within a call that ends it."""
CALL_TOTAL_SECONDS = 120.0
"""A server that sends a byte now and then never falls silent: a call ends after this all the same."""
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 150.0
"""A watch hears a bookmark about every minute; after this silence the connection is taken for dead."""
IDLE_SECONDS = 30.0
"""Idle connections are dropped before load balancers drop them silently (AWS: 350 s, others 60 s)."""
MAX_CALLS = 32
USER_AGENT = "keyless"


class HttpTransport:
    """A transport for what ``source`` says at the time of each request."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pools: _Pools | None = None

    async def send(self, request: Request) -> Response:
        """Send and read the whole answer; once more with a renewed token after a 401."""
        async with self._use() as pools:
            response = await self._send(pools, request, await self._source.token())
            if response.status_code == 401:
                token = await self._source.token(renew=True)
                if token is not None:
                    response = await self._send(pools, request, token)
            headers = {key.lower(): value for key, value in response.headers.items()}
            return Response(response.status_code, headers, response.content)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[Stream, None]:
        """Send and read line by line."""
        async with self._use() as pools:
            token = await self._source.token()
            with _reaching(request, pools.endpoint):
                built = _build(pools.watches, pools.endpoint, request, token)
                response = await pools.watches.send(built, stream=True)
            if response.status_code == 401:
                await self._source.token(renew=True)
            try:
                headers = {key.lower(): value for key, value in response.headers.items()}
                yield Stream(response.status_code, _lines(response, request, pools.endpoint), headers)
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        pools, self._pools = self._pools, None
        if pools is not None:
            await pools.aclose()

    @asynccontextmanager
    async def _use(self) -> AsyncGenerator[_Pools, None]:
        endpoint = self._source.endpoint()
        pools, retired = self._pools, None
        if pools is None or pools.endpoint != endpoint:
            retired, pools = pools, _open(endpoint)
            self._pools = pools
        pools.users += 1
        try:
            if retired is not None:
                await retired.retire()
            yield pools
        finally:
            pools.users -= 1
            await pools.close_if_done()

    @staticmethod
    async def _send(pools: _Pools, request: Request, token: str | None) -> httpx.Response:
        with _reaching(request, pools.endpoint):
            built = _build(pools.calls, pools.endpoint, request, token)
            async with asyncio.timeout(CALL_TOTAL_SECONDS):
                return await pools.calls.send(built)


@dataclass(slots=True)
class _Pools:
    endpoint: Endpoint
    calls: httpx.AsyncClient
    watches: httpx.AsyncClient
    users: int = 0
    retired: bool = False

    async def retire(self) -> None:
        self.retired = True
        await self.close_if_done()

    async def close_if_done(self) -> None:
        if self.retired and not self.users:
            await self.aclose()

    async def aclose(self) -> None:
        await self.calls.aclose()
        await self.watches.aclose()


class _reaching:  # noqa: N801 - a context manager reads like a verb
    """Turn httpx's failures into ours: whatever happened, no answer came."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self._subject = f"{request.subject} at {endpoint.server}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.LocalProtocolError | UnicodeError):
            # Its words quote the header that cannot be sent, which holds the token.
            what = "the request cannot be sent: the token or the address holds characters that no header may"
            raise Unreachable(failure_status(0, "", f"{self._subject}: {what}")) from None
        if isinstance(error, httpx.HTTPError | httpx.StreamError | httpx.InvalidURL | OSError):
            what = str(error) or type(error).__name__
            raise Unreachable(failure_status(0, "", f"{self._subject}: no answer: {what}")) from error


async def _lines(response: httpx.Response, request: Request, endpoint: Endpoint) -> AsyncIterator[bytes]:
    """Split by newline alone: httpx's own splitter also breaks at characters that JSON strings may hold."""
    rest = b""
    with _reaching(request, endpoint):
        async for chunk in response.aiter_bytes():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
    if rest:
        yield rest


def _build(pool: httpx.AsyncClient, endpoint: Endpoint, request: Request, token: str | None) -> httpx.Request:
    headers = {**request.headers, "authorization": f"Bearer {token}"} if token else dict(request.headers)
    return pool.build_request(
        request.method,
        endpoint.server.rstrip("/") + request.path,
        params=request.params or None,
        headers=headers,
        content=request.body,
        extensions={"sni_hostname": endpoint.tls_server_name} if endpoint.tls_server_name else None,
    )


def _open(endpoint: Endpoint) -> _Pools:
    context = _tls(endpoint)
    headers = {"user-agent": USER_AGENT}
    calls = httpx.AsyncClient(
        verify=context,
        headers=headers,
        timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=MAX_CALLS, keepalive_expiry=IDLE_SECONDS),
    )
    watches = httpx.AsyncClient(
        verify=context,
        headers=headers,
        timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=4, keepalive_expiry=IDLE_SECONDS),
    )
    return _Pools(endpoint, calls, watches)


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        context = (
            ssl.create_default_context(cadata=endpoint.ca_pem) if endpoint.ca_pem else ssl.create_default_context()
        )
        if endpoint.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if endpoint.certificate_pem and endpoint.key_pem:
            _load_certificate(context, endpoint.certificate_pem, endpoint.key_pem)
    except ssl.SSLError as error:
        raise Permanent(
            f"{endpoint.server}: its CA, or our client certificate, is no valid PEM: {error.reason}"
        ) from None
    except (ValueError, TypeError):
        raise Permanent(f"{endpoint.server}: its CA, or our client certificate, is no valid PEM") from None
    except OSError as error:
        raise os_failure(error) from error
    return context


def _load_certificate(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    """The ssl module reads files only: give it one that others cannot read and that is gone at once."""
    descriptor, path = tempfile.mkstemp(prefix="keyless-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{certificate_pem}\n{key_pem}\n")
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
