"""From a path to what it names: a resource, an object, a subresource, or a fixed document.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Route:
    """A path taken apart. ``is_resource`` is false for discovery, health, version and other fixed documents."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""


def cluster_of(path: str, host: str) -> tuple[str, str]:
    """Split ``/clusters/<name>/rest`` into the cluster's name and ``/rest``; other paths belong to ``host``."""
    if not path.startswith("/clusters/"):
        return host, path
    name, _, rest = path.removeprefix("/clusters/").partition("/")
    return unquote(name), "/" + rest


def route(method: str, path: str, params: Mapping[str, str]) -> Route:
    """Read a path as RequestInfo does: the verb is what authorisation judges."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    verb = _VERBS.get(method, method.lower())
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Route(path, verb)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # /namespaces/x/status is a subresource of the namespace, /namespaces/x/pods a resource inside it.
        if len(rest) > 2 and rest[2] not in {"status", "finalize"}:
            rest = rest[2:]
    resource, name, subresource = (*rest, "", "")[:3] if len(rest) < 3 else (rest[0], rest[1], "/".join(rest[2:]))
    return Route(path, _refine(verb, name, params), True, group, version, namespace, resource, name, subresource)


def _refine(verb: str, name: str, params: Mapping[str, str]) -> str:
    if verb == "get" and params.get("watch", "false").lower() not in {"false", "0"}:
        return "watch"
    if name:
        return verb
    return {"get": "list", "delete": "deletecollection"}.get(verb, verb)
