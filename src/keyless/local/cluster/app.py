"""The ASGI application: bytes in, bytes out, around ``Cluster.answer``.

Checks the Host header (every port of a local Space listens on loopback: a web page must not reach it by a name that
resolves to 127.0.0.1), reads the body within a limit, finds out who asks, and streams watches until either side ends.
"""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from keyless.local.cluster.authorization.attributes import refusal
from keyless.local.cluster.bodies import MAX_BODY_BYTES
from keyless.local.cluster.dispatch import PUBLIC
from keyless.local.cluster.impersonation import NobodyNamed, asked_for
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.routing import cluster_of
from keyless.local.cluster.status import ApiError, forbidden, internal, no_such_path, too_large
from keyless.local.cluster.users import ANONYMOUS, User

if TYPE_CHECKING:  # Cluster owns its App
    from keyless.local.cluster.cluster import Cluster

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_GZIP_FROM_BYTES = 128 * 1024  # what kube-apiserver compresses from


class Gone(Exception):
    """The caller hung up before its request was whole."""


class App:
    """The application of one ``Cluster``."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._server_host = urlsplit(cluster.settings.server_url).hostname or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event of the server."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            request = await self._request(scope, headers)
            body = await _body(receive)
            reply = await self._cluster.answer(replace(request, body=body))
        except ApiError as error:
            reply = json_reply(error.code, error.status)
        except Gone:
            return
        await _respond(reply, headers, receive, send)

    async def _request(self, scope: Scope, headers: Mapping[str, str]) -> Request:
        if not is_local(headers.get("host", ""), self._server_host):
            raise forbidden("", "", "", f"Host {headers.get('host', '')[:100]!r} is not this server's name")
        raw = scope.get("raw_path") or scope["path"].encode()
        cluster, path = cluster_of(raw.split(b"?")[0].decode("ascii", "replace"), self._cluster.settings.host)
        if not self._cluster.has(cluster):
            raise no_such_path()
        params = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        request = Request(cluster, scope["method"], path, ANONYMOUS, params, headers)
        if path in PUBLIC:
            return request
        user = await self._cluster.authenticate(request, headers.get("authorization", ""))
        return replace(request, user=self._impersonated(scope, request, user))

    def _impersonated(self, scope: Scope, request: Request, user: User) -> User:
        # Groups and extras are repeated headers: only the raw list has them all.
        raw = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        try:
            wanted = asked_for(raw)
        except NobodyNamed as error:
            raise internal(str(error)) from error
        if wanted is None:
            return user
        for question in wanted.questions():
            if not self._cluster.allows(request.cluster, user, question):
                raise forbidden(question.group, question.resource, question.name, refusal(user, question))
        return wanted.user()


def is_local(host: str, server_host: str) -> bool:
    """Whether a Host header names this machine's loopback (or the name in the server's own URL)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in {"localhost", server_host} and name and "@" not in host:
            return True
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(reply: Reply, asked: Mapping[str, str], receive: Receive, send: Send) -> None:
    body, headers = reply.body, {"content-type": reply.media_type, **reply.headers}
    if len(body) > _GZIP_FROM_BYTES and "gzip" in asked.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=1)
        headers["content-encoding"] = "gzip"
    if reply.stream is None and reply.status != 304:
        headers["content-length"] = str(len(body))
    encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    encoded += [(b"warning", _warning(text)) for text in reply.warnings]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    if reply.stream is None:
        await send({"type": "http.response.body", "body": body})
        return
    await _stream(reply.stream, receive, send)


def _warning(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'299 - "{quoted}"'.encode("latin-1", "replace")


async def _stream(stream: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send pieces until the stream ends or the caller hangs up, whichever is first."""
    sending = asyncio.ensure_future(_send_all(stream, send))
    leaving = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
        close = getattr(stream, "aclose", None)
        if close:
            await close()


async def _send_all(stream: AsyncIterator[bytes], send: Send) -> None:
    async for piece in stream:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
