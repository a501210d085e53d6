"""Serve an ASGI application on loopback until closed. No TLS: the AWS endpoints of a Space are http on loopback."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: how long a peer may take to send the head of a request, and how long that may be: 8 KiB is S3's limit, and forms
#: with a policy may come as a query
HEAD_SECONDS = 30.0
HEAD_BYTES = 1 << 16
#: what is sent at once even where more may follow, so that a long answer is not held whole
_MOST_HELD_BYTES = 1 << 17


class Joined(asyncio.Transport):
    """A transport that sends what is written in one turn of the loop together.

    uvicorn writes an answer's head and body apart; two packets wake a client twice, and the second waits for it.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._held_bytes = 0
        # Everything but writing is the transport's own.
        for name in ("get_extra_info", "is_closing", "pause_reading", "resume_reading", "set_protocol", "abort"):
            setattr(self, name, getattr(transport, name))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` with what else is written before the loop's next turn."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(bytes(data))
        self._held_bytes += len(data)
        if self._held_bytes > _MOST_HELD_BYTES:
            self._send()

    def close(self) -> None:
        """Send what is held, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.writelines(held)


class _Protocol(HttpToolsProtocol):
    """Bounds the head of a request in time and size, and lets the application end the connection it is asked on.

    llhttp takes heads of any length, and holds them; a peer that sends one slowly would be waited for.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _listed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        super().connection_made(Joined(transport, self.loop))
        self._head_begins()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ends()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        had_begun = self._head_timer is not None  # else what comes may be the end of a body
        super().data_received(data)
        if had_begun and self._head_timer is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response(f"The head of the request is larger than {HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"keyless.abort": {"call": self.transport.abort}}
        self._head_begins()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Many that arrive at once never wait for `data_received` to count them.
        self._listed_bytes += len(name) + len(value)
        if self._listed_bytes > HEAD_BYTES:
            raise ValueError("the head is too large")  # llhttp's callbacks end a message so: 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_ends()
        super().on_headers_complete()

    def _head_begins(self) -> None:
        self._listed_bytes = 0
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.transport.abort)

    def _head_ends(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Serving:
    """A running server; ``url`` is where. Use as ``async with serve(app, port): …``."""

    def __init__(self, app: Any, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            http=_Protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            # Nobody stands between: uvicorn would let every local caller choose its address, hence aws:SourceIp.
            proxy_headers=False,
            server_header=False,
            date_header=False,  # the applications say it: their clock may be off on request
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Serving:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await self._server.listening.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task
        self._socket.close()


class _Server(uvicorn.Server):
    """Says when it listens, and leaves signals to the process it is part of."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)


def serve(app: Any, port: int = 0) -> Serving:
    """A server of ``app`` on ``port`` (0: any free one)."""
    return Serving(app, port)
