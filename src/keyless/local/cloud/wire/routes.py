"""REST routing: which operation a method, a path, its query and its headers mean.

Several operations may share a path (S3 tells them apart by query arguments and headers): of those whose literal and
required parts are all there, the most demanding one is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from keyless.local.cloud.wire.http import HttpRequest

_LABEL = re.compile(r"\{([^}]+)\}")
#: name, method, URI, required query arguments, required headers
Place = tuple[str, str, str, frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation's place; ``weight`` grows with what it demands."""

    operation: str
    method: str
    pattern: str
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
    """The routes of one service: by method, then by path, most demanding first. A path is matched once for all."""

    def __init__(self, places: Iterable[Place]) -> None:
        by_path: dict[str, dict[str, list[Route]]] = {}
        for route in sorted((_route(*place) for place in places), key=lambda route: route.weight, reverse=True):
            by_path.setdefault(route.method, {}).setdefault(route.pattern, []).append(route)
        self._by_method = {
            method: [(re.compile(pattern, re.DOTALL), tuple(routes)) for pattern, routes in paths.items()]
            for method, paths in by_path.items()
        }

    def match(self, request: HttpRequest) -> Match | None:
        """Return what ``request`` means, or None."""
        arguments = dict(reversed(request.arguments))
        for pattern, routes in self._by_method.get(request.method, ()):
            if found := pattern.fullmatch(request.path):
                for route in routes:
                    if _demands_met(route, arguments, request):
                        return Match(
                            route.operation, dict(zip(route.labels, map(unquote, found.groups()), strict=True))
                        )
        return None


def _demands_met(route: Route, arguments: Mapping[str, str], request: HttpRequest) -> bool:
    for name, value in route.literals:
        if arguments.get(name) != value:
            return False
    return route.arguments <= arguments.keys() and route.headers <= request.header_map.keys()


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
    return Route(name, method, pattern, labels, literals, arguments, headers, weight)
