"""The HTTP side of a component that runs as a pod: ``/healthz``, ``/readyz`` and ``/metrics``.

``/healthz`` says that the event loop turns, ``/readyz`` what ``ready`` says (empty: ready, else the reason),
``/metrics`` what the registry holds, in Prometheus' text format.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Ready = Callable[[], str]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class Probes:
    """An ASGI application for ``keyless.serving.serve``."""

    def __init__(self, ready: Ready, registry: CollectorRegistry) -> None:
        self._ready = ready
        self._registry = registry

    async def __call__(self, scope: dict[str, Any], _receive: Any, send: _Send) -> None:
        """The ASGI application."""
        match scope.get("path"):
            case "/healthz":
                await _answer(send, 200, b"ok")
            case "/readyz":
                reason = self._ready()
                await _answer(send, 503 if reason else 200, (reason or "ok").encode())
            case "/metrics":
                await _answer(send, 200, generate_latest(self._registry), CONTENT_TYPE_LATEST)
            case _:
                await _answer(send, 404, b"not found")


async def _answer(send: _Send, status: int, body: bytes, content_type: str = "text/plain") -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
