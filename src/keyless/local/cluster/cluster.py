"""The Kubernetes API of the host cluster and of every logical cluster, in one object.

``app`` speaks HTTP (ASGI); ``call`` runs the same stack without a socket: authorisation, admission, validation,
storage. Only authentication differs: the caller says who it is.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

import orjson

from keyless.local.cluster import bootstrap, keyring, store, tenants
from keyless.local.cluster.admission import Admission
from keyless.local.cluster.admission.caller import HttpsCaller, WebhookCaller
from keyless.local.cluster.api import Api, new_uid, timestamp
from keyless.local.cluster.app import App
from keyless.local.cluster.authentication import Authenticator
from keyless.local.cluster.authorization import Asked, Authorizer
from keyless.local.cluster.catalogue import Catalogues
from keyless.local.cluster.dispatch import dispatch
from keyless.local.cluster.faults import Malformed
from keyless.local.cluster.issuers import Issuers
from keyless.local.cluster.messages import JSON, Answer, Reply, Request, json_reply
from keyless.local.cluster.settings import ClusterSettings
from keyless.local.cluster.status import ApiError, bad_request, internal
from keyless.local.cluster.store import Key, Store
from keyless.local.cluster.tenants import Tenants
from keyless.local.cluster.token_webhook import TokenWebhook, is_for_webhook
from keyless.local.cluster.users import SYSTEM, User

_log = logging.getLogger(__name__)
STEPS = (
    ";\n".join((*store.MIGRATIONS, *keyring.FIRST_MIGRATIONS, *tenants.MIGRATIONS)),
    ";\n".join(keyring.MIGRATIONS),
)
"""The versions of the cluster's part of the state: later ones are added at the end."""


class Cluster:
    """All clusters of one local Space."""

    def __init__(self, settings: ClusterSettings, *, webhooks: WebhookCaller | None = None) -> None:
        self.settings = settings
        if settings.migrate is not None:
            settings.migrate("cluster", STEPS)
        self.store = Store(settings.database)
        self.issuers = Issuers(settings.database, settings.server_url, lambda: settings.now().timestamp())
        self._tenants = Tenants(settings.database)
        self._authenticator = Authenticator(settings, self.store, self.issuers)
        caller = webhooks or HttpsCaller()
        self._token_webhook = TokenWebhook(settings.token_review_url, caller) if settings.token_review_url else None
        self._api = Api(
            settings,
            self.store,
            Catalogues(self.store),
            self.issuers,
            Authorizer(self.store),
            Admission(self.store, caller),
        )
        self.ensure_cluster(settings.host)
        self.app = App(self)

    def clusters(self) -> list[str]:
        """The names of all clusters."""
        return self._tenants.names()

    def has(self, name: str) -> bool:
        """Whether the cluster exists."""
        return name in self._tenants

    async def call(
        self,
        cluster: str,
        method: str,
        path: str,
        body: object = None,
        *,
        user: User = SYSTEM,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request as ``user``; refusals come back as an answer with a Status body, never as an exception."""
        # Most requests never wait; without this a caller in a loop would keep the process from everything else.
        await asyncio.sleep(0)
        raw = b"" if body is None else orjson.dumps(body)
        headers = {"content-type": content_type, "accept": JSON}
        reply = await self.answer(Request(cluster, method, path, user, params or {}, headers, raw))
        decoded: dict[str, Any] = orjson.loads(reply.body) if reply.body else {}
        return Answer(reply.status, decoded)

    def identify(self, request: Request, authorization: str) -> User:
        """Who sends a request with this Authorization header; raises ``ApiError`` 401."""
        owner = self._tenants.owner(request.cluster)
        return self._authenticator.user(request.cluster, authorization, owner=owner)

    async def authenticate(self, request: Request, authorization: str) -> User:
        """As ``identify``; in the host cluster the authenticator of AWS's tokens is asked, too."""
        if self._token_webhook and request.cluster == self.settings.host and is_for_webhook(authorization):
            return await self._token_webhook.user(authorization)
        return self.identify(request, authorization)

    def allows(self, cluster: str, user: User, asked: Asked) -> bool:
        """Whether the user may do something (used for impersonation)."""
        return self._api.authorizer.decide(cluster, user, asked).allowed

    async def answer(self, request: Request) -> Reply:
        """Answer an authenticated request; every failure becomes a Status."""
        try:
            return await dispatch(self._api, self._authenticator, request)
        except ApiError as error:
            return refusal_reply(error)
        except Malformed as error:
            return refusal_reply(bad_request(str(error)))
        except RecursionError:
            return refusal_reply(bad_request("the body is nested too deeply"))
        except sqlite3.Error as error:
            _log.exception("storage failed")
            return refusal_reply(internal(f"nothing was stored: {error}; free space, then try again"))
        except Exception:  # noqa: BLE001 - the last guard: a bug in one request must not end the server
            _log.exception("%s %s failed", request.method, request.path)
            return refusal_reply(internal("see the log of the local Space"))

    def ensure_cluster(self, name: str, owner: str | None = None) -> None:
        """Make the cluster (namespaces, RBAC) if missing; ``owner`` is a user of the host who is admin inside."""
        for group, resource, obj in bootstrap.objects():
            key = Key(name, group, resource, "", obj["metadata"]["name"])
            if self.store.get(key) is None:
                born = {"uid": new_uid(), "creationTimestamp": timestamp(self.settings.now())}
                self.store.put(key, {**obj, "metadata": {**obj["metadata"], **born}})
        self._api.authorizer.aggregate(name)
        # Last: a cluster is there only once it is whole.
        self._tenants.put(name, owner)

    def remove_cluster(self, name: str) -> None:
        """Remove the cluster and everything in it; its tokens are void."""
        self._tenants.remove(name)
        self.store.drop_cluster(name)
        self.issuers.forget(name)

    async def aclose(self) -> None:
        """Let go of connections to webhooks."""
        await self._api.admission.aclose()


def refusal_reply(error: ApiError) -> Reply:
    """A Status as an answer."""
    headers = {"Retry-After": str(int(error.retry_after_seconds))} if error.retry_after_seconds else {}
    reply = json_reply(error.code, error.status)
    return Reply(reply.status, reply.body, headers=headers, warnings=error.warnings)
