"""The HTTP side of a component that runs as a pod: ``/healthz``, ``/readyz`` and ``/metrics``.

``/healthz`` says that the event loop turns, ``/readyz`` what ``ready`` says (empty: ready, else the reason),
``/metrics`` what the registry holds, in Prometheus' text format.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from keyless.serving.plain import Receive, Scope, Send, answer

Ready = Callable[[], str]


class Probes:
    """An ASGI application for ``keyless.serving.serve``."""

    def __init__(self, ready: Ready, registry: CollectorRegistry) -> None:
        self._ready = ready
        self._registry = registry

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """The ASGI application."""
        match scope.get("path"):
            case "/healthz":
                await answer(send, 200, b"ok")
            case "/readyz":
                reason = self._ready()
                await answer(send, 503 if reason else 200, (reason or "ok").encode())
            case "/metrics":
                await answer(send, 200, generate_latest(self._registry), CONTENT_TYPE_LATEST.encode())
            case _:
                await answer(send, 404, b"not found")
