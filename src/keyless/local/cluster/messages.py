"""Requests and replies as values, between the ASGI shell (or an in-process caller) and the API.

Nothing here reads a socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from keyless.local.cluster.users import User

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one cluster; ``path`` is without ``/clusters/<name>``, header names are lower case."""

    cluster: str
    method: str
    path: str
    user: User
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def flag(self, name: str) -> bool:
        """A boolean query parameter, as Go's conversion reads it."""
        return name in self.params and self.params[name].lower() not in {"false", "0"}

    @property
    def accept(self) -> str:
        """What the caller wants to read."""
        return self.headers.get("accept", "")

    @property
    def media_type(self) -> str:
        """The body's media type without parameters."""
        return self.headers.get("content-type", JSON).split(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished answer, or the head of a stream."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    stream: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an in-process caller gets: the code and the decoded body."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status < 300


def json_reply(status: int, body: Mapping[str, Any], *, warnings: tuple[str, ...] = ()) -> Reply:
    """Encode an answer."""
    return Reply(status, orjson.dumps(body), warnings=warnings)
