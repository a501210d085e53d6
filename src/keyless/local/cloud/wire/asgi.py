"""Requests and responses between ASGI and plain values."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from email.utils import formatdate
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.http import HttpRequest, HttpResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def head_of(scope: Scope) -> HttpRequest:
    """The request without its body."""
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    peer = scope.get("client")
    return HttpRequest(
        scope["method"],
        path,
        scope.get("query_string", b"").decode("latin-1"),
        headers,
        source_ip=peer[0] if peer else "127.0.0.1",
    )


_PORT = re.compile(r":[0-9]{1,5}\Z")


@lru_cache(maxsize=64)
def loopback_host(host: str) -> bool:
    """Whether a Host header names this machine: a page on the web that rebinds its name to 127.0.0.1 does not."""
    name = _PORT.sub("", host).strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def own_host(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether a Host header names loopback or one of ``hosts``, with any port."""
    return loopback_host(host) or _PORT.sub("", host).strip("[]").lower() in hosts


#: how long a peer may take from the head of a request to the end of its body
READ_SECONDS = 60.0


async def read_body(receive: Receive, limit_bytes: int, *, within_seconds: float = READ_SECONDS) -> bytes:
    """The whole body; raises when it is larger than ``limit_bytes``, or stops before its end."""
    try:
        async with asyncio.timeout(within_seconds):
            return await _all_of(receive, limit_bytes)
    except TimeoutError:
        text = "Your socket connection to the server was not read from or written to within the timeout period."
        raise AwsError("RequestTimeout", text, status=400) from None


async def _all_of(receive: Receive, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise AwsError("RequestTimeout", "The connection was closed before the body arrived", status=400)
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise AwsError("RequestEntityTooLarge", f"The body is larger than {limit_bytes} bytes", status=413)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


@lru_cache(maxsize=8)
def http_date(seconds: int) -> str:
    """A time as HTTP writes it; all answers of a second share one."""
    return formatdate(seconds, usegmt=True)


async def respond(send: Send, answer: HttpResponse, *, head: bool = False) -> None:
    """Send ``answer``; with ``head`` its body is held back."""
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    whole = answer.body if isinstance(answer.body, bytes) else None
    if "date" not in answer.headers:
        headers.append((b"date", http_date(int(time.time())).encode()))
    if whole is not None and "content-length" not in answer.headers:
        headers.append((b"content-length", str(len(whole)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if not head and isinstance(answer.body, AsyncIterator):
        async for piece in answer.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": whole or b"" if not head else b""})


async def lose(scope: Scope, receive: Receive) -> None:
    """End the connection without an answer, and come back when it has ended; raises where the server cannot."""
    abort = scope.get("extensions", {}).get("keyless.abort", {}).get("call")
    if abort is None:
        raise ConnectionResetError("the connection is lost on request, and this server cannot end it")
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass
