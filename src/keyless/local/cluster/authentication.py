"""From a bearer token to a user.

Who is known: the state's admin token (in every cluster), the node's token and the service accounts of the cluster
itself. One bridge leads from the host into a logical cluster: the recorded owner, a user of the host, is admin inside.
No bridge leads out.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection

from keyless.local.cluster.issuers import Issuers
from keyless.local.cluster.settings import ClusterSettings
from keyless.local.cluster.status import unauthorized
from keyless.local.cluster.store import Key, Store
from keyless.local.cluster.users import ANONYMOUS, AUTHENTICATED, MASTERS, User, service_account_groups
from keyless.tokens import Bound, VerifiedServiceAccount

ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))


class Authenticator:
    """Reads bearer tokens."""

    def __init__(self, settings: ClusterSettings, store: Store, issuers: Issuers) -> None:
        self._settings = settings
        self._store = store
        self._issuers = issuers

    def user(self, cluster: str, authorization: str, *, owner: str | None) -> User:
        """Who sends the header; nobody in particular without one, 401 for one that proves nothing."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return ANONYMOUS
        token = token.strip()
        if _same(token, self._settings.admin_token):
            return ADMIN
        host = self._settings.host
        if cluster == host and _same(token, self._settings.node_token):
            return User(f"system:node:{self._settings.node_name}", ("system:nodes", AUTHENTICATED))
        found = self.service_account(cluster, token, self._issuers.api_audiences(cluster))
        if found:
            return user_of(found)
        if owner and cluster != host:
            bridged = self.service_account(host, token, self._issuers.api_audiences(host))
            if bridged and bridged.username == owner:
                return User(owner, (MASTERS, AUTHENTICATED))
        raise unauthorized()

    def service_account(self, cluster: str, token: str, audiences: Collection[str]) -> VerifiedServiceAccount | None:
        """The service account of that cluster which the token proves, if all it is bound to still lives."""
        now = int(self._settings.now().timestamp())
        found = self._issuers.verify(cluster, token, audiences=audiences, now=now)
        if not isinstance(found, VerifiedServiceAccount) or not self._lives(cluster, found):
            return None
        return found

    def _lives(self, cluster: str, found: VerifiedServiceAccount) -> bool:
        account = Bound(found.name, found.uid)
        bound = (("serviceaccounts", account), ("pods", found.pod), ("secrets", found.secret))
        return all(self._is_there(cluster, found.namespace, resource, one) for resource, one in bound if one)

    def _is_there(self, cluster: str, namespace: str, resource: str, bound: Bound) -> bool:
        entry = self._store.get(Key(cluster, "", resource, namespace, bound.name))
        return entry is not None and entry.object["metadata"]["uid"] == bound.uid


def user_of(found: VerifiedServiceAccount) -> User:
    """The user that a service account is."""
    extra = {"authentication.kubernetes.io/credential-id": (f"JTI={found.token_id}",)}
    for kind, bound in (("pod", found.pod), ("node", found.node)):
        if bound:
            extra[f"authentication.kubernetes.io/{kind}-name"] = (bound.name,)
            extra[f"authentication.kubernetes.io/{kind}-uid"] = (bound.uid,)
    return User(found.username, service_account_groups(found.namespace), found.uid, extra)


def _same(token: str, known: str) -> bool:
    return bool(known) and hmac.compare_digest(token.encode(), known.encode())
