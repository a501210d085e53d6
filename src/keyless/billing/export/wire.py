"""Many small objects over kept connections: one thread, one request at a time on each, nothing but the plain case.

A plain answer is 200 with a body of its own length. At whatever else it meets (another status, a redirect, a proxy's
page, a connection that breaks, silence) it ends, and the caller asks another way, which can say what is wrong.

Why: docs/decisions/0012-usage-written-by-botocore-read-by-obstore.md
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httptools
from botocore.httpsession import get_cert_path

from keyless.billing.export.reading import BODY_LIMIT, SLOW_SECONDS, Readers

FEW_CONNECTIONS, MANY_CONNECTIONS = 16, 128
_CHUNK = 64 * 2**10
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 20.0


class _Unusual(Exception):
    """Something that is left to the caller's other way."""


class Wire:
    """Connections to one endpoint: ``connections`` at first, and many once answers turn out to be slow.

    ``request`` makes the whole request for a key; ``taken`` are the keys that were begun and whose bodies were not
    given, ``cut`` is whether there was something unusual.
    """

    def __init__(
        self, url: str, request: Callable[[str], bytes], readers: Readers, *, connections: int, ca_bundle: str = ""
    ) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = _context(ca_bundle) if parts.scheme == "https" else None
        self._request = request
        self._readers = readers
        self.connections = connections
        self.taken: deque[str] = deque()
        self.cut = False

    def bodies(self, keys: Iterator[str]) -> Iterator[bytes]:
        """The keys' bodies in order, as long as every answer is a plain one."""
        with selectors.DefaultSelector() as selector:
            try:
                yield from self._bodies(keys, selector)
            # A name that is no host, a certificate that nobody vouches for: ValueError and OSError.
            except (_Unusual, OSError, ValueError, httptools.HttpParserError):
                self.cut = True
            finally:
                for registered in list(selector.get_map().values()):
                    registered.data.close()

    def _bodies(self, keys: Iterator[str], selector: selectors.BaseSelector) -> Iterator[bytes]:
        ready: dict[int, bytes] = {}
        given = asked = 0
        more = True
        free = self._opened(selector, self.connections)
        while True:
            # Asked before anything is given, so that the other side works while the caller does.
            while free and len(self.taken) < 2 * self.connections:
                if (key := next(keys, None)) is None:
                    more = False
                    break
                self.taken.append(key)
                free.pop().ask(asked, self._request(key))
                asked += 1
            while given in ready:
                body = ready.pop(given)
                self.taken.popleft()
                given += 1
                yield body
            if not self.taken:
                if not more:
                    return
                continue
            for connection, number, body, seconds in self._answered(selector):
                ready[number] = body
                free.append(connection)
                if self.connections < MANY_CONNECTIONS and seconds > SLOW_SECONDS:
                    free += self._opened(selector, MANY_CONNECTIONS - self.connections)
                    self.connections = MANY_CONNECTIONS

    def _answered(self, selector: selectors.BaseSelector) -> Iterator[tuple[_Connection, int, bytes, float]]:
        """What was answered whole: a connection for the next request, the answer's number, body and seconds."""
        if not (events := selector.select(_SILENCE_SECONDS)):
            raise _Unusual
        for registered, _ in events:
            connection: _Connection = registered.data
            try:
                body = connection.read()
            except _Closed:
                # An idle connection may be closed at any time: the request that met it there is asked again, once.
                if not connection.answered:
                    raise _Unusual from None
                self._replaced(selector, connection).ask(connection.number, connection.request)
                continue
            if body is None:
                continue
            answer = connection.number, body, time.monotonic() - connection.since
            yield (self._replaced(selector, connection) if connection.ends else connection, *answer)

    def _replaced(self, selector: selectors.BaseSelector, connection: _Connection) -> _Connection:
        # Who ends every connection after one answer gains nothing from them.
        if connection.answered < 2 and connection.ends:
            raise _Unusual
        selector.unregister(connection.socket)
        connection.close()
        return self._opened(selector, 1)[0]

    def _opened(self, selector: selectors.BaseSelector, count: int) -> list[_Connection]:
        # At once, for each takes three journeys to a bucket far away.
        sockets = list(self._readers.in_order(lambda _: self._connected(), range(count)))
        opened = [_Connection(found) for found in sockets if found is not None]
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        if len(opened) < count:
            raise _Unusual
        return opened

    def _connected(self) -> socket.socket | None:
        try:
            found = socket.create_connection(self._address, _CONNECT_SECONDS)
        except (OSError, ValueError):
            return None
        try:
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = self._tls.wrap_socket(found, server_hostname=self._address[0]) if self._tls else found
            secured.setblocking(False)
        except (OSError, ValueError):
            found.close()
            return None
        return secured


class _Closed(Exception):
    """The other side ended the connection before it answered anything."""


class _Connection:
    """A connection and the one request that is on it."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.number, self.request, self.since = 0, b"", 0.0
        self.answered, self.ends = 0, False
        self._parser = httptools.HttpResponseParser(self)
        self._busy = self._begun = self._whole = False
        self._parts: list[bytes] = []
        self._size = 0

    def ask(self, number: int, request: bytes) -> None:
        """Send a request; ``number`` is the caller's."""
        self.number, self.request, self.since = number, request, time.monotonic()
        self._busy, self._begun, self._size = True, False, 0
        try:
            sent = self.socket.send(request)
        except (BrokenPipeError, ConnectionResetError):
            return  # reading tells
        if sent != len(request):
            raise _Unusual

    def read(self) -> bytes | None:
        """The body, once it is whole; raises ``_Closed`` where nothing came before the end."""
        while not self._whole:
            try:
                data = self.socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            except ConnectionResetError:
                data = b""
            if not data:
                raise _Unusual if self._begun or not self._busy else _Closed
            if not self._busy:
                raise _Unusual
            self._begun = True
            self._parser.feed_data(data)
        if self._parser.get_status_code() != 200:
            raise _Unusual
        self.answered += 1
        body, self._parts, self._whole, self._busy = b"".join(self._parts), [], False, False
        return body

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()

    def on_header(self, name: bytes, _value: bytes) -> None:
        """A body in pieces has no length of its own to be held against."""
        if name.lower() == b"transfer-encoding":
            raise _Unusual

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._size += len(data)
        if self._size > BODY_LIMIT or self._whole:
            raise _Unusual
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._whole:
            raise _Unusual
        self._whole, self.ends = True, not self._parser.should_keep_alive()


def _context(ca_bundle: str) -> ssl.SSLContext:
    """The certificates that botocore trusts: those of a file that the caller names, else its own."""
    context = ssl.create_default_context(cafile=get_cert_path(ca_bundle or True))
    context.set_alpn_protocols(["http/1.1"])
    return context
