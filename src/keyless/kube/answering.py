"""One answer of a server, parsed as its bytes come: whole, or not an answer.

llhttp does it: a watch is hundreds of small chunks a minute, and a parser in Python was a sixth of what a busy
collector computed. A body that has neither a length nor chunks ends with its connection.
"""

from __future__ import annotations

from collections import deque

import httptools

HEAD_BYTES = 100 * 1024
"""The longest head of an answer."""


class Broken(Exception):
    """No (whole) answer came; the text says what did."""


class Head:
    """Status and headers, their names in small letters."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers


class Answer:
    """The answer to one request; ``chunks`` is where its body goes. ``feed`` and ``end`` raise ``Broken``."""

    __slots__ = ("_chunks", "_extra", "_headers", "_parser", "_read", "_sized", "ended", "head", "keeps")

    def __init__(self, chunks: deque[bytes]) -> None:
        self.head: Head | None = None
        self.ended = False
        self.keeps = False
        """Whether the server means to go on after it."""
        self._chunks = chunks
        self._headers: dict[str, str] = {}
        self._read = 0
        self._sized = self._extra = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take what came."""
        if self._parser is None:
            raise Broken("the server speaks without being asked")
        if self.head is None:
            self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise Broken(f"no answer of HTTP/1.1: {error}") from None
        if self._extra:
            raise Broken("the server speaks without being asked")
        if self.head is None and self._read > HEAD_BYTES:
            raise Broken(f"a head of more than {HEAD_BYTES} bytes")
        if self.ended:
            self._parser = None  # the two know each other, and nobody should have to search for that

    def end(self) -> None:
        """The connection ended: that is the end of the answer, or it is in the middle of it."""
        if self.ended:
            return
        if self.head is None or self._sized:
            raise Broken("the server closed the connection in the middle of its answer")
        self.ended, self._parser = True, None

    def drop(self) -> None:
        """Nothing more of it is wanted."""
        self._parser = None

    # What llhttp calls. What these raise it would wrap: they only note.

    def on_message_begin(self) -> None:
        """Another answer, which nobody asked for, or the one after "100 Continue"."""
        self._extra = self._extra or self.ended
        self._headers = {}
        self._sized = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line; of several of one name the last one counts."""
        key = name.decode("latin-1").lower()
        self._headers[key] = value.decode("latin-1")
        self._sized = self._sized or key in {"content-length", "transfer-encoding"}

    def on_headers_complete(self) -> None:
        """The head is whole."""
        assert self._parser is not None, "it is the one who calls"
        status = self._parser.get_status_code()
        if status >= 200 and not self._extra:
            self.head = Head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        if not self._extra:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it only was a word before it."""
        if self.head is not None and self._parser is not None and not self._extra:
            self.ended, self.keeps = True, self._parser.should_keep_alive()
