"""The kubelet's own HTTP endpoint: logs, for the API server alone (``callers.py`` says how it is known).

``GET /containerLogs/NAMESPACE/POD/CONTAINER?follow&tailLines&sinceSeconds&sinceTime&timestamps&previous&limitBytes``
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from keyless.api.numbers import whole_number
from keyless.local.node import logs
from keyless.local.node.callers import Judge
from keyless.local.node.logs import LogQuery

if TYPE_CHECKING:
    from keyless.local.node.kubelet import Kubelet

Send = Callable[[dict[str, Any]], Awaitable[None]]
PATH_PARTS = 4


class KubeletApp:
    """An ASGI application."""

    def __init__(self, kubelet: Kubelet, judge: Judge) -> None:
        self._kubelet = kubelet
        self._judge = judge

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if not is_address(headers.get(b"host", b"").decode("latin-1")):
            await _answer(send, 403, b"Forbidden: Host is no address of this node")
            return
        if scope["path"] == "/healthz":
            await _answer(send, 200, b"ok")
            return
        refused = await self._judge.refusal(scope)
        if refused is not None:
            await _answer(send, refused[0], refused[1].encode())
            return
        parts = [unquote(part) for part in scope["path"].strip("/").split("/")]
        if scope["method"] != "GET" or len(parts) != PATH_PARTS or parts[0] != "containerLogs":
            await _answer(send, 404, b"404 page not found: this node serves /containerLogs/NAMESPACE/POD/CONTAINER")
            return
        try:
            query = read_query_untrusted(dict(parse_qsl(scope["query_string"].decode())), datetime.now(UTC))
        except ValueError as error:
            await _answer(send, 400, str(error).encode())
            return
        await self._logs(parts[1], parts[2], parts[3], query, send)

    async def _logs(self, namespace: str, pod: str, container: str, query: LogQuery, send: Send) -> None:
        worker = self._kubelet.worker(namespace, pod)
        if worker is None:
            await _answer(send, 404, f'pod "{pod}" is not on this node'.encode())
            return
        found = worker.log_of(container)
        if found is None:
            message = f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating'
            await _answer(send, 400, message.encode())
            return
        attempt, open_log = found
        if query.previous:
            attempt, open_log = attempt - 1, None
        path = logs.path_of(worker.logs_folder, container, attempt)
        if not path.exists():
            message = f'previous terminated container "{container}" in pod "{pod}" not found'
            await _answer(send, 400, message.encode())
            return
        if open_log is not None:
            await _stream(send, open_log.chunks(query))
        else:
            await _answer(send, 200, b"".join(logs.selected(logs.stored_lines(path), query)))


def is_address(host: str) -> bool:
    """Whether a Host header is an address: a page on the web that rebound its name to this machine sends the name."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def read_query_untrusted(params: Mapping[str, str], now: datetime) -> LogQuery:
    """The query as values; raises ``ValueError``."""
    since = None
    if "sinceSeconds" in params:
        since = now - timedelta(seconds=whole_number(params["sinceSeconds"]))
    elif "sinceTime" in params:
        since = datetime.fromisoformat(params["sinceTime"])
    return LogQuery(
        follow=params.get("follow") in {"true", "1"},
        previous=params.get("previous") in {"true", "1"},
        timestamps=params.get("timestamps") in {"true", "1"},
        tail_lines=whole_number(params["tailLines"]) if "tailLines" in params else None,
        since=since,
        limit_bytes=whole_number(params["limitBytes"]) if "limitBytes" in params else None,
    )


async def _stream(send: Send, chunks: AsyncIterator[bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
