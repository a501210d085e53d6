"""The webhook's HTTP face: AdmissionReview in, AdmissionReview out.

Answers as upstream does: a wrong Content-Type is 415; a body that cannot be read is answered 200 with
``allowed: false``; a pod without identity is allowed without a patch. Only names, methods and counts are logged, never
an object.

Protocol: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keyless.api import KeylessError
from keyless.identity.injection.directory import Directory
from keyless.identity.injection.model import Injection
from keyless.identity.injection.plan import inject
from keyless.identity.injection.settings import Settings

API_VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
log = structlog.get_logger()


class Metrics:
    """Counters of one webhook."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_request_count", "Requests.", ["verb", "path", "code"], registry=self.registry)
        self.pods = Counter(
            "pod_identity_webhook_pod_count", "Pods given an identity.", ["method"], registry=self.registry
        )
        self.missing = Counter(
            "pod_identity_webhook_missing_sa_count", "Service accounts not found.", registry=self.registry
        )
        self.unknown = Counter(
            "pod_identity_webhook_unanswered_sa_count",
            "Pods let through unchanged because the API server did not answer.",
            registry=self.registry,
        )


class Webhook:
    """Answers admission reviews; ``app`` is the TLS face, ``metrics_app`` the plain one."""

    def __init__(self, directory: Directory, settings: Settings, ready: Callable[[], str] = lambda: "") -> None:
        """``ready`` says why service accounts may be old; empty: they are not."""
        self._directory = directory
        self._settings = settings
        self._ready = ready
        self.metrics = Metrics()
        self.app = Starlette(
            routes=[
                Route("/mutate", self._mutate, methods=["POST"]),
                Route("/healthz", self._healthz, methods=["GET"]),
                Route("/readyz", self._readyz, methods=["GET"]),
            ]
        )
        self.metrics_app = Starlette(
            routes=[
                Route("/metrics", self._metrics),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
            ]
        )

    async def review(self, body: bytes) -> dict[str, Any]:
        """Answer one AdmissionReview."""
        try:
            document = orjson.loads(body)
            request = document.get("request")
        except (orjson.JSONDecodeError, AttributeError) as error:
            return _answer({}, "", allowed=False, message=f"body is no AdmissionReview: {error}")
        if not isinstance(request, dict):
            return _answer(document, "", allowed=False, message="bad content")
        uid = str(request.get("uid", ""))
        pod = request.get("object")
        if not isinstance(pod, dict) or not isinstance(pod.get("spec"), dict):
            return _answer(document, uid, allowed=False, message="request.object is no Pod")
        namespace = str(request.get("namespace") or (pod.get("metadata") or {}).get("namespace") or "default")
        try:
            decided, warnings = await self._decide(pod, namespace)
        except (AttributeError, TypeError, KeyError) as error:
            return _answer(document, uid, allowed=False, message=f"request.object is no Pod: {type(error).__name__}")
        return _answer(document, uid, allowed=True, injection=decided, warnings=warnings)

    async def _decide(self, pod: dict[str, Any], namespace: str) -> tuple[Injection | None, tuple[str, ...]]:
        name = pod["spec"].get("serviceAccountName") or "default"
        warnings: tuple[str, ...] = ()
        account = None
        try:
            account = await self._directory.service_account(namespace, name)
        except KeylessError as error:
            # Denying would stop every pod of the cluster with the API server's hiccup: say it and let it through.
            self.metrics.unknown.inc()
            warnings = (f"serviceaccount {namespace}/{name} could not be read ({error}); no identity was injected",)
            log.warning("service account not read", namespace=namespace, service_account=name, error=str(error))
        else:
            if account is None:
                self.metrics.missing.inc()
        jitter = random.random()  # noqa: S311 - spreads renewals, guards nothing
        decided = inject(pod, account, self._directory.known(), self._settings, namespace=namespace, jitter=jitter)
        if decided is None:
            return None, warnings
        self.metrics.pods.labels(decided.method).inc()
        log.info(
            "pod given an identity",
            namespace=namespace,
            service_account=name,
            method=decided.method,
            operations=len(decided.operations),
        )
        return decided, warnings + decided.warnings

    async def _mutate(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            return self._said(request, "Invalid Content-Type, expected `application/json`", 415)
        body = await request.body()
        if not body:
            return self._said(request, "bad content", 400)
        answer = orjson.dumps(await self.review(body))
        self.metrics.requests.labels("POST", "/mutate", "200").inc()
        return Response(answer, media_type="application/json")

    def _said(self, request: Request, text: str, status: int) -> Response:
        self.metrics.requests.labels(request.method, request.url.path, str(status)).inc()
        return PlainTextResponse(text, status)

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _readyz(self, _request: Request) -> Response:
        reason = self._ready()
        return PlainTextResponse(reason or "ok", 503 if reason else 200)

    async def _metrics(self, _request: Request) -> Response:
        return Response(generate_latest(self.metrics.registry), media_type="text/plain; version=0.0.4")


def _answer(
    review: dict[str, Any],
    uid: str,
    *,
    allowed: bool,
    message: str = "",
    injection: Injection | None = None,
    warnings: tuple[str, ...] = (),
) -> dict[str, Any]:
    version = review.get("apiVersion")
    response: dict[str, Any] = {"uid": uid, "allowed": allowed}
    if message:
        response["status"] = {"message": message}
    if warnings:
        response["warnings"] = list(warnings)
    if injection and injection.operations:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(injection.operations)).decode()
    return {
        "apiVersion": version if version in API_VERSIONS else API_VERSIONS[0],
        "kind": "AdmissionReview",
        "response": response,
    }
