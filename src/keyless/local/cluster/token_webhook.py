"""Bearer tokens of AWS: ``k8s-aws-v1.…``, told apart by an authenticator outside, as EKS does it.

The API server does not know AWS: it posts a TokenReview and takes the user that comes back. Nothing is remembered, so
an access entry that is gone counts at the next request.
Spec: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

from __future__ import annotations

import logging
from typing import Any

import orjson

from keyless.local.cluster.admission.caller import Unreachable, WebhookCaller
from keyless.local.cluster.status import unauthorized
from keyless.local.cluster.users import AUTHENTICATED, User

PREFIX = "k8s-aws-v1."
_TIMEOUT_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


def is_for_webhook(authorization: str) -> bool:
    """Whether an Authorization header carries such a token."""
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and token.lstrip().startswith(PREFIX)


class TokenWebhook:
    """Asks the authenticator at ``url``."""

    def __init__(self, url: str, caller: WebhookCaller) -> None:
        self._url = url
        self._caller = caller

    async def user(self, authorization: str) -> User:
        """The user of the token in the header; 401 for none, and while the authenticator cannot be reached."""
        token = authorization.partition(" ")[2].strip()
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {"creationTimestamp": None},
            "spec": {"token": token},
        }
        try:
            answer = await self._caller.post({"url": self._url}, review, _TIMEOUT_SECONDS)
            status = orjson.loads(answer)["status"]
            found = user_untrusted(status["user"]) if status.get("authenticated") is True else None
        except (Unreachable, ValueError, KeyError, TypeError, AttributeError) as error:
            _LOG.warning("the token authenticator gave no answer: %s", error)
            raise unauthorized() from None
        if found is None:
            raise unauthorized()
        return found


def user_untrusted(told: dict[str, Any]) -> User:
    """The user of a TokenReview's status; raises KeyError, TypeError and the like for one of another shape."""
    groups = tuple(str(group) for group in told.get("groups") or () if group != AUTHENTICATED)
    extra = {str(key): tuple(map(str, values)) for key, values in (told.get("extra") or {}).items()}
    return User(str(told["username"]), (*groups, AUTHENTICATED), str(told.get("uid", "")), extra)
