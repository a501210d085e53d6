"""Serve an ASGI application on loopback until closed. No TLS: the AWS endpoints of a Space are http on loopback."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: how long a peer may take to send the head of its first request
HEAD_SECONDS = 30.0


class _Protocol(HttpToolsProtocol):
    """Ends connections that never ask for anything, and lets the application end the one it is asked on."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        super().connection_made(transport)
        self._head_timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"keyless.abort": {"call": self.transport.abort}}

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def _head_arrived(self) -> None:
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
