"""The port between Kubernetes requests and whatever carries them (HTTPS, or memory)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``path`` is relative to the server's own path and may not carry a query."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def subject(self) -> str:
        """How an error names this request. Parameters and bodies may hold private data and stay out."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: ``lines`` ends when the server ends it; header names are lower case."""

    status: int
    lines: AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Carries requests. Raises ``Unreachable`` when no answer came, else returns whatever came."""

    async def send(self, request: Request) -> Response:
        """Send and read the whole answer."""
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Send and read the answer line by line, on connections that calls never wait for."""
        ...

    async def aclose(self) -> None:
        """Let go of every connection."""
        ...
