"""Refuse tokens that the cluster no longer vouches for, on request: AWS takes a deleted pod's token until it expires.

STS at AWS checks a token against the issuer's keys alone and cannot know that its pod is gone. Here the issuer is next
door, so ``keyless up --revoke-tokens-of-deleted-pods`` has it asked (TokenReview): a deleted pod, service account,
secret or node takes its tokens along. Tokens of other issuers are judged as AWS judges them.
"""

from __future__ import annotations

from typing import Any

from keyless.api import KeylessError
from keyless.local.cloud.eks.kubernetes import Kubernetes
from keyless.local.cloud.errors import AwsError
from keyless.tokens import TokenRefusal, VerifiedClaims

_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
#: AWS's own words for a token that is no good; the reason stands in the audit
_INVALID = (
    "The web identity token provided could not be validated. See the AssumeRoleWithWebIdentity documentation for"
    " requirements."
)


class Revocation:
    """Asks the cluster about tokens of its own ``issuer``."""

    def __init__(self, kubernetes: Kubernetes, issuer: str) -> None:
        self._kubernetes = kubernetes
        self._issuer = issuer

    async def judge(self, token: str, claims: VerifiedClaims) -> TokenRefusal | None:
        """Why a token that is proven is refused all the same; raises AwsError when the cluster cannot be asked."""
        if claims.issuer != self._issuer:
            return None
        status = await self._status(token, list(claims.audiences))
        if status.get("authenticated"):
            return None
        reason = str(status.get("error") or "the cluster does not know it")
        return TokenRefusal("InvalidIdentityToken", _INVALID, f"revoked: {reason}")

    async def _status(self, token: str, audiences: list[str]) -> dict[str, Any]:
        spec = {"token": token, "audiences": audiences}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            answer = await self._kubernetes.request("POST", _REVIEWS, body=body)
        except (KeylessError, OSError):
            # The cause may quote the request, and the request holds a token.
            text = "The cluster that issued the token cannot be asked whether it still counts"
            raise AwsError("IDPCommunicationError", text, status=400) from None
        status = answer.get("status") if isinstance(answer, dict) else None
        return status if isinstance(status, dict) else {}
