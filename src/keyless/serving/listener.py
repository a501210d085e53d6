"""Serve an ASGI app on one address until cancelled.

uvicorn does the protocol; signals stay with the process, which cancels its tasks. Certificates are read again when
their files change: new connections get the new chain, open ones go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn

from keyless.api import Permanent

GRACE_SECONDS = 5
CERTIFICATE_POLL_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of a certificate chain and its key."""

    certificate: str
    key: str
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The process's own handlers cancel us; uvicorn's would take SIGTERM away from them.
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Over TLS a polite close waits for the peer's goodbye, which an idle connection in somebody's pool never says.
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket (``port`` 0: any free one); raises ``Permanent`` that names the address.

    An IPv6 address may stand in brackets, as in a URL: who writes POD_IP for one often has it so.
    """
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        why = "another process has it" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
        raise Permanent(f"cannot listen on {host}:{port}: {why}; free it or choose another address") from error
    sock.listen(128)
    sock.setblocking(False)
    return sock


async def serve(app: Any, sock: socket.socket, *, tls: Tls | None = None) -> None:
    """Serve ``app`` on ``sock``; when cancelled, finish open requests within ``GRACE_SECONDS`` and close it."""
    config = uvicorn.Config(
        app,
        interface="asgi3",  # said, since a method of an object would be taken for the older protocol
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # callers come straight: none may choose the address they are seen to have
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.load()
    if tls is not None:
        config.ssl = _context(tls)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    watching = asyncio.create_task(_reload(tls, config.ssl)) if tls and config.ssl else None
    try:
        await asyncio.shield(serving)
    finally:
        if watching:
            watching.cancel()
        server.should_exit = True
        await serving
        sock.close()


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = tls.minimum
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise Permanent(f"cannot serve TLS with {tls.certificate} and {tls.key}: {error}") from error
    return context


async def _reload(tls: Tls, context: ssl.SSLContext) -> None:
    loaded = _stamp(tls)
    while True:
        await asyncio.sleep(CERTIFICATE_POLL_SECONDS)
        found = _stamp(tls)
        if found == loaded:
            continue
        try:
            # Tried apart first: a pair that does not match would take the old one out of the context that serves.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
            context.load_cert_chain(tls.certificate, tls.key)
        except (OSError, ssl.SSLError) as error:
            # Half written, or key and certificate of two generations: the next look decides.
            log.warning("certificate not reloaded", certificate=tls.certificate, error=str(error))
            continue
        loaded = found
        log.info("certificate reloaded", certificate=tls.certificate)


def _stamp(tls: Tls) -> tuple[object, ...]:
    stamps: list[object] = []
    for path in (tls.certificate, tls.key):
        try:
            found = os.stat(path)
        except OSError:
            stamps.append(None)
        else:
            stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
    return tuple(stamps)
