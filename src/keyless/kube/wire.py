"""One HTTP/1.1 connection that costs little to hold open and little to read from.

Hundreds of watches stand for hours and say a line now and then. asyncio's own TLS keeps 256 KiB for each of them, and
httpx passes each line through six layers with a timer in each. Here a connection is a socket, OpenSSL's object and
llhttp, which knows the protocol; all connections of a server read into one buffer, for each empties it before the next
one reads.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import h11

from keyless.kube.answering import Answer, Broken, Head

ADDRESS_SECONDS = 3.0
"""How long one address of several may be silent before the next one is tried."""
BUFFER_BYTES = 8 * 1024
"""OpenSSL's memory between socket and record keeps the size of the largest read: small reads keep it small."""
HIGH_BYTES = 256 * 1024
"""What may wait for a slow reader before the socket is left alone."""


class Unsendable(Exception):
    """The request holds what no header may. Without a text: that would quote the token."""


class Wire(asyncio.BufferedProtocol):
    """Use ``open_wire``. One request at a time; another one only where ``reusable``."""

    def __init__(self, buffer: memoryview, context: ssl.SSLContext | None, host: str) -> None:
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._secured: bool = self._tls is None
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._answer: Answer | None = None
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def reusable(self) -> bool:
        """Whether the last answer was read to its end and both sides mean to go on."""
        answer = self._answer
        return self._error is None and not self._chunks and answer is not None and answer.ended and answer.keeps

    async def secured(self) -> None:
        """Wait until TLS stands."""
        while not self._has_shaken():
            await self._wait()

    def _has_shaken(self) -> bool:
        return self._secured

    async def ask(self, request: h11.Request, body: bytes | None) -> Head:
        """Send a request and wait for the head of its answer."""
        answer = self._answer = Answer(self._chunks)
        self._write(_sent(request, body))
        while answer.head is None:
            await self._wait()
        return answer.head

    async def chunks(self, silence_seconds: float) -> AsyncIterator[bytes]:
        """The answer's body as it comes; silence for so long breaks it."""
        self._listen(silence_seconds)
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._waiting_bytes -= len(chunk)
                yield chunk
            if self._answer is None or self._answer.ended:
                return
            self._resume()
            await self._wait()

    def close(self) -> None:
        """Let go of the connection at once."""
        self._fail(Broken("the connection was closed"))

    async def _wait(self) -> None:
        if self._error is not None:
            raise Broken(str(self._error) or type(self._error).__name__) from self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _listen(self, silence_seconds: float) -> None:
        """Break when nothing is heard for so long; one timer for a whole answer, not one for each line of it."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()

        def look() -> None:
            rest = self._heard_at + silence_seconds - loop.time()
            # Silence is ours, not the server's, while we leave the socket alone.
            if rest > 0 or self._paused:
                self._timer = loop.call_later(rest if rest > 0 else silence_seconds, look)
            else:
                self._fail(Broken(f"silence for {silence_seconds:.0f} s"))

        self._quiet()
        self._timer = loop.call_later(silence_seconds, look)

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self._quiet()
        self._wake()
        if self._answer is not None:
            self._answer.drop()
        if self._transport is not None:
            self._transport.abort()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        assert self._transport is not None, "a wire is used once it stands"
        if self._tls is None:
            self._transport.write(data)
            return
        self._tls.write(data)
        self._transport.write(self._outgoing.read())

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket stands."""
        # uvloop's transports are none by inheritance.
        self._transport = cast(asyncio.Transport, transport)
        if not self._secured:
            self._shake()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read: all of it is taken before this returns, for the buffer is shared."""
        try:
            data = bytes(self._buffer[:nbytes])
            self._heard_at = asyncio.get_running_loop().time()
            if self._tls is None:
                self._take(data)
                return
            self._incoming.write(data)
            if not self._secured:
                self._shake()
            if self._secured:
                self._decrypt(self._tls)
        except (Broken, OSError) as error:
            self._fail(error)

    def eof_received(self) -> bool:
        """The server ended: whether in the middle of something the parser knows."""
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._error = self._error or exc or Broken("the connection was lost")
        self._quiet()
        self._wake()

    def _shake(self) -> None:
        assert self._tls is not None, "only TLS shakes hands"
        assert self._transport is not None, "the socket stands"
        try:
            self._tls.do_handshake()
            self._secured = True
            self._wake()
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            self._fail(error)
            return
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        # Asking once more, to be told that there is no more, is as dear as reading.
        while self._error is None and (self._incoming.pending or tls.pending()):
            try:
                data = tls.read(BUFFER_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self._end()
                break
            self._take(data)
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())  # the answer to a new key, say

    def _take(self, data: bytes) -> None:
        """Hand bytes to the parser and keep what it makes of them. Raises ``Broken``."""
        answer, held = self._answer, len(self._chunks)
        if answer is None:
            raise Broken("the server speaks without being asked")
        answer.feed(data)
        for number in range(held, len(self._chunks)):
            self._waiting_bytes += len(self._chunks[number])
        if answer.ended:
            self._quiet()
        if self._waiting_bytes > HIGH_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _end(self) -> None:
        """The server ended: whether in the middle of something the parser knows."""
        try:
            if self._answer is not None:
                self._answer.end()
        except Broken as error:
            self._fail(error)
        self._quiet()
        if self._error is None:
            self._error = Broken("the server closed the connection")
        self._wake()


def _sent(request: h11.Request, body: bytes | None) -> bytes:
    """A request as bytes; h11 knows what may stand there."""
    http = h11.Connection(h11.CLIENT)
    data = http.send(request) or b""
    if body:
        data += http.send(h11.Data(data=body)) or b""
    return data + (http.send(h11.EndOfMessage()) or b"")


async def open_wire(host: str, port: int, context: ssl.SSLContext | None, name: str, buffer: memoryview) -> Wire:
    """Connect and, with a ``context``, prove that the server is ``name``. Raises ``OSError`` or ``Broken``."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failed: OSError | None = None
    for number, (family, *_, address) in enumerate(addresses, 1):
        # The last one may take all the time that the caller has.
        limit = ADDRESS_SECONDS if number < len(addresses) else None
        try:
            async with asyncio.timeout(limit):
                _, wire = await loop.create_connection(
                    lambda: Wire(buffer, context, name), str(address[0]), port, family=family
                )
        except OSError as error:  # TimeoutError is one
            failed = error
            continue
        try:
            await wire.secured()
        except BaseException:
            wire.close()
            raise
        return wire
    raise failed or OSError(f"{host}: no address")
