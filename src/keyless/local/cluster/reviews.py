"""Access reviews: may somebody, may I, what may I, who am I.

Spec: https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
"""

from __future__ import annotations

from typing import Any

from keyless.local.cluster.api import Api
from keyless.local.cluster.authorization import Asked
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.objects import Target
from keyless.local.cluster.status import bad_request
from keyless.local.cluster.token_requests import user_info
from keyless.local.cluster.users import User


def access_review(api: Api, request: Request, target: Target, body: dict[str, Any]) -> Reply:
    """SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview."""
    spec = body.get("spec") or {}
    user = request.user if target.served.kind == "SelfSubjectAccessReview" else _subject(spec)
    asked = _asked(spec)
    if target.served.kind == "LocalSubjectAccessReview" and asked.namespace != target.namespace:
        raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {target.namespace}")
    decision = api.authorizer.decide(request.cluster, user, asked)
    status = {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})
    return _answer(body, target, spec, status)


def _subject(spec: dict[str, Any]) -> User:
    name, groups = spec.get("user", ""), spec.get("groups") or []
    if not name and not groups:
        raise bad_request("spec: at least one of user or group must be specified")
    return User(name, tuple(groups), spec.get("uid", ""))


def _asked(spec: dict[str, Any]) -> Asked:
    resource, path = spec.get("resourceAttributes") or {}, spec.get("nonResourceAttributes") or {}
    if bool(resource) == bool(path):
        raise bad_request("spec: exactly one of nonResourceAttributes or resourceAttributes must be specified")
    if path:
        return Asked(path.get("verb", ""), path=path.get("path", ""))
    parts = {key: resource.get(key, "") for key in ("group", "resource", "subresource", "namespace", "name")}
    return Asked(resource.get("verb", ""), **parts)


def rules_review(api: Api, request: Request, target: Target, body: dict[str, Any]) -> Reply:
    """SelfSubjectRulesReview."""
    spec = body.get("spec") or {}
    if not spec.get("namespace"):
        raise bad_request("no namespace on request")
    rules = api.authorizer.rules(request.cluster, request.user, spec["namespace"])
    status = {
        "resourceRules": [rule for rule in rules if rule.get("resources")],
        "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
        "incomplete": False,
    }
    return _answer(body, target, spec, status)


def self_review(request: Request, target: Target, body: dict[str, Any]) -> Reply:
    """SelfSubjectReview."""
    return _answer(body, target, None, {"userInfo": user_info(request.user)})


def _answer(body: dict[str, Any], target: Target, spec: dict[str, Any] | None, status: dict[str, Any]) -> Reply:
    answer = {
        "kind": target.served.kind,
        "apiVersion": target.served.api_version,
        "metadata": {"creationTimestamp": None, **(body.get("metadata") or {})},
        **({"spec": spec} if spec is not None else {}),
        "status": status,
    }
    return json_reply(201, answer)
