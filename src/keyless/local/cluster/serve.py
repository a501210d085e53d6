"""Serve a cluster over TLS on loopback, with uvicorn."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import uvicorn

from keyless.local.cluster.cluster import Cluster
from keyless.local.heads import BoundedHeads

_GRACEFUL_SECONDS = 2
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server; ``port`` is the one it listens on."""

    port: int
    _server: uvicorn.Server
    _task: asyncio.Task[None]

    async def stop(self) -> None:
        """End watches, finish what runs, close."""
        self._server.should_exit = True
        await self._task

    async def wait(self) -> None:
        """Until the server ends."""
        await asyncio.shield(self._task)


class _Protocol(BoundedHeads):
    """Heads as large as kube-apiserver takes them: Go's limit."""

    most_head_bytes = 1 << 20


class _Server(uvicorn.Server):
    """uvicorn that tells when it listens, and leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        """Install no handlers."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.ready.set()


async def serve(
    cluster: Cluster, host: str, port: int, certfile: str | None = None, keyfile: str | None = None
) -> Serving:
    """Listen (``port`` 0 chooses one) and answer until ``stop``; raises ``OSError`` when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    config = uvicorn.Config(
        cluster.app,
        http=_Protocol,
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,  # callers come straight: none may choose the address they are seen to have
        server_header=False,
        date_header=True,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="kubernetes api")
    ready = asyncio.ensure_future(server.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        task.result()
    return Serving(listener.getsockname()[1], server, task)
