"""Give every namespace its default service account and the CA."""

from __future__ import annotations

from contextlib import suppress

from keyless.kube import AlreadyExists
from keyless.kube.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS
from keyless.local.cluster.controllers.accounts.plan import ACCOUNT, ROOT_CA, plan
from keyless.local.cluster.controllers.world import World


async def reconcile(world: World, namespace: str, ca_pem: str) -> None:
    """One pass over one namespace."""
    found = world.get(NAMESPACES, namespace)
    if found is None:
        return
    account = world.get(SERVICEACCOUNTS, ACCOUNT, namespace)
    root_ca = world.get(CONFIGMAPS, ROOT_CA, namespace)
    decided = plan(found, account, root_ca, ca_pem)
    with suppress(AlreadyExists):
        if decided.account:
            await world.kube.create(SERVICEACCOUNTS, decided.account, namespace)
    with suppress(AlreadyExists):
        if decided.root_ca:
            await world.kube.create(CONFIGMAPS, decided.root_ca, namespace)
    if decided.correct_root_ca:
        await world.kube.replace(CONFIGMAPS, decided.correct_root_ca)
