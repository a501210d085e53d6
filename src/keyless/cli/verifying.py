"""What ``keyless verify`` looks at: the two components by name, and what each must reach in AWS.

The command line is the only place that knows both the verifier and the domains whose needs it verifies.
"""

from __future__ import annotations

from keyless.api import Access
from keyless.billing.access import access as bucket_access
from keyless.identity.verify import AccessOf, Cluster, ControlPlane, Space, Subject
from keyless.kube import Kube, KubeObject
from keyless.kube.resources import SHAREDEXTERNALSECRETS, SHAREDSECRETSTORES
from keyless.shared_secrets.access import COMPONENT, SERVICE_ACCOUNT, access, shared_resources
from keyless.shared_secrets.stores.plan import selects

BILLING = Subject(
    title="billing",
    service_account="vector",
    deployment="vector",
    condition="BillingStored",
    enabled="billing.enabled",
    annotations="controlPlanes.vector.serviceAccount.customAnnotations",
    static_keys="billing.storage.secretRef.name",
    storage="billing.storage",
)
SHARED_SECRETS = Subject(
    title="shared secrets",
    service_account=SERVICE_ACCOUNT,
    deployment=COMPONENT,
    condition="SharedSecretsRead",
    enabled="sharedSecrets.enabled",
    annotations="controlPlanes.sharedSecrets.serviceAccount.customAnnotations",
)


async def billing_access(space: Space, _plane: ControlPlane, cluster: Cluster) -> Access | None:
    """The collector's needs for the bucket in the values."""
    bucket = space.values.get("billing.storage.aws.bucket", "")
    if not bucket:
        return None
    return bucket_access(bucket, space.values.get("account", "*"), partition=cluster.partition)


def secrets_access(kube: Kube) -> AccessOf:
    """The controller's needs for what the group shares with this control plane.

    A store with a role or keys of its own is left out: others read there, and their chain starts where this one ends.
    """

    async def access_of(_space: Space, plane: ControlPlane, cluster: Cluster) -> Access | None:
        stores = _shared_with(plane, (await kube.list(SHAREDSECRETSTORES, plane.group)).items)
        secrets = _shared_with(plane, (await kube.list(SHAREDEXTERNALSECRETS, plane.group)).items)
        own = [store for store in stores if not _has_identity(store["spec"]["provider"].get("aws") or {})]
        resources = shared_resources(own, secrets, account=cluster.account, partition=cluster.partition)
        return access(resources) if resources else None

    return access_of


def _shared_with(plane: ControlPlane, items: list[KubeObject]) -> list[KubeObject]:
    return [item for item in items if selects(item["spec"].get("controlPlaneSelector"), plane.name, plane.labels)]


def _has_identity(aws: KubeObject) -> bool:
    return bool(aws.get("role") or aws.get("auth"))
