"""Whether an API server still takes us for who we are: what the last answer says, asked for when none came.

A watch that stands hears nothing of a token that became void: it was let in earlier. So readiness is not told by
watches but by requests, and where a component has none to make, by a small one every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyless.api import KeylessError
from keyless.kube.errors import ApiError, Unauthorized, Unavailable, Unreachable

if TYPE_CHECKING:
    from keyless.kube.kube import Kube

BEAT_SECONDS = 3.0
"""How old the last answer may be. With a probe every 2 s that must fail three times a pod is unready within 10 s."""
_AWAY = frozenset({502, 503, 504})
"""Codes of a server that is not there. A 500 may be about one kind, whose conversion webhook is down."""


class Contact:
    """The state of one connection; :class:`Kube` notes each answer."""

    def __init__(self) -> None:
        self.trouble = ""
        """Why the server does not hear us; empty: the last answer was one."""
        self._heard_at: float | None = None

    def heard(self) -> None:
        """An answer came, and it knew us."""
        self.trouble = ""
        self._heard_at = asyncio.get_running_loop().time()

    def failed(self, error: ApiError) -> None:
        """A request ended so: some refusals are answers too."""
        lost = isinstance(error, Unauthorized | Unreachable)
        if lost or (isinstance(error, Unavailable) and error.code in _AWAY):
            self.trouble = f"the API server: {error}"
        else:
            self.heard()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what the requests inside come to."""
        try:
            yield
        except ApiError as error:
            self.failed(error)
            raise
        self.heard()

    def is_fresh(self) -> bool:
        """Whether nothing needs to be asked."""
        heard = self._heard_at
        recent = heard is not None and asyncio.get_running_loop().time() - heard < BEAT_SECONDS
        return recent and not self.trouble


async def keep_in_touch(kube: Kube) -> None:
    """Ask the server for its version whenever nothing else was asked lately; until cancelled."""
    while True:
        if not kube.contact.is_fresh():
            try:
                answer = await kube.request("GET", "/version")
                if isinstance(answer, str):
                    kube.contact.trouble = "the API server: expected its version, found a text: a proxy's page?"
            except KeylessError as error:
                if not isinstance(error, ApiError):
                    kube.contact.trouble = str(error)  # no connection could be made from what we have
        await asyncio.sleep(BEAT_SECONDS)
