"""Carry requests straight to a server, on connections of our own (see ``wire``)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

import h11

from keyless.kube.answering import Broken, Head
from keyless.kube.limits import (
    CALL_SECONDS,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    MAX_CALLS,
    SILENCE_SECONDS,
    USER_AGENT,
)
from keyless.kube.source import Endpoint
from keyless.kube.transport import Request, Response, Stream
from keyless.kube.wire import BUFFER_BYTES, Unsendable, Wire, open_wire

# What RFC 3986 lets stand in a path; all else is escaped.
_PATH_SAFE = "/%:@!$&'()*+,;=~"


@dataclass(slots=True)
class _Idle:
    wire: Wire
    since: float


class Direct:
    """One server. Calls keep connections for the next call; each watch has one of its own."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        """Raises ``ValueError`` where the server's address is none."""
        parts = urlsplit(endpoint.server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected an http or https URL with a host")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/")
        self._name = endpoint.tls_server_name or self._host
        self._context = context if self._secure else None
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._idle: list[_Idle] = []
        self._sweeping: asyncio.TimerHandle | None = None
        self._open: set[Wire] = set()
        self._calls = asyncio.Semaphore(MAX_CALLS)

    async def send(self, request: Request, token: str | None) -> Response:
        """Send and read the whole answer."""
        async with self._calls:
            idle = self._take_idle()
            if idle is not None:
                try:
                    return await self._call(idle, request, token)
                except Broken:
                    # The server may have ended it while nobody looked. What only reads may be asked again.
                    if request.method != "GET":
                        raise
            return await self._call(await self._connect(), request, token)

    @asynccontextmanager
    async def stream(self, request: Request, token: str | None) -> AsyncGenerator[Stream, None]:
        """Send and read chunk by chunk."""
        wire = await self._connect()
        self._open.add(wire)
        try:
            head = await self._ask(wire, request, token, SILENCE_SECONDS)
            yield Stream(head.status, wire.chunks(SILENCE_SECONDS), head.headers)
        finally:
            self._drop(wire)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        for wire in [*(each.wire for each in self._idle), *self._open]:
            wire.close()
        self._idle.clear()
        self._open.clear()
        # A socket is gone one turn of the loop after it was closed.
        await asyncio.sleep(0)

    async def _call(self, wire: Wire, request: Request, token: str | None) -> Response:
        self._open.add(wire)
        try:
            head = await self._ask(wire, request, token, CALL_SECONDS)
            body = b"".join([chunk async for chunk in wire.chunks(CALL_SECONDS)])
        except BaseException:
            # Half of an answer is still to come on it.
            self._drop(wire)
            raise
        self._open.discard(wire)
        if wire.reusable:
            self._idle.append(_Idle(wire, asyncio.get_running_loop().time()))
            self._sweep_later()
        else:
            wire.close()
        return Response(head.status, head.headers, body)

    async def _connect(self) -> Wire:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await open_wire(self._host, self._port, self._context, self._name, self._buffer)
        except TimeoutError:
            raise Broken(f"no connection within {CONNECT_SECONDS:.0f} s") from None

    def _sweep_later(self) -> None:
        """A server that is not asked again must not keep its connections: there may be hundreds of servers."""
        if self._sweeping is None and self._idle:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._swept)

    def _swept(self) -> None:
        self._sweeping = None
        self._close_old()
        self._sweep_later()

    def _close_old(self) -> None:
        now = asyncio.get_running_loop().time()
        old, self._idle = self._idle, [each for each in self._idle if now - each.since < IDLE_SECONDS]
        for each in old:
            if now - each.since >= IDLE_SECONDS:
                each.wire.close()

    def _take_idle(self) -> Wire | None:
        self._close_old()
        while self._idle:
            wire = self._idle.pop().wire
            if wire.reusable:
                return wire
            wire.close()
        return None

    def _drop(self, wire: Wire) -> None:
        self._open.discard(wire)
        wire.close()

    async def _ask(self, wire: Wire, request: Request, token: str | None, seconds: float) -> Head:
        headers = {"host": self._authority, "user-agent": USER_AGENT, "accept-encoding": "identity", **request.headers}
        if token:
            headers["authorization"] = f"Bearer {token}"
        if request.body is not None or request.method in {"POST", "PUT", "PATCH"}:
            headers["content-length"] = str(len(request.body or b""))
        target = self._prefix + _target(request)
        try:
            asked = h11.Request(method=request.method, target=target, headers=list(headers.items()))
        except (h11.LocalProtocolError, UnicodeError):
            raise Unsendable from None
        try:
            async with asyncio.timeout(seconds):
                return await wire.ask(asked, request.body)
        except TimeoutError:
            raise Broken(f"silence for {seconds:.0f} s") from None


def _target(request: Request) -> str:
    path = quote(request.path, safe=_PATH_SAFE)
    return f"{path}?{urlencode(request.params, quote_via=quote)}" if request.params else path
