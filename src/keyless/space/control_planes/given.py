"""Looks at the Secrets of APIs that are brought. A watch would take the right to list every Secret of the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from keyless.api import KeylessError
from keyless.kube import Kube, KubeObject, Name, NotFound, name_of
from keyless.space.control_planes.attached import given_key
from keyless.space.items import Key

LOOK_SECONDS = 10.0
"""One read by name for each of them: 300 are 30 requests a second."""


class GivenSecrets:
    """``changed`` is called with each control plane whose Secret is another than at the last look."""

    def __init__(self, host: Kube, planes: Callable[[], Iterable[KubeObject]], changed: Callable[[Name], None]) -> None:
        self._host = host
        self._planes = planes
        self._changed = changed
        self._seen: dict[tuple[Name, Key], str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            named = {
                (name_of(plane), key): await self._version(key)
                for plane in list(self._planes())
                if (key := given_key(plane)) is not None
            }
            for where, version in named.items():
                # Also what is seen for the first time: it may have changed since its control plane was looked at.
                if version is not None and self._seen.get(where) != version:
                    self._changed(where[0])
            self._seen = {where: self._seen.get(where, "") if v is None else v for where, v in named.items()}

    async def _version(self, key: Key) -> str | None:
        """Its version, empty where there is none; None where that cannot be told just now."""
        try:
            live = await self._host.get(key.resource, key.name, key.namespace)
        except NotFound:
            return ""
        except KeylessError:
            return None
        metadata = live["metadata"]
        return f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}"
