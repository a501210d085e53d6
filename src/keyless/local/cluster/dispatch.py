"""From an authenticated request to its handler: authorisation first, then the table of what is served."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import Any

from keyless.local.cluster import deleting, logs, reading, reviews, subresources, token_requests, watching, writing
from keyless.local.cluster.api import Api
from keyless.local.cluster.authentication import Authenticator
from keyless.local.cluster.authorization import Asked
from keyless.local.cluster.authorization.attributes import refusal
from keyless.local.cluster.bodies import decode, decode_yaml
from keyless.local.cluster.builtin import normalize
from keyless.local.cluster.catalogue import Served
from keyless.local.cluster.discovery import discover
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.objects import Target
from keyless.local.cluster.openapi import openapi_v2, openapi_v3
from keyless.local.cluster.routing import Route, route
from keyless.local.cluster.status import ApiError, bad_request, forbidden, method_not_allowed, no_such_path

GIT_VERSION = "v1.32.9-eks-113cf36"
PUBLIC = frozenset({"/.well-known/openid-configuration", "/openid/v1/jwks", "/keys"})
_HEALTH = frozenset({"/healthz", "/readyz", "/livez", "/healthz/ping", "/readyz/ping", "/livez/ping"})
_VERSIONS = {"token": ("authentication.k8s.io", "v1"), "binding": ("", "v1"), "eviction": ("policy", "v1")}
_MAX_AGE = {"Cache-Control": "public, max-age=3600"}


async def dispatch(api: Api, authenticator: Authenticator, request: Request) -> Reply:
    """Answer, or raise an ``ApiError``."""
    if request.path in PUBLIC:
        return _issuer(api, request)
    way = route(request.method, request.path, request.params)
    asked = Asked.of(way)
    if not api.authorizer.decide(request.cluster, request.user, asked).allowed:
        raise forbidden(way.group, way.resource, way.name, refusal(request.user, asked))
    if not way.is_resource:
        return _document(api, request)
    served = api.catalogues.of(request.cluster).find(way.group, way.version, way.resource)
    if served is None or served.namespaced > bool(way.namespace or not way.name):
        raise no_such_path()
    target = _target(request.cluster, served, way)
    if way.subresource:
        return await _subresource(api, request, target)
    if not served.stored:
        return await _review(api, authenticator, request, target)
    return await _object(api, request, target, way.verb)


def _target(cluster: str, served: Served, way: Route) -> Target:
    return Target(cluster, served, way.namespace if served.namespaced else "", way.name, way.subresource)


def _issuer(api: Api, request: Request) -> Reply:
    if request.method not in {"GET", "HEAD"}:
        raise method_not_allowed()
    if request.path.startswith("/.well-known"):
        found = api.issuers.discovery(request.cluster)
    else:
        found = api.issuers.jwks(request.cluster)
    answer = json_reply(200, found)
    return Reply(200, answer.body, headers=_MAX_AGE)


_PATHS = ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]


def _document(api: Api, request: Request) -> Reply:
    path = request.path.rstrip("/") or "/"
    if request.method not in {"GET", "HEAD"}:
        raise method_not_allowed()
    if path in _HEALTH:
        return Reply(200, b"ok", "text/plain; charset=utf-8")
    if path == "/version":
        return json_reply(200, _version())
    catalogue = api.catalogues.of(request.cluster)
    if path == "/openapi/v3" or path.startswith("/openapi/v3/"):
        return openapi_v3(request, catalogue)
    if path == "/openapi/v2":
        return openapi_v2(request, catalogue)
    if path in {"/api", "/apis"} or path.startswith(("/api/", "/apis/")):
        return discover(request, catalogue, api.settings.server_url.removeprefix("https://"))
    if path == "/":
        return json_reply(200, {"paths": _PATHS})
    raise no_such_path()


def _version() -> dict[str, str]:
    return {
        "major": "1",
        "minor": "32",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "",
        "goVersion": "",
        "compiler": "",
        "platform": f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}",
    }


async def _object(api: Api, request: Request, target: Target, verb: str) -> Reply:
    custom = target.served.custom
    try:
        reply = await _answered(api, request, target, verb)
    except ApiError as error:
        if custom is not None and custom.deprecation:
            error.warnings = (custom.deprecation,)
        raise
    if custom is None or not custom.deprecation:
        return reply
    return replace(reply, warnings=(custom.deprecation, *reply.warnings))


async def _answered(api: Api, request: Request, target: Target, verb: str) -> Reply:
    if verb not in target.served.verbs:
        raise method_not_allowed()
    if verb == "create" and target.name:
        raise method_not_allowed()
    if verb in {"update", "patch"} and not target.name:
        raise method_not_allowed()
    if verb != "list" and verb != "watch" and target.served.namespaced and not target.namespace:
        raise bad_request("an empty namespace may not be set during creation") if verb == "create" else no_such_path()
    match verb:
        case "get":
            return await reading.get(api, request, target)
        case "list":
            return await reading.list_objects(api, request, target)
        case "watch":
            return await watching.watch(api, request, target)
        case "create":
            return await writing.create(api, request, target)
        case "update":
            return await writing.replace(api, request, target)
        case "patch":
            return await writing.patch(api, request, target)
        case "delete":
            return await deleting.delete(api, request, target)
        case "deletecollection":
            return await deleting.delete_collection(api, request, target)
    raise method_not_allowed()


async def _subresource(api: Api, request: Request, target: Target) -> Reply:
    part = target.served.subresource(target.subresource)
    if part is None:
        raise no_such_path()
    verb = route(request.method, request.path, {}).verb
    if verb not in part.verbs:
        raise method_not_allowed()
    if part.name == "log":
        return await logs.read_log(api, request, target)
    if part.name in {"status", "finalize"}:
        return await _object(api, request, target, verb)
    if part.name not in {"scale", "token", "binding", "eviction"}:
        raise forbidden("", target.served.plural, target.name, f"{part.name} is not offered by this local cluster")
    body = _body(request)
    if part.name == "scale":
        return await subresources.scale(api, request, target, body)
    if not isinstance(body, dict):
        raise bad_request(f"the body is no {part.kind}")
    body = normalize(*_VERSIONS[part.name], part.kind, body)
    if part.name == "token":
        return token_requests.create_token(api, request, target, body)
    if part.name == "binding":
        return subresources.bind(api, request, target, body)
    return await subresources.evict(api, request, target, body)


def _body(request: Request) -> Any:
    return decode_yaml(request.body) if request.method == "PATCH" else decode(request)


async def _review(api: Api, authenticator: Authenticator, request: Request, target: Target) -> Reply:
    if request.method != "POST":
        raise method_not_allowed()
    body = decode(request)
    if not isinstance(body, dict):
        raise bad_request(f"the body is no {target.served.kind}")
    kind = target.served.kind
    body = normalize(target.served.group, target.served.version, kind, body)
    if kind == "TokenReview":
        return token_requests.review_token(api, authenticator, request.cluster, body)
    if kind == "SelfSubjectReview":
        return reviews.self_review(request, target, body)
    if kind == "SelfSubjectRulesReview":
        return reviews.rules_review(api, request, target, body)
    if kind == "Binding":
        return _bind_by_body(api, request, target, body)
    return reviews.access_review(api, request, target, body)


def _bind_by_body(api: Api, request: Request, target: Target, body: dict[str, Any]) -> Reply:
    pods = api.catalogues.of(request.cluster).find("", "v1", "pods")
    name = (body.get("metadata") or {}).get("name")
    if pods is None or not isinstance(name, str):
        raise bad_request("Binding: metadata.name names no pod")
    return subresources.bind(api, request, Target(target.cluster, pods, target.namespace, name, "binding"), body)
