"""The node's own credential in the cluster: a token of its service account, asked for as the given kubeconfig.

It lies in a folder of the state that connections read again, and is made anew when half of its time is over.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import structlog

from keyless.api import KeylessError
from keyless.kube import Kube
from keyless.kube.source import Endpoint
from keyless.local.joined.rights import ACCOUNT, NAMESPACE
from keyless.local.state.lock import private

LIFE_SECONDS = 3600
RETRY_SECONDS = 10.0
log = structlog.get_logger("keyless.up")


class NodeCredential:
    """``folder`` holds ``server``, ``ca.crt`` and ``token``: what ``connect_folder`` reads."""

    def __init__(self, kube: Kube, endpoint: Endpoint, folder: Path) -> None:
        self._kube = kube
        self._endpoint = endpoint
        self.folder = folder
        self._expires = datetime.now(UTC)

    async def make(self) -> None:
        """Have a token issued and write it. Raises ``KeylessError``."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = await self._kube.token(ACCOUNT, NAMESPACE, audiences=(), expiration_seconds=LIFE_SECONDS)
        self._expires = found.expires_at
        for name, text in (
            ("server", self._endpoint.server),
            ("ca.crt", self._endpoint.ca_pem or ""),
            ("token", found.token),
        ):
            _write(self.folder / name, text)

    async def keep(self) -> None:
        """Renew until cancelled; a renewal that fails is tried again while the token lasts, and after."""
        while True:
            left = (self._expires - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(left / 2, RETRY_SECONDS))
            try:
                await self.make()
            except KeylessError as error:
                log.warning("the node's token is not renewed", error=str(error))


def _write(path: Path, text: str) -> None:
    # Whole or not at all: a connection may read it at any moment.
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "w", encoding="utf-8", opener=private) as file:
        file.write(text)
    partial.replace(path)
