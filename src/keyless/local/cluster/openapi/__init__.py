"""``/openapi/v3`` and ``/openapi/v2``, made when somebody asks: kubectl validates, explains and patches by them.

Specs: https://github.com/OAI/OpenAPI-Specification/blob/main/versions/3.0.0.md and …/versions/2.0.md
"""

from __future__ import annotations

from typing import Any

import orjson

from keyless.local.cluster.catalogue import Catalogue, Served
from keyless.local.cluster.messages import JSON, Reply, Request
from keyless.local.cluster.openapi import version2
from keyless.local.cluster.openapi.schemas import schema_name, schemas
from keyless.local.cluster.status import no_such_path, not_acceptable

_PARAMETERS = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]
_INFO = {"title": "Kubernetes", "version": "v1.32.9-eks-113cf36"}
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_STRATEGIC = "application/strategic-merge-patch+json"
_V2_FORMS = {
    version2.MEDIA_TYPE: True,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": True,
    JSON: False,
    "application/*": False,
    "*/*": False,
    "": False,
}


def openapi_v3(request: Request, catalogue: Catalogue) -> Reply:
    """Answer ``/openapi/v3`` and the documents below it."""
    headers = _headers(catalogue)
    if _has(request, headers):
        return Reply(304, headers=headers)
    below = request.path.removeprefix("/openapi/v3").strip("/")
    if not below:
        body: dict[str, Any] = {
            "paths": {path: {"serverRelativeURL": _url(path, catalogue)} for path in _all(catalogue)}
        }
    else:
        body = _document(below, catalogue)
    return Reply(200, orjson.dumps(body), headers=headers)


def openapi_v2(request: Request, catalogue: Catalogue) -> Reply:
    """Answer ``/openapi/v2``: one document of everything, as protobuf or JSON."""
    headers = _headers(catalogue)
    if _has(request, headers):
        return Reply(304, headers=headers)
    asked = (clause.split(";")[0].strip() for clause in request.accept.split(","))
    binary = next((_V2_FORMS[media] for media in asked if media in _V2_FORMS), None)
    if binary is None:
        raise not_acceptable()
    document = {
        "swagger": "2.0",
        "info": _INFO,
        "paths": {
            path: {verb: version2.operation(found) for verb, found in item.items()}
            for prefix in _all(catalogue)
            for path, item in _paths(prefix, catalogue).items()
        },
        "definitions": {
            name: version2.definition(schema) for name, schema in sorted(schemas(catalogue.resources).items())
        },
    }
    if binary:
        return Reply(200, version2.message(document), version2.MEDIA_TYPE, headers=headers)
    return Reply(200, orjson.dumps(document), headers=headers)


def _headers(catalogue: Catalogue) -> dict[str, str]:
    return {"ETag": f'"{catalogue.digest}"', "Vary": "Accept", "Cache-Control": "public"}


def _has(request: Request, headers: dict[str, str]) -> bool:
    return request.headers.get("if-none-match", "").strip() == headers["ETag"]


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
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": _paths(path, catalogue),
        "components": {"schemas": dict(sorted(schemas(served).items()))},
    }


def _paths(prefix: str, catalogue: Catalogue) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for served in catalogue.resources:
        if _prefix(served) != prefix:
            continue
        scope = "namespaces/{namespace}/" if served.namespaced else ""
        collection = f"/{prefix}/{scope}{served.plural}"
        if "create" in served.verbs:
            paths[collection] = {"post": _operation(served, "post")}
        if served.stored:
            paths[collection + "/{name}"] = {verb: _operation(served, verb) for verb in ("put", "patch", "delete")}
    return paths


def _operation(served: Served, verb: str) -> dict[str, Any]:
    kind = {"group": served.group, "version": served.version, "kind": served.kind}
    operation: dict[str, Any] = {
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": kind,
        "parameters": _PARAMETERS,
        "responses": {"200": {"description": "OK"}},
    }
    if verb == "patch" and schema_name(served):
        # kubectl makes strategic merge patches by our schemas only where this says that they are taken.
        forms = [*_PATCHES] if served.custom else [*_PATCHES, _STRATEGIC]
        operation["requestBody"] = {"content": {form: {"schema": {"type": "object"}} for form in forms}}
    return operation
