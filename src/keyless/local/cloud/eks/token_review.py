"""Who a bearer token of ``aws eks get-token`` is, told to the Kubernetes API server by TokenReview.

EKS runs such a webhook beside its API server; any API server can be pointed at this one. What it answers: the user of
the caller's access entry, or that there is none.
Spec: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import orjson

from keyless.local.cloud import signatures
from keyless.local.cloud.authenticate import Authenticator, must_be_signed
from keyless.local.cloud.call import Caller
from keyless.local.cloud.eks.access_entries import AccessEntries
from keyless.local.cloud.eks.access_model import AccessEntry
from keyless.local.cloud.eks.access_policies import group_of
from keyless.local.cloud.eks.bearer import Unfit, read_untrusted
from keyless.local.cloud.eks.projection import Projection
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.wire.asgi import Receive, Scope, Send, head_of, loopback_host, read_body, respond
from keyless.local.cloud.wire.http import HttpResponse

PATH = "/authenticate"
_LIMIT_BYTES = 64 * 1024
_LOG = logging.getLogger(__name__)


class TokenReviews:
    """A direct ASGI application: ``POST /authenticate``."""

    def __init__(
        self,
        entries: AccessEntries,
        authenticator: Authenticator,
        projection: Projection,
        *,
        cluster_name: str,
        now: Callable[[], float],
    ) -> None:
        self._entries = entries
        self._authenticator = authenticator
        self._projection = projection
        self._cluster_name = cluster_name
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] == "http":
            await respond(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> HttpResponse:
        head = head_of(scope)
        if not loopback_host(head.header("host")):
            return _plain(403, "Host is not a loopback name")
        if (head.method, head.path) != ("POST", PATH):
            return _plain(404, f"POST a TokenReview to {PATH}")
        try:
            review = orjson.loads(await read_body(receive, _LIMIT_BYTES))
            token = review["spec"]["token"]
        except (orjson.JSONDecodeError, KeyError, TypeError, AwsError):
            return _plain(400, "no TokenReview")
        status = await self.status_of(token if isinstance(token, str) else "")
        answer = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}
        return HttpResponse(200, {"content-type": "application/json"}, orjson.dumps(answer))

    async def status_of(self, token: str) -> dict[str, Any]:
        """The status of a TokenReview; a refusal says why, and the log says it, too."""
        now = self._now()
        try:
            request = read_untrusted(token, self._cluster_name, now)
            proven = self._authenticator.authenticate(
                request, signatures.read_untrusted(request), protocol="query", scopes=("sts",), now=now
            )
            must_be_signed(proven.caller, "query")
            caller, entry = proven.caller, self._entry(proven.caller)
        except (Unfit, AwsError) as error:
            why = error.message if isinstance(error, AwsError) else str(error)
            _LOG.info("a Kubernetes token was refused: %s", why)
            return {"authenticated": False, "error": why}
        await self._projection.follow_namespaces(entry.policies)
        return {"authenticated": True, "user": user_of(entry, caller)}

    def _entry(self, caller: Caller) -> AccessEntry:
        arn = caller.arn
        if caller.kind == "Role" and caller.session:
            arn = caller.session.principal_arn
        found = self._entries.of(arn, caller.user_id.partition(":")[0])
        if found is None:
            raise Unfit(f"{arn} has no access entry in cluster {self._cluster_name}")
        return found


def user_of(entry: AccessEntry, caller: Caller) -> dict[str, Any]:
    """The user as EKS describes it: the entry's name and groups, and where it came from."""
    session = caller.session.name if caller.kind == "Role" and caller.session else ""
    names = {
        "{{AccountID}}": caller.account,
        "{{SessionName}}": session.replace("@", "-"),
        "{{SessionNameRaw}}": session,
    }
    username = entry.username
    for template, value in names.items():
        username = username.replace(template, value)
    principal_id = caller.user_id.partition(":")[0]
    extra = {
        "accessKeyId": [caller.access_key_id],
        "arn": [caller.arn],
        "canonicalArn": [entry.principal_arn],
        "principalId": [principal_id],
        "sessionName": [session],
        "sigs.k8s.io/aws-iam-authenticator/principalId": [principal_id],
    }
    return {
        "username": username,
        "uid": f"aws-iam-authenticator:{caller.account}:{principal_id}",
        "groups": [*entry.groups, group_of(entry.id)],
        "extra": extra,
    }


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, {"content-type": "text/plain"}, f"{text}\n".encode())
