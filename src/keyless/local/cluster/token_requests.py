"""TokenRequest and TokenReview: tokens for service accounts, and what a token proves.

Spec: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from keyless.local.cluster.api import Api, new_uid, timestamp
from keyless.local.cluster.authentication import ADMIN, Authenticator, user_of
from keyless.local.cluster.messages import Reply, Request, json_reply
from keyless.local.cluster.objects import Target
from keyless.local.cluster.status import ApiError, bad_request, conflict, invalid, not_found
from keyless.local.cluster.store import Key
from keyless.local.cluster.users import User
from keyless.tokens import Bound, ServiceAccountSubject, Validity, service_account_claims

MIN_SECONDS = 600
MAX_SECONDS = 2**32
DEFAULT_SECONDS = 3600
_BINDABLE = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


def create_token(api: Api, request: Request, target: Target, body: dict[str, Any]) -> Reply:
    """POST …/serviceaccounts/NAME/token."""
    account = api.store.get(target.key)
    if account is None:
        raise not_found("", "serviceaccounts", target.name)
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
    _check_seconds(seconds, target)
    audiences = spec.get("audiences") or [api.issuers.api_audiences(target.cluster)[0]]
    subject = _subject(api, target, account.object, spec.get("boundObjectRef"))
    now = int(api.now().timestamp())
    claims = service_account_claims(
        subject,
        Validity(now, now + seconds),
        issuer=api.issuers.url(target.cluster),
        audiences=audiences,
        token_id=new_uid(),
    )
    token = "" if request.params.get("dryRun") else api.issuers.sign(target.cluster, claims)
    expires = timestamp(datetime.fromtimestamp(now + seconds, UTC))
    answer = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": target.name, "namespace": target.namespace, "creationTimestamp": api.timestamp()},
        "spec": {
            "audiences": list(audiences),
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {"token": token, "expirationTimestamp": expires},
    }
    return json_reply(201, answer)


def _check_seconds(seconds: object, target: Target) -> None:
    message = ""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise bad_request("TokenRequest: spec.expirationSeconds is no whole number")
    if seconds < MIN_SECONDS:
        message = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
    elif seconds > MAX_SECONDS:
        message = f"Too long: may not be more than {MAX_SECONDS} bytes"
    if message:
        cause = {"reason": "FieldValueInvalid", "message": message, "field": "spec.expirationSeconds"}
        raise invalid("authentication.k8s.io", "TokenRequest", target.name, [cause])


def _subject(api: Api, target: Target, account: dict[str, Any], ref: dict[str, Any] | None) -> ServiceAccountSubject:
    owner = Bound(target.name, account["metadata"]["uid"])
    if not ref:
        return ServiceAccountSubject(target.namespace, owner)
    kind, name = ref.get("kind", ""), ref.get("name", "")
    resource = _BINDABLE.get(kind)
    if resource is None:
        raise bad_request(f"cannot bind token to object of type {ref.get('apiVersion', '')}, Kind={kind}")
    place = "" if resource == "nodes" else target.namespace
    entry = api.store.get(Key(target.cluster, "", resource, place, name))
    if entry is None:
        raise not_found("", resource, name)
    uid = entry.object["metadata"]["uid"]
    if ref.get("uid") and ref["uid"] != uid:
        why = (
            f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. The object might"
            " have been deleted and then recreated"
        )
        raise conflict("", resource, name, why)
    bound = Bound(name, uid)
    if kind == "Secret":
        return ServiceAccountSubject(target.namespace, owner, secret=bound)
    if kind == "Node":
        return ServiceAccountSubject(target.namespace, owner, node=bound)
    used = entry.object.get("spec", {}).get("serviceAccountName") or "default"
    if used != target.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{target.name}" to pod running with different serviceaccount name.'
        )
    return ServiceAccountSubject(target.namespace, owner, pod=bound, node=_node(api, target.cluster, entry.object))


def _node(api: Api, cluster: str, pod: dict[str, Any]) -> Bound | None:
    name = pod.get("spec", {}).get("nodeName")
    entry = api.store.get(Key(cluster, "", "nodes", "", name)) if name else None
    return Bound(name, entry.object["metadata"]["uid"]) if entry else None


def review_token(api: Api, authenticator: Authenticator, cluster: str, body: dict[str, Any]) -> Reply:
    """POST …/tokenreviews."""
    spec = body.get("spec") or {}
    token = spec.get("token")
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    asked = spec.get("audiences") or []
    audiences = asked or list(api.issuers.api_audiences(cluster))
    status: dict[str, Any] = {"user": {}}
    found = authenticator.service_account(cluster, token, audiences)
    if found:
        shared = [audience for audience in audiences if audience in found.audiences]
        status = {"authenticated": True, "user": user_info(user_of(found)), "audiences": shared}
    elif not asked or set(asked) & set(api.issuers.api_audiences(cluster)):
        user = _static(authenticator, cluster, token)
        if user:
            status = {"authenticated": True, "user": user_info(user), "audiences": audiences}
    if not status.get("authenticated"):
        status["error"] = "[invalid bearer token, service account token is not valid for this cluster]"
    answer = {
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": spec,
        "status": status,
    }
    return json_reply(201, answer)


def _static(authenticator: Authenticator, cluster: str, token: str) -> User | None:
    try:
        user = authenticator.user(cluster, f"Bearer {token}", owner=None)
    except ApiError:
        return None
    return user if user in (ADMIN,) or user.name.startswith("system:node:") else None


def user_info(user: User) -> dict[str, Any]:
    """A user as reviews and admission requests show it."""
    parts = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    return {key: value for key, value in parts.items() if value}
