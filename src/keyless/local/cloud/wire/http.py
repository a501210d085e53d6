"""A request and a response of HTTP as values, apart from any server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import unquote, unquote_plus

_MOST_FIELDS = 5000


@dataclass(frozen=True)
class HttpRequest:
    """One request, its body read whole. Path and query are as sent (still percent-encoded); header names lower case."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    source_ip: str = "127.0.0.1"

    def with_body(self, body: bytes) -> HttpRequest:
        """The same request and its body; what was read of the head need not be read again."""
        whole = replace(self, body=body)
        whole.__dict__.update({name: self.__dict__[name] for name in _OF_THE_HEAD if name in self.__dict__})
        return whole

    def header(self, name: str, default: str = "") -> str:
        """The value of header ``name`` (lower case); repeated ones are joined with a comma."""
        return self.header_map.get(name, default)

    @cached_property
    def header_map(self) -> dict[str, str]:
        """All headers, repeated ones joined with a comma."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            found[name] = f"{found[name]},{value}" if name in found else value
        return found

    @cached_property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """The query's pairs, decoded, in order."""
        return _pairs(self.query)

    @cached_property
    def form(self) -> tuple[tuple[str, str], ...]:
        """The pairs of a form: of the body, or of the query where there is none; raises ``ValueError``."""
        text = self.body.decode("utf-8") if self.body else self.query
        if text.count("&") >= _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields")
        return _pairs(text)

    def argument(self, name: str) -> str | None:
        """The first value of the query argument ``name``."""
        return next((value for key, value in self.arguments if key == name), None)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            found.append((unquote_plus(name), unquote_plus(value)))
    return tuple(found)


_OF_THE_HEAD = ("header_map", "arguments")


@dataclass(slots=True)
class HttpResponse:
    """One response; ``body`` is bytes, or pieces where it is long."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""


def decoded(path: str) -> str:
    """A path segment without its percent-encoding."""
    return unquote(path)
