"""The agent's HTTP face: what SDKs ask at AWS_CONTAINER_CREDENTIALS_FULL_URI.

A request carries the pod's token as the bare ``Authorization`` value. Neither tokens nor credentials are ever logged.
Error texts and statuses are upstream's: SDKs show them to people.

Protocol: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keyless.aws import AWS_FAILURES, AwsError, AwsTransient
from keyless.identity.agent.cache import CredentialCache, Outcome
from keyless.identity.agent.model import Refused, check_host, check_token_untrusted
from keyless.identity.agent.readiness import Readiness
from keyless.serving.plain import Receive, Scope, Send, answer, header_untrusted

log = structlog.get_logger()
_JSON, _TEXT = b"application/json", b"text/plain; charset=utf-8"

# EKS Auth's codes and their status on the wire; an upstream failure is passed on with its own status.
_STATUS = {
    "ThrottlingException": 429,
    "InvalidRequestException": 400,
    "AccessDeniedException": 400,
    "InvalidTokenException": 400,
    "InvalidParameterException": 400,
    "ExpiredTokenException": 400,
    "ResourceNotFoundException": 404,
    "ServiceUnavailableException": 503,
}


class Metrics:
    """Counters of one agent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._responses = Counter("pod_identity_http_response", "Answers.", ["code"], registry=self.registry)
        self._states = Counter("pod_identity_cache_state", "Cache.", ["state"], registry=self.registry)
        self._errors = Counter("pod_identity_cache_errors", "Failures.", ["type", "code"], registry=self.registry)
        # Finding a label's counter costs more than counting: the two that nearly all requests need are kept at hand.
        self._answered_200, self._hit = self._responses.labels("200"), self._states.labels("hit")

    def answered(self, status: int) -> None:
        """Count an answer."""
        (self._answered_200 if status == 200 else self._responses.labels(str(status))).inc()

    def cache(self, outcome: Outcome) -> None:
        """Count what the cache did."""
        (self._hit if outcome == "hit" else self._states.labels(outcome)).inc()

    def failed(self, error: AwsError) -> None:
        """Count a failure of EKS Auth."""
        self._errors.labels("transient" if isinstance(error, AwsTransient) else "permanent", error.code).inc()


class Agent:
    """``app`` answers pods; ``probe_app`` and ``metrics_app`` the kubelet and Prometheus."""

    def __init__(
        self,
        cache: CredentialCache,
        bind_hosts: tuple[str, ...],
        metrics: Metrics,
        *,
        readiness: Readiness,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cache, self._bind_hosts, self._metrics, self._now = cache, bind_hosts, metrics, now
        self._readiness = readiness
        probes = [Route("/healthz", self._ok), Route("/readyz", self._ready)]
        self.probe_app = Starlette(routes=probes)
        self.metrics_app = Starlette(routes=[Route("/metrics", self._exposition), *probes])

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application: a pod's question by any method, as upstream; the probes for the rest."""
        if scope.get("path") != "/v1/credentials":
            await self.probe_app(scope, receive, send)
            return
        token = header_untrusted(scope, b"authorization")
        refused = check_host(header_untrusted(scope, b"host"), self._bind_hosts)
        # A token that is answered from the cache was read when its credentials came.
        body = None if refused else self._cache.answer(token)
        status, content_type = 200, _JSON
        if body is None:
            status, body, content_type = await self._asked(token, refused)
        self._metrics.answered(status)
        await answer(send, status, b"" if scope.get("method") == "HEAD" else body, content_type)

    async def _asked(self, token: str, refused: Refused | None) -> tuple[int, bytes, bytes]:
        refused = refused or check_token_untrusted(token, self._now())
        if refused:
            return refused.status, refused.text.encode(), _TEXT
        try:
            credentials = await self._cache.get(token)
        except AWS_FAILURES as error:
            self._metrics.failed(error)
            log.warning("no credentials", code=error.code, message=error.message, request_id=error.request_id)
            return _upstream_failure(error)
        return 200, credentials.body(), _JSON

    async def _ok(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _ready(self, _request: Request) -> Response:
        why = await self._readiness.trouble()
        return PlainTextResponse(why or "ok", 503 if why else 200)

    async def _exposition(self, _request: Request) -> Response:
        return Response(generate_latest(self._metrics.registry), media_type="text/plain; version=0.0.4")


def _upstream_failure(error: AwsError) -> tuple[int, bytes, bytes]:
    status = _STATUS.get(error.code, 500)
    fault = "client" if status < 500 else "server"
    text = f"[{error.request_id}]: ({error.code}): {error.message}, fault: {fault}"
    return status, text.encode(), _TEXT
