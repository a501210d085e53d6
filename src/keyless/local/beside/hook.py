"""How pods of a cluster learn of the cloud that serves no MutatingAdmissionPolicy: a webhook of the cloud's.

``pods.py`` says what they are told. It fails as the policy does: while nobody answers, no pod is made outside of
kube-system, and who makes pods tries again; one made meanwhile would carry its token to AWS itself. The cloud's own pod
skips it, so that the cloud can always start.

Protocol: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS, KubeObject, Resource
from keyless.local.beside.pods import FAILURE_POLICY, NAME, REINVOCATION, RULE, SELECTORS, patch
from keyless.local.beside.settings import Settings

PATH = "/mutate"
# Ours answers in a millisecond; a pod that waits longer is told why rather than kept.
_TIMEOUT_SECONDS = 5


def hook_objects(settings: Settings, ca_pem: str) -> tuple[tuple[Resource, KubeObject], ...]:
    """The registration: the API server asks the cloud's Service, or where pods are told that the cloud is."""
    hook = {
        "name": "pods.cloud.keyless.dev",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": FAILURE_POLICY,
        "reinvocationPolicy": REINVOCATION,
        "matchPolicy": "Equivalent",
        "timeoutSeconds": _TIMEOUT_SECONDS,
        **SELECTORS,
        "rules": [{**RULE, "scope": "*"}],
        "clientConfig": {**_address(settings), "caBundle": base64.b64encode(ca_pem.encode()).decode()},
    }
    return ((MUTATINGWEBHOOKCONFIGURATIONS, {"metadata": {"name": NAME}, "webhooks": [hook]}),)


def hook_names(settings: Settings) -> tuple[str, ...]:
    """What the API server calls it where no Service does; the certificate is for these."""
    host = urlsplit(settings.pods_endpoint).hostname
    return (host,) if host and not settings.service else ()


def hook_app(environ: Mapping[str, str], ca_pem: str) -> Starlette:
    """What answers the API server."""

    async def mutate(request: Request) -> Response:
        return Response(orjson.dumps(review(await request.body(), environ, ca_pem)), media_type="application/json")

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(PATH, mutate, methods=["POST"]), Route("/healthz", health, methods=["GET"])])


def review(body: bytes, environ: Mapping[str, str], ca_pem: str) -> dict[str, Any]:
    """Answer an AdmissionReview; what is none, or holds no Pod, is refused in words."""
    uid = ""
    try:
        asked = orjson.loads(body)["request"]
        uid = str(asked["uid"])
        operations = patch(asked["object"], environ, ca_pem)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        told = f"expected an AdmissionReview of a Pod, found none: {type(error).__name__}"
        return _answer({"uid": uid, "allowed": False, "status": {"message": told}})
    if not operations:
        return _answer({"uid": uid, "allowed": True})
    encoded = base64.b64encode(orjson.dumps(operations)).decode()
    return _answer({"uid": uid, "allowed": True, "patchType": "JSONPatch", "patch": encoded})


def _answer(response: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _address(settings: Settings) -> dict[str, Any]:
    if settings.service:
        at = {"name": settings.service, "namespace": settings.namespace, "path": PATH, "port": settings.webhook_port}
        return {"service": at}
    host = urlsplit(settings.pods_endpoint).hostname or ""
    return {"url": f"https://{f'[{host}]' if ':' in host else host}:{settings.webhook_port}{PATH}"}
