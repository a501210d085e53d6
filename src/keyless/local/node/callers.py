"""Who may ask the node's own endpoint: the API server, by a token of ours or by a certificate of its cluster's."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from keyless.api import KeylessError
from keyless.kube import Kube, KubeObject

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
PEER = "keyless.peer"
"""The extension of a connection's scope that names the subject of its certificate, as Python's ``ssl`` tells it."""


class Judge(Protocol):
    """Decides who is answered."""

    async def refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """Status and text for who may not ask; None for who may."""
        ...


class ByToken:
    """Whoever shows the token that the API server was given, too."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    async def refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """Judge by the Authorization header."""
        if hmac.compare_digest(dict(scope["headers"]).get(b"authorization", b""), self._expected):
            return None
        return 401, "Unauthorized: the kubelet answers the API server alone"


class ByCertificate:
    """Whoever shows a client certificate of the cluster and may, as the cluster decides, use the node's ``proxy``.

    So does a kubelet: https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
    """

    def __init__(self, kube: Kube, node_name: str) -> None:
        self._kube = kube
        self._node = node_name

    async def refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """Judge by the certificate that the connection was made with."""
        user, groups = named((scope.get("extensions") or {}).get(PEER) or ())
        if not user:
            return 401, (
                "Unauthorized: expected a client certificate of the cluster; kube-apiserver shows one that "
                "--kubelet-client-certificate names"
            )
        try:
            answer = await self._kube.request("POST", REVIEWS, body=self._review(user, groups))
        except KeylessError as error:
            # Undecided is refused: logs of all pods are behind this door.
            return 503, f"the API server did not say whether {user} may read logs here: {error}"
        status = answer.get("status") if isinstance(answer, dict) else None
        if isinstance(status, dict) and status.get("allowed") is True:
            return None
        return 403, f"Forbidden (user={user}, verb=get, resource=nodes, subresource=proxy)"

    def _review(self, user: str, groups: Sequence[str]) -> KubeObject:
        asked = {"verb": "get", "resource": "nodes", "subresource": "proxy", "name": self._node, "version": "v1"}
        # Whoever the authority signed for is logged in: Kubernetes gives them this group.
        spec = {"user": user, "groups": [*groups, "system:authenticated"], "resourceAttributes": asked}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def named(subject: Sequence[Sequence[Sequence[str]]]) -> tuple[str, tuple[str, ...]]:
    """The user and the groups of a certificate's subject: its common name and its organizations."""
    pairs = [pair for part in subject for pair in part if len(pair) == 2]
    users = [value for name, value in pairs if name == "commonName"]
    return users[-1] if users else "", tuple(value for name, value in pairs if name == "organizationName")
