"""Carry requests over HTTPS: straight to the server, or through the proxy that the environment names.

When server or CA change (see ``Source``), new requests use new connections; the old ones close when their last request
ended.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from keyless.api import Permanent, os_failure
from keyless.kube.answering import Broken
from keyless.kube.direct import Direct
from keyless.kube.errors import Unreachable, failure_status
from keyless.kube.limits import CALL_TOTAL_SECONDS, LINE_BYTES
from keyless.kube.source import Endpoint, Source
from keyless.kube.transport import Request, Response, Stream
from keyless.kube.wire import Unsendable


class HttpTransport:
    """A transport for what ``source`` says at the time of each request."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._carrying: _Carrying | None = None

    async def send(self, request: Request) -> Response:
        """Send and read the whole answer; once more with a renewed token after a 401."""
        async with self._use() as carrying:
            response = await self._send(carrying, request, await self._source.token())
            if response.status == 401:
                token = await self._source.token(renew=True)
                if token is not None:
                    response = await self._send(carrying, request, token)
            return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[Stream, None]:
        """Send and read line by line."""
        async with self._use() as carrying:
            token = await self._source.token()
            opening = carrying.carrier.stream(request, token)
            with _reaching(request, carrying.endpoint):
                stream = await opening.__aenter__()
            try:
                if stream.status == 401:
                    await self._source.token(renew=True)
                yield Stream(stream.status, _lines(stream.lines, request, carrying.endpoint), stream.headers)
            finally:
                await opening.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Close every connection."""
        carrying, self._carrying = self._carrying, None
        if carrying is not None:
            await carrying.carrier.aclose()

    @asynccontextmanager
    async def _use(self) -> AsyncGenerator[_Carrying, None]:
        endpoint = self._source.endpoint()
        carrying, retired = self._carrying, None
        if carrying is None or carrying.endpoint != endpoint:
            retired, carrying = carrying, _Carrying(endpoint, _carrier(endpoint))
            self._carrying = carrying
        carrying.users += 1
        try:
            if retired is not None:
                await retired.retire()
            yield carrying
        finally:
            carrying.users -= 1
            await carrying.close_if_done()

    @staticmethod
    async def _send(carrying: _Carrying, request: Request, token: str | None) -> Response:
        with _reaching(request, carrying.endpoint):
            async with asyncio.timeout(CALL_TOTAL_SECONDS):
                return await carrying.carrier.send(request, token)


class Carrier(Protocol):
    """Carries requests to one server. Raises ``Broken``, ``Unsendable`` or ``OSError``; a stream's lines are chunks."""

    async def send(self, request: Request, token: str | None) -> Response:
        """Send and read the whole answer."""
        ...

    def stream(self, request: Request, token: str | None) -> AbstractAsyncContextManager[Stream]:
        """Send and read chunk by chunk, on connections that calls never wait for."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


@dataclass(slots=True)
class _Carrying:
    endpoint: Endpoint
    carrier: Carrier
    users: int = 0
    retired: bool = False

    async def retire(self) -> None:
        self.retired = True
        await self.close_if_done()

    async def close_if_done(self) -> None:
        if self.retired and not self.users:
            await self.carrier.aclose()


class _reaching:  # noqa: N801 - a context manager reads like a verb
    """Turn a carrier's failures into ours: whatever happened, no answer came."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self._subject = f"{request.subject} at {endpoint.server}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unsendable | UnicodeError):
            what = "the request cannot be sent: the token or the address holds characters that no header may"
            raise Unreachable(failure_status(0, "", f"{self._subject}: {what}")) from None
        if isinstance(error, Broken | OSError | ValueError):
            what = str(error) or type(error).__name__
            raise Unreachable(failure_status(0, "", f"{self._subject}: no answer: {what}")) from error


async def _lines(chunks: AsyncIterator[bytes], request: Request, endpoint: Endpoint) -> AsyncIterator[bytes]:
    """Split by newline alone: JSON strings may hold every other character that ends a line somewhere."""
    rest: list[bytes] = []
    size = 0
    with _reaching(request, endpoint):
        async for chunk in chunks:
            first, *lines = chunk.split(b"\n")
            rest.append(first)
            size += len(first)
            if size > LINE_BYTES:
                raise Broken(f"a line of more than {LINE_BYTES} bytes")
            if not lines:
                continue
            yield b"".join(rest)
            *whole, last = lines
            for line in whole:
                yield line
            rest, size = [last], len(last)
    if size:
        yield b"".join(rest)


def _carrier(endpoint: Endpoint) -> Carrier:
    context = _tls(endpoint)
    try:
        if proxy := _proxy(endpoint.server):
            # Not loaded where there is no proxy: it takes 6 MB.
            from keyless.kube.proxied import Proxied

            return Proxied(endpoint, context, proxy)
        return Direct(endpoint, context)
    except ValueError as error:
        # What a file says may be mended there: so it is tried again.
        raise Unreachable(failure_status(0, "", f"{endpoint.server}: no address of a server: {error}")) from None


def _proxy(server: str) -> str:
    """The proxy that the environment names for ``server``, empty: none."""
    parts, proxies = urlsplit(server), getproxies()
    wanted = proxies.get(parts.scheme) or proxies.get("all") or ""
    # NO_PROXY holds addresses of IPv6 with brackets, as in a URL, or without, as most clients know them.
    if not wanted or proxy_bypass(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return ""
    return wanted if "://" in wanted else f"http://{wanted}"


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
        context.set_alpn_protocols(["http/1.1"])
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
    """The ssl module reads files only: one in memory, for a pod's root is read-only and a key belongs on no disk."""
    content = f"{certificate_pem}\n{key_pem}\n"
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("keyless-client"), "w") as file:
            file.write(content)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return
    # Elsewhere a file that others cannot read and that is gone at once.
    descriptor, path = tempfile.mkstemp(prefix="keyless-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
