"""A server's protocol that bounds the head of every request, in size and in time.

uvicorn on httptools takes heads of any length, and waits for them as long as it takes: 64 MiB in one header hold a
process for half a minute. Bodies are the applications' to bound.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: how long a peer may take to send the head of a request
HEAD_SECONDS = 30.0


class BoundedHeads(HttpToolsProtocol):
    """Answers 400 to a head that is too large, and cuts the connection of one that does not end."""

    #: S3 takes 8 KiB; forms with a policy may come as a query
    most_head_bytes = 1 << 16
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _listed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the base class
        """The first head is awaited from now on."""
        super().connection_made(transport)
        self._head_begins()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_ends()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes while a head is open."""
        had_begun = self._head_timer is not None  # else what comes may be the end of a body
        super().data_received(data)
        if had_begun and self._head_timer is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.most_head_bytes:
                self.send_400_response(f"The head of the request is larger than {self.most_head_bytes} bytes")

    def on_message_begin(self) -> None:
        """Another request on this connection."""
        super().on_message_begin()
        self._head_begins()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count what is listed: many that arrive at once never wait for ``data_received``."""
        self._listed_bytes += len(name) + len(value)
        if self._listed_bytes > self.most_head_bytes:
            raise ValueError("the head is too large")  # llhttp's callbacks end a message so: 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._head_ends()
        super().on_headers_complete()

    def _head_begins(self) -> None:
        self._listed_bytes = 0
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _head_ends(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
