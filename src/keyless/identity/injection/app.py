"""The webhook's HTTP face: AdmissionReview in, AdmissionReview out.

Answers as upstream does: a wrong Content-Type is 415; a body that cannot be read is answered 200 with
``allowed: false``; a pod without identity is allowed without a patch. A request is counted and leaves no line in the
log; trouble does, when it begins and when it ends.

Protocol: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keyless.api import KeylessError
from keyless.identity.injection.directory import Directory
from keyless.identity.injection.model import Injection, Method
from keyless.identity.injection.plan import inject
from keyless.identity.injection.settings import Settings
from keyless.serving.plain import Receive, Scope, Send, answer, body_untrusted, header_untrusted

if TYPE_CHECKING:
    from keyless.identity.injection.trusting import Trusts

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
        # Finding a label's counter costs more than counting.
        self.pods_by = {method: self.pods.labels(method) for method in get_args(Method)}
        self.missing = Counter(
            "pod_identity_webhook_missing_sa_count", "Service accounts not found.", registry=self.registry
        )
        self.unknown = Counter(
            "pod_identity_webhook_unanswered_sa_count",
            "Pods let through unchanged because the API server did not answer.",
            registry=self.registry,
        )


class Webhook:
    """Answers admission reviews; ``app`` is the TLS face, ``metrics_app`` the plain one of probes and Prometheus."""

    def __init__(
        self,
        directory: Directory,
        settings: Settings,
        ready: Callable[[], str] = lambda: "",
        trusts: Trusts | None = None,
    ) -> None:
        """``ready`` says why service accounts may be old; empty: they are not. ``trusts``: None where nobody asks."""
        self._directory, self._trusts, self._unread = directory, trusts, False
        self._settings = settings
        self._ready = ready
        self.metrics = Metrics()
        self._reviewed = self.metrics.requests.labels("POST", "/mutate", "200")
        self._probes = Starlette(
            routes=[
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

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application behind TLS: reviews, and the probes."""
        if scope.get("path") != "/mutate":
            await self._probes(scope, receive, send)
        elif scope["method"] != "POST":
            await self._say(scope, send, "Method Not Allowed", 405)
        elif header_untrusted(scope, b"content-type") != "application/json":
            await self._say(scope, send, "Invalid Content-Type, expected `application/json`", 415)
        elif not (body := await body_untrusted(receive)):
            await self._say(scope, send, "bad content", 400)
        else:
            review = orjson.dumps(await self.review(body))
            self._reviewed.inc()
            await answer(send, 200, review, b"application/json")

    async def _say(self, scope: Scope, send: Send, text: str, status: int) -> None:
        self.metrics.requests.labels(scope["method"], scope["path"], str(status)).inc()
        await answer(send, status, text.encode())

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
            self._tell(str(error))
        else:
            self._tell("")
            if account is None:
                self.metrics.missing.inc()
        jitter = random.random()  # noqa: S311 - spreads renewals, guards nothing
        decided = inject(pod, account, self._directory.known(), self._settings, namespace=namespace, jitter=jitter)
        if decided is None:
            return None, warnings
        self.metrics.pods_by[decided.method].inc()
        if self._trusts and decided.role and not decided.warnings:
            subject = f"system:serviceaccount:{namespace}:{name}"
            refused = await self._trusts.warning(decided.role, subject, decided.audience)
            warnings += (refused,) if refused else ()
        return decided, warnings + decided.warnings

    def _tell(self, trouble: str) -> None:
        """A line when it begins and when it ends: one for each pod would fill the disk on a bad day."""
        if trouble and not self._unread:
            log.warning("service accounts not read; pods start without an identity", error=trouble)
        elif self._unread and not trouble:
            log.info("service accounts are read again")
        self._unread = bool(trouble)

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
