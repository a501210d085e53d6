"""What AWS asks: two paths, without credentials. Nothing else is passed on to the API server."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keyless.identity.issuer.model import DISCOVERY_PATH, DISCOVERY_TYPE, KEYS_PATH, KEYS_TYPE, Documents


def app(documents: Callable[[], Documents | None], *, max_age_seconds: int) -> Starlette:
    """Answer with what ``documents`` returns, and 503 while that is nothing."""

    def answer(body: Callable[[Documents], bytes], media_type: str) -> Callable[[Request], Response]:
        def handle(_request: Request) -> Response:
            found = documents()
            if found is None:
                return PlainTextResponse("the API server has not been reached yet", 503)
            # Short: between two looks a new key must not be hidden by somebody's cache.
            headers = {"cache-control": f"public, max-age={max_age_seconds}"}
            return Response(body(found), media_type=media_type, headers=headers)

        return handle

    return Starlette(
        routes=[
            Route(DISCOVERY_PATH, answer(lambda found: found.discovery, DISCOVERY_TYPE)),
            Route(KEYS_PATH, answer(lambda found: found.keys, KEYS_TYPE)),
        ]
    )
