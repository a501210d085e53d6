"""A small OpenAPI v3: the paths that clients look at before they write, without schemas.

kubectl and helm read ``paths[*].patch`` for ``x-kubernetes-group-version-kind`` and the ``fieldValidation`` and
``dryRun`` query parameters; with them they never fetch the (protobuf) v2 document. ``kubectl explain`` needs schemas
and gets none. Spec: https://github.com/OAI/OpenAPI-Specification/blob/main/versions/3.0.0.md
"""

from __future__ import annotations

from typing import Any

import orjson

from keyless.local.cluster.catalogue import Catalogue, Served
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.status import no_such_path

_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]


def openapi_v3(request: Request, catalogue: Catalogue) -> Reply:
    """Answer ``/openapi/v3`` and the documents below it."""
    headers = {"ETag": f'"{catalogue.digest}"', "Vary": "Accept", "Cache-Control": "public"}
    if request.headers.get("if-none-match", "").strip() == headers["ETag"]:
        return Reply(304, headers=headers)
    below = request.path.removeprefix("/openapi/v3").strip("/")
    if not below:
        body: dict[str, Any] = {
            "paths": {path: {"serverRelativeURL": _url(path, catalogue)} for path in _all(catalogue)}
        }
    else:
        body = _document(below, catalogue)
    return Reply(200, orjson.dumps(body), headers=headers)


def _url(path: str, catalogue: Catalogue) -> str:
    return f"/openapi/v3/{path}?hash={catalogue.digest}"


def _all(catalogue: Catalogue) -> list[str]:
    return list(dict.fromkeys(_prefix(served) for served in catalogue.resources))


def _prefix(served: Served) -> str:
    return f"apis/{served.group}/{served.version}" if served.group else f"api/{served.version}"


def _document(path: str, catalogue: Catalogue) -> dict[str, Any]:
    served = [resource for resource in catalogue.resources if _prefix(resource) == path]
    if not served:
        raise no_such_path()
    paths: dict[str, Any] = {}
    for resource in served:
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        collection = f"/{path}/{scope}{resource.plural}"
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        paths[collection] = {"post": _operation(kind, "post")}
        paths[collection + "/{name}"] = {verb: _operation(kind, verb) for verb in ("put", "patch", "delete")}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.9-eks-113cf36"},
        "paths": paths,
        "components": {},
    }


def _operation(kind: dict[str, str], verb: str) -> dict[str, Any]:
    return {
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": kind,
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
    }
