"""What ``keyless verify`` looks at: the two components by name, and what each must reach in AWS.

The command line is the only place that knows both the verifier and the domains whose needs it verifies.
"""

from __future__ import annotations

from collections.abc import Iterator

from keyless.api import Access
from keyless.billing import access as billing
from keyless.identity.verify import AccessOf, Cluster, ControlPlane, Space, Subject
from keyless.kube import Kube, KubeObject
from keyless.kube.resources import SHAREDEXTERNALSECRETS, SHAREDSECRETSTORES
from keyless.shared_secrets import access as shared_secrets

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
    service_account=shared_secrets.SERVICE_ACCOUNT,
    deployment=shared_secrets.COMPONENT,
    condition="SharedSecretsRead",
    enabled="sharedSecrets.enabled",
    annotations="controlPlanes.sharedSecrets.serviceAccount.customAnnotations",
)


async def billing_access(space: Space, _plane: ControlPlane, cluster: Cluster) -> Access | None:
    """The collector's needs for the bucket in the values."""
    bucket = space.values.get("billing.storage.aws.bucket", "")
    if not bucket:
        return None
    return billing.access(bucket, space.values.get("account", "*"), partition=cluster.partition)


def secrets_access(kube: Kube) -> AccessOf:
    """The controller's needs for what the control plane's group shares."""

    async def access_of(_space: Space, plane: ControlPlane, cluster: Cluster) -> Access | None:
        stores = (await kube.list(SHAREDSECRETSTORES, plane.group)).items
        secrets = (await kube.list(SHAREDEXTERNALSECRETS, plane.group)).items
        resources = tuple(dict.fromkeys(shared_resources(stores, secrets, cluster)))
        return shared_secrets.access(resources) if resources else None

    return access_of


def shared_resources(stores: list[KubeObject], secrets: list[KubeObject], cluster: Cluster) -> Iterator[str]:
    """The ARN patterns of what shared secrets read through stores that use the component's own role."""
    providers = {
        store["spec"].get("secretStoreName") or store["metadata"]["name"]: store["spec"]["provider"]["aws"]
        for store in stores
        if "aws" in store["spec"].get("provider", {})
    }
    for secret in secrets:
        spec = secret["spec"].get("externalSecretSpec", {})
        provider = providers.get((spec.get("secretStoreRef") or {}).get("name", ""))
        if provider is None or provider.get("role"):
            continue  # another role reads it: its chain starts after ours
        for key in _keys(spec):
            yield _arn(provider, key, cluster)


def _keys(spec: KubeObject) -> Iterator[str]:
    references = [entry.get("remoteRef", {}) for entry in spec.get("data", [])]
    references += [entry.get("extract", {}) for entry in spec.get("dataFrom", [])]
    return (reference["key"] for reference in references if reference.get("key"))


def _arn(provider: KubeObject, key: str, cluster: Cluster) -> str:
    if key.startswith("arn:"):
        return key
    place = f"{provider.get('region') or cluster.region}:{cluster.account}"
    name = f"{provider.get('prefix', '')}{key}"
    if provider.get("service") == "ParameterStore":
        return f"arn:{cluster.partition}:ssm:{place}:parameter/{name.lstrip('/')}"
    # Secrets Manager adds six random characters to the name.
    return f"arn:{cluster.partition}:secretsmanager:{place}:secret:{name}-??????"
