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
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from keyless.aws import AWS_FAILURES, AwsError, AwsTransient
from keyless.identity.agent.cache import CredentialCache, Outcome
from keyless.identity.agent.model import Refused, check_host, check_token_untrusted
from keyless.identity.agent.readiness import Readiness

log = structlog.get_logger()
_ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

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

    def answered(self, status: int) -> None:
        """Count an answer."""
        self._responses.labels(str(status)).inc()

    def cache(self, outcome: Outcome) -> None:
        """Count what the cache did."""
        self._states.labels(outcome).inc()

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
        self.app = Starlette(routes=[Route("/v1/credentials", self._credentials, methods=_ANY_METHOD), *probes])
        self.probe_app = Starlette(routes=probes)
        self.metrics_app = Starlette(routes=[Route("/metrics", self._exposition), *probes])

    async def _credentials(self, request: Request) -> Response:
        response = await self._answer(request)
        self._metrics.answered(response.status_code)
        return response

    async def _answer(self, request: Request) -> Response:
        token = request.headers.get("authorization", "")
        refused = check_host(request.headers.get("host", ""), self._bind_hosts)
        refused = refused or check_token_untrusted(token, self._now())
        if refused:
            return _refusal(refused)
        try:
            credentials = await self._cache.get(token)
        except AWS_FAILURES as error:
            self._metrics.failed(error)
            log.warning("no credentials", code=error.code, message=error.message, request_id=error.request_id)
            return _upstream_failure(error)
        return JSONResponse(credentials.document())

    async def _ok(self, _request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _ready(self, _request: Request) -> Response:
        why = await self._readiness.trouble()
        return PlainTextResponse(why or "ok", 503 if why else 200)

    async def _exposition(self, _request: Request) -> Response:
        return Response(generate_latest(self._metrics.registry), media_type="text/plain; version=0.0.4")


def _refusal(refused: Refused) -> Response:
    return PlainTextResponse(refused.text, refused.status)


def _upstream_failure(error: AwsError) -> Response:
    status = _STATUS.get(error.code, 500)
    fault = "client" if status < 500 else "server"
    text = f"[{error.request_id}]: ({error.code}): {error.message}, fault: {fault}"
    return PlainTextResponse(text, status)
