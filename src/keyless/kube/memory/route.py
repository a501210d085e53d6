"""Which object or collection a request path means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from keyless.kube.errors import NotFound, failure_status

_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Key:
    """One object's place."""

    group: str
    plural: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Route:
    """What a path addresses; ``name`` is empty for a collection, ``namespace`` for all of them or for none."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """The object's place."""
        return Key(self.group, self.plural, self.namespace, self.name)

    @property
    def qualified(self) -> str:
        """The resource as error texts name it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def holds(self, key: Key) -> bool:
        """Whether ``key`` lies in this collection."""
        return key.group == self.group and key.plural == self.plural and self.namespace in {"", key.namespace}


def route_of(path: str) -> Route:
    """Parse ``/api/v1/…`` and ``/apis/GROUP/VERSION/…``."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise NotFound(failure_status(404, "NotFound", "the server could not find the requested resource"))
    namespace = ""
    inside = len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in _NAMESPACE_SUBRESOURCES
    if inside:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    return Route(group, version, plural, namespace, name, subresource)
