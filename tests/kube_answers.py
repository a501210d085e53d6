"""Everything that may come where an API server should answer, and a server that answers so for a while."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import Any

from keyless.kube import Kube, Unreachable
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.transport import Request, Response, Stream

HTML = b"<html><body>502 Bad Gateway</body></html>"
STATUSES = [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 502, 503, 504, 301, 302, 304]


def status(code: int, /, **more: object) -> bytes:
    return json.dumps({**failure_status(code, "", f"said {code}"), **more}).encode()


def lost(why: str):
    return Unreachable(failure_status(0, "", f"no answer: {why}"))


ANSWERS = {
    **{f"HTTP {code} with a Status": (code, status(code)) for code in STATUSES},
    **{f"HTTP {code} with a page": (code, HTML) for code in STATUSES},
    **{f"HTTP {code} with nothing": (code, b"") for code in STATUSES},
    "a Status that says Success": (500, status(200)),
    "a Status whose code is a word": (503, status(503, code="many")),
    "a Status whose details are a list": (429, status(429, details=[1])),
    "a Status without end of waiting": (429, status(429, details={"retryAfterSeconds": 1e300})),
    "a Status that asks for no wait": (429, status(429, details={"retryAfterSeconds": 0})),
    "a page": (200, HTML),
    "nothing": (200, b""),
    "a text that was cut off": (200, b'{"metadata": {"name": "a", "labels": {"x"'),
    "bytes that are no text": (200, b"\xff\xfe\x00"),
    "nesting without end": (200, b"[" * 5000),
    "a list": (200, b"[]"),
    "a word": (200, b'"ok"'),
    "null": (200, b"null"),
    "an empty object": (200, b"{}"),
    "metadata null": (200, b'{"metadata": null, "items": [null]}'),
    "items that are words": (200, b'{"metadata": {}, "items": ["a"]}'),
    "items without a name": (200, b'{"metadata": {}, "items": [{"metadata": {}}]}'),
    "labels that are a list": (
        200,
        b'{"metadata": {"name": "a", "labels": ["x"]}, "items": [{"metadata": {"name": "a", "labels": ["x"]}}]}',
    ),
    "status that is a word": (
        200,
        b'{"metadata": {"name": "a"}, "status": "x", "items": [{"metadata": {"name": "a"}, "status": "x"}]}',
    ),
    "a watch ERROR": (200, b'{"type": "ERROR", "object": ' + status(410) + b"}"),
    "a watch ERROR of 403": (200, b'{"type": "ERROR", "object": ' + status(403) + b"}"),
    "a watch ERROR without a Status": (200, b'{"type": "ERROR", "object": "conversion failed"}'),
    "a watch event without a type": (200, b'{"object": {"metadata": {"name": "a"}}}'),
    "a watch event of an unknown type": (200, b'{"type": "SYNC", "object": {"metadata": {"name": "a"}}}'),
    "a watch event without an object": (200, b'{"type": "ADDED", "object": null}'),
    "a watch event without metadata": (200, b'{"type": "ADDED", "object": {"kind": "ConfigMap"}}'),
    "a bookmark without metadata": (200, b'{"type": "BOOKMARK", "object": {}}'),
    "DNS that does not know the name": lost("Name or service not known"),
    "a refused connection": lost("Connection refused"),
    "a certificate that nobody vouches for": lost("CERTIFICATE_VERIFY_FAILED"),
    "a time-out": lost("ReadTimeout"),
    "a connection that was cut": lost("peer closed connection"),
}


class StandIn:
    """A transport that answers in a healthy one's place while ``answer`` is set."""

    def __init__(self, healthy: Any) -> None:
        self.answer: Any = None
        self.headers: dict[str, str] = {}
        self.asked = 0
        self._healthy = healthy

    async def send(self, request: Request) -> Response:
        self.asked += 1
        if self.answer is None:
            healthy: Response = await self._healthy.send(request)
            return healthy
        if isinstance(self.answer, Exception):
            raise self.answer
        code, body = self.answer
        return Response(code, {"content-type": "application/json", **self.headers}, body)

    @asynccontextmanager
    async def stream(self, request: Request):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            async with self._healthy.stream(request) as stream:
                yield stream
            return
        code, body = self.answer

        async def lines():
            for line in body.split(b"\n"):
                yield line

        yield Stream(code, lines(), self.headers)

    async def aclose(self) -> None:
        await self._healthy.aclose()


def stand_in(kube: Kube) -> StandIn:
    """Put one between ``kube`` and its server."""
    standing = StandIn(kube._transport)
    kube._transport = standing  # type: ignore[assignment]  # a transport by its shape
    return standing


class Sick(MemoryKube):
    """A memory server behind a stand-in."""

    def __init__(self) -> None:
        super().__init__()
        self._stand_in = stand_in(self)

    @property
    def answer(self) -> Any:
        return self._stand_in.answer

    @answer.setter
    def answer(self, answer: Any) -> None:
        self._stand_in.answer = answer

    @property
    def headers(self) -> dict[str, str]:
        return self._stand_in.headers

    @headers.setter
    def headers(self, headers: dict[str, str]) -> None:
        self._stand_in.headers = headers

    @property
    def asked(self) -> int:
        return self._stand_in.asked

    @asked.setter
    def asked(self, asked: int) -> None:
        self._stand_in.asked = asked
