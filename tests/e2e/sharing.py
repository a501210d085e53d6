"""A secret that is shared with one control plane: from Secrets Manager into a namespace of a team there."""

from __future__ import annotations

import json

from e2e import seeing
from e2e.local_space import LocalSpace
from e2e.planes import Plane
from e2e.seeing import Object
from keyless.kube import Kube
from keyless.kube.resources import (
    EXTERNALSECRETS,
    NAMESPACES,
    SECRETS,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
)

CONTROLLER = "external-secrets-controller"
TEAM = "payments"


def make_secret(space: LocalSpace, plane: Plane, password: str) -> str:
    """``aws secretsmanager create-secret`` below a prefix that is the plane's own; returns its name."""
    name = f"{plane.own}/database"
    value = json.dumps({"username": "app", "password": password})
    space.aws("secretsmanager").create_secret(Name=name, SecretString=value)
    return name


async def share(space: LocalSpace, host: Kube, plane: Plane) -> None:
    """A SharedSecretStore and a SharedExternalSecret for this control plane alone, and a namespace that wants it."""
    where = {
        "controlPlaneSelector": {"names": [plane.name]},
        "namespaceSelector": {"labelSelectors": [{"matchLabels": {"team": TEAM}}]},
    }
    provider = {"aws": {"service": "SecretsManager", "region": space.environ["AWS_REGION"]}}
    remote = {"key": f"{plane.own}/database", "property": "password"}
    external = {
        "refreshInterval": "1h",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": plane.own},
        "target": {"name": "database"},
        "data": [{"secretKey": "password", "remoteRef": remote}],
    }
    metadata = {"name": plane.own, "namespace": "default"}
    await host.create(SHAREDSECRETSTORES, {"metadata": metadata, "spec": {**where, "provider": provider}})
    await host.create(SHAREDEXTERNALSECRETS, {"metadata": metadata, "spec": {**where, "externalSecretSpec": external}})
    await plane.tenant.apply(NAMESPACES, {"metadata": {"name": TEAM, "labels": {"team": TEAM}}}, field_manager="e2e")


async def unshare(host: Kube) -> None:
    """Nothing is shared any more: what a control plane shall read is judged as a whole."""
    for res in (SHAREDEXTERNALSECRETS, SHAREDSECRETSTORES):
        for each in (await host.list(res, "default")).items:
            await host.delete(res, each["metadata"]["name"], "default")


async def synced(plane: Plane, status: str) -> Object:
    """The ExternalSecret's condition Ready, once it is so."""
    return await seeing.condition_of_object(plane.tenant, EXTERNALSECRETS, plane.own, TEAM, "Ready", status)


async def arrived(plane: Plane) -> Object:
    """The Secret in the team's namespace."""
    await synced(plane, "True")
    found: Object = (await plane.tenant.get(SECRETS, "database", TEAM))["data"]
    return found
