"""Fill one Secret, or remove it."""

from __future__ import annotations

import binascii
from base64 import b64decode
from contextlib import suppress

from keyless.kube import KubeObject, NotFound
from keyless.kube.resources import SECRETS, SERVICEACCOUNTS
from keyless.local.cluster.api import new_uid
from keyless.local.cluster.cluster import Cluster
from keyless.local.cluster.controllers.account_tokens.plan import SECONDS, account_of, filled, plan
from keyless.local.cluster.controllers.world import Place, World
from keyless.tokens import Bound, ServiceAccountSubject, Validity, VerifiedServiceAccount, service_account_claims


async def reconcile(world: World, cluster: Cluster, place: Place) -> None:
    """One pass over one Secret."""
    secret = world.get(SECRETS, place.name, place.namespace)
    name = account_of(secret) if secret else ""
    if secret is None or not name:
        return
    account = world.get(SERVICEACCOUNTS, name, place.namespace)
    ca_pem = cluster.settings.ca_pem
    decided = plan(secret, account, ca_pem, token_proves=_proves(cluster, place, secret, account))
    if decided.do == "remove":
        with suppress(NotFound):
            await world.kube.delete(SECRETS, place.name, place.namespace, uid=secret["metadata"]["uid"])
    elif decided.do == "fill" and account is not None:
        token = _signed(cluster, place, secret, account)
        with suppress(NotFound):
            await world.kube.replace(SECRETS, filled(secret, account, ca_pem, token))


def _proves(cluster: Cluster, place: Place, secret: KubeObject, account: KubeObject | None) -> bool:
    try:
        token = b64decode((secret.get("data") or {}).get("token", "")).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return False
    now = int(cluster.settings.now().timestamp())
    audiences = cluster.issuers.api_audiences(place.cluster)
    found = cluster.issuers.verify(place.cluster, token, audiences=audiences, now=now)
    return (
        isinstance(found, VerifiedServiceAccount)
        and account is not None
        and found.uid == account["metadata"]["uid"]
        and found.secret == Bound(place.name, secret["metadata"]["uid"])
    )


def _signed(cluster: Cluster, place: Place, secret: KubeObject, account: KubeObject) -> str:
    owner = Bound(account["metadata"]["name"], account["metadata"]["uid"])
    # Bound to its Secret: a token that was copied ends with the Secret's deletion.
    subject = ServiceAccountSubject(place.namespace, owner, secret=Bound(place.name, secret["metadata"]["uid"]))
    now = int(cluster.settings.now().timestamp())
    claims = service_account_claims(
        subject,
        Validity(now, now + SECONDS),
        issuer=cluster.issuers.url(place.cluster),
        audiences=[cluster.issuers.api_audiences(place.cluster)[0]],
        token_id=new_uid(),
    )
    return cluster.issuers.sign(place.cluster, claims)
