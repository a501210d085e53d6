"""REST routing: which operation a method, a path, its query and its headers mean.

Several operations may share a path (S3 tells them apart by query arguments and headers): of those whose literal and
required parts are all there, the most demanding one is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from keyless.local.cloud.wire.http import HttpRequest

_LABEL = re.compile(r"\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation's place; ``weight`` grows with what it demands."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    literals: tuple[tuple[str, str], ...]
    arguments: frozenset[str]
    headers: frozenset[str]
    weight: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Match:
    """The operation meant and the values of the path's labels, decoded."""

    operation: str
    labels: Mapping[str, str]


class Routes:
    """The routes of one service, most demanding first."""

    def __init__(
        self,
        requests: Mapping[str, tuple[str, str]],
        required: Mapping[str, tuple[frozenset[str], frozenset[str]]],
    ) -> None:
        routes = [_route(name, *place, *required[name]) for name, place in requests.items()]
        self._routes = sorted(routes, key=lambda route: route.weight, reverse=True)

    def match(self, request: HttpRequest) -> Match | None:
        """Return what ``request`` means, or None."""
        arguments = dict(reversed(request.arguments))
        for route in self._routes:
            if route.method != request.method or not _demands_met(route, arguments, request):
                continue
            if found := route.pattern.fullmatch(request.path):
                return Match(route.operation, dict(zip(route.labels, map(unquote, found.groups()), strict=True)))
        return None


def _demands_met(route: Route, arguments: Mapping[str, str], request: HttpRequest) -> bool:
    if any(arguments.get(name) != value for name, value in route.literals):
        return False
    return all(name in arguments for name in route.arguments) and all(
        name in request.header_map for name in route.headers
    )


def _route(name: str, method: str, uri: str, arguments: frozenset[str], headers: frozenset[str]) -> Route:
    path, _, query = uri.partition("?")
    literals = tuple(pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "x-id")
    labels = tuple(label.rstrip("+") for label in _LABEL.findall(path))
    pattern = ""
    for piece in re.split(r"(\{[^}]+\})", path):
        if piece.startswith("{"):
            pattern += "(.+)" if piece.endswith("+}") else "([^/]+)"
        else:
            pattern += re.escape(piece)
    if not path.endswith(("/", "+}")):
        pattern += "/?"
    literal_segments = sum(1 for segment in path.split("/") if segment and not segment.startswith("{"))
    weight = (literal_segments * 10 + len(labels), len(literals) + len(arguments) + len(headers))
    return Route(name, method, re.compile(pattern, re.DOTALL), labels, literals, arguments, headers, weight)
