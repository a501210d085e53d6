"""What ``keyless verify`` looks at: the two components by name, and what each must reach in AWS.

The command line is the only place that knows both the verifier and the domains whose needs it verifies.
"""

from __future__ import annotations

from keyless.api import Access
from keyless.billing.access import access as bucket_access
from keyless.identity.verify import AccessOf, Cluster, ControlPlane, Space, Subject
from keyless.kube import Kube
from keyless.kube.resources import SHAREDEXTERNALSECRETS, SHAREDSECRETSTORES
from keyless.shared_secrets.access import COMPONENT, SERVICE_ACCOUNT, access, shared_resources

BILLING = Subject(
    title="billing",
    service_account="vector",
    deployment="vector",
    condition="BillingStored",
    enabled="billing.enabled",
    annotations="controlPlanes.vector.serviceAccount.customAnnotations",
    static_keys="billing.storage.secretRef.name",
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
    """The controller's needs for what the control plane's group shares.

    A store with a role of its own is left out: that role reads, and its chain starts where this one ends.
    """

    async def access_of(_space: Space, plane: ControlPlane, cluster: Cluster) -> Access | None:
        stores = (await kube.list(SHAREDSECRETSTORES, plane.group)).items
        secrets = (await kube.list(SHAREDEXTERNALSECRETS, plane.group)).items
        own = [store for store in stores if not store["spec"]["provider"].get("aws", {}).get("role")]
        resources = shared_resources(own, secrets, account=cluster.account, partition=cluster.partition)
        return access(resources) if resources else None

    return access_of
