"""What is asked often is answered without a framework: the body that was sent, and an answer whose bytes are ready.

A router and its request and response objects cost more than all that a cached credential or an admission review needs.

Protocol: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header_untrusted(scope: Scope, name: bytes) -> str:
    """The first header of the name (in small letters), empty where there is none."""
    for known, value in scope["headers"]:
        if known == name:
            return str(value, "latin-1")
    return ""


async def body_untrusted(receive: Receive) -> bytes:
    """The whole body; empty where the client went away before its end, so that no half of one is taken for it."""
    message = await receive()
    if message["type"] != "http.request":
        return b""
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def answer(send: Send, status: int, body: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> None:
    """Send the whole answer."""
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", content_type)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
