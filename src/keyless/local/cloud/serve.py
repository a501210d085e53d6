"""Serve an ASGI application until closed: on loopback without TLS, as the AWS endpoints of a Space are, or with it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from keyless.local.heads import BoundedHeads

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


class _Protocol(BoundedHeads):
    """Sends what is written together, and lets the application end the connection it is asked on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        super().connection_made(Joined(transport, self.loop))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"keyless.abort": {"call": self.transport.abort}}
        certificate = self.transport.get_extra_info("peercert")
        if certificate:
            # Checked by TLS against the authorities that the server was given: there are no others here.
            self.scope["extensions"]["keyless.peer"] = certificate.get("subject", ())


class Serving:
    """A running server; ``url`` is where. Use as ``async with serve(app, port): …``."""

    def __init__(
        self,
        app: Any,
        port: int,
        host: str = "127.0.0.1",
        certificate: tuple[Path, Path] | None = None,
        client_ca: Path | None = None,
    ) -> None:
        """``certificate``: the paths of a chain and its key; ``client_ca``: of authorities of clients' certificates."""
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        scheme, named = "https" if certificate else "http", f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{named}:{self._socket.getsockname()[1]}"
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
            ssl_certfile=certificate[0] if certificate else None,
            ssl_keyfile=certificate[1] if certificate else None,
            ssl_ca_certs=str(client_ca) if client_ca else None,
            # Optional, so that who shows none is told so in words.
            ssl_cert_reqs=ssl.CERT_OPTIONAL if client_ca else ssl.CERT_NONE,
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


def serve(
    app: Any,
    port: int = 0,
    host: str = "127.0.0.1",
    certificate: tuple[Path, Path] | None = None,
    client_ca: Path | None = None,
) -> Serving:
    """A server of ``app`` on ``port`` (0: any free one); with the paths of a certificate's chain and key over TLS.

    ``client_ca``: clients may show certificates of these authorities, whose subjects the application is told.
    """
    return Serving(app, port, host, certificate, client_ca)
