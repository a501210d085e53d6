"""Calls webhooks over HTTPS, with connections kept for each CA bundle."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    import httpx  # 20 MB: loaded with the first webhook


class Unreachable(Exception):
    """The webhook gave no answer."""


class WebhookCaller(Protocol):
    """Posts a review; raises ``Unreachable``."""

    async def post(self, config: Mapping[str, Any], body: dict[str, Any], timeout_seconds: float) -> bytes:
        """Send ``body`` to the ``clientConfig``; the answer's body."""

    async def aclose(self) -> None:
        """Let go of connections."""


class HttpsCaller:
    """The real one."""

    def __init__(self) -> None:
        self._sessions: dict[str, httpx.AsyncClient] = {}

    async def post(self, config: Mapping[str, Any], body: dict[str, Any], timeout_seconds: float) -> bytes:
        """Send ``body``; services have no addresses here, so only ``url`` works."""
        import httpx

        url = config.get("url")
        if not url:
            service = config.get("service") or {}
            name = f"{service.get('namespace')}/{service.get('name')}"
            raise Unreachable(f"service {name} carries no traffic here: register the webhook by url")
        headers = {"content-type": "application/json", "accept": "application/json"}
        try:
            session = self._session(config.get("caBundle") or "")
            answer = await session.post(url, content=orjson.dumps(body), headers=headers, timeout=timeout_seconds)
        except httpx.TimeoutException as error:
            raise Unreachable(f'Post "{url}": context deadline exceeded') from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, ValueError) as error:
            raise Unreachable(f'Post "{url}": {str(error) or type(error).__name__}') from error
        if answer.status_code != 200:
            raise Unreachable(f'Post "{url}": the server answered {answer.status_code}')
        return answer.content

    def _session(self, bundle: str) -> httpx.AsyncClient:
        import httpx

        if bundle not in self._sessions:
            context = ssl.create_default_context()
            if bundle:
                try:
                    context.load_verify_locations(cadata=base64.b64decode(bundle).decode("ascii"))
                except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
                    raise ValueError(f"unable to load root certificates: {error}") from error
            self._sessions[bundle] = httpx.AsyncClient(verify=context, trust_env=False)
        return self._sessions[bundle]

    async def aclose(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.aclose()
        self._sessions.clear()
