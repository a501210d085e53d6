"""Writes that are let through only while their sender may write.

A process that was stopped (a paused machine, a long collection) does not know at first that its Lease ran out. So each
write asks once more, at the moment when it is sent; reads go on, for they change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from keyless.api import Transient
from keyless.kube.transport import Request, Response, Stream, Transport

READS = frozenset({"GET", "HEAD"})


class NotHeld(Transient):
    """Another may have taken over: this process writes nothing any more."""


class FencedTransport:
    """``may_write`` is asked for each write; what it refuses raises ``NotHeld`` and is not sent."""

    def __init__(self, transport: Transport, may_write: Callable[[], bool]) -> None:
        self._transport, self._may_write = transport, may_write

    async def send(self, request: Request) -> Response:
        """Send, if that is a read or may still be written."""
        if request.method not in READS and not self._may_write():
            raise NotHeld(f"{request.subject}: not sent, for the lease is not held any more")
        return await self._transport.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Watches and logs are reads."""
        return self._transport.stream(request)

    async def aclose(self) -> None:
        """Let go of the connections behind."""
        await self._transport.aclose()
