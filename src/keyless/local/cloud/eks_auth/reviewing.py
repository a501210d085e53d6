"""Have the cluster say whose token it is (TokenReview)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keyless.api import KeylessError
from keyless.local.cloud.eks.kubernetes import Kubernetes
from keyless.local.cloud.errors import AwsError
from keyless.tokens import TokenRefusal, inspect

AUDIENCE = "pods.eks.amazonaws.com"
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_POD_NAME, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"
_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class ReviewedPod:
    """The pod that a token was proven to belong to."""

    namespace: str
    service_account: str
    pod_name: str
    pod_uid: str


async def review(kubernetes: Kubernetes, token: str, now: float) -> ReviewedPod:
    """The pod of ``token``; raises EKS Auth's errors."""
    # Only the code depends on this unproven claim: an expired token is refused either way.
    if (expiry := _expiry_untrusted(token)) is not None and expiry <= now:
        raise _expired(expiry, now)
    status = await _status(kubernetes, token)
    user = status.get("user") or {}
    if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
        raise AwsError("InvalidTokenException", "The token included in the request is invalid", status=400)
    name = str(user.get("username", ""))
    extra = user.get("extra") or {}
    pod, uid = (extra.get(key) or [""] for key in (_POD_NAME, _POD_UID))
    if not name.startswith(_SERVICE_ACCOUNT) or not pod[0] or not uid[0]:
        text = "The token included in the request is not bound to a pod"
        raise AwsError("InvalidTokenException", text, status=400)
    namespace, _, account = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return ReviewedPod(namespace, account, pod[0], uid[0])


def _expired(expiry: float, now: float) -> AwsError:
    current, limit = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (now, expiry))
    text = (
        f"The token included in the request is expired: current date/time {current} must be before the expiration"
        f" date/time {limit}."
    )
    return AwsError("ExpiredTokenException", text, status=400)


async def _status(kubernetes: Kubernetes, token: str) -> dict[str, Any]:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }
    try:
        answer = await kubernetes.request("POST", _REVIEWS, body=body)
    except (KeylessError, OSError):
        # The cause may quote the request, and the request holds a token.
        raise AwsError("ServiceUnavailableException", "The cluster cannot be reached", status=503) from None
    status = answer.get("status") if isinstance(answer, dict) else None
    return status if isinstance(status, dict) else {}


def _expiry_untrusted(token: str) -> int | None:
    seen = inspect(token)
    if isinstance(seen, TokenRefusal):
        return None
    expiry = seen.claims.get("exp")
    return expiry if isinstance(expiry, int) else None
