"""What ``keyless verify`` looks at: the components by name, and what each must reach in AWS.

The command line is the only place that knows both the verifier and the domains whose needs it verifies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from keyless.api import Access
from keyless.aws.writing import Writing
from keyless.backup.access import COMPONENT as BACKUP_COMPONENT
from keyless.backup.access import SERVICE_ACCOUNT as BACKUP_ACCOUNT
from keyless.backup.access import access as snapshots
from keyless.billing.access import EXPORT, export_access
from keyless.billing.access import access as bucket_access
from keyless.billing.export.scheduled import PREFIX
from keyless.encryption.access import SERVICE_ACCOUNT as ENCRYPTION_ACCOUNT
from keyless.encryption.access import VALUE as ENCRYPTION_VALUE
from keyless.encryption.access import access as crypts
from keyless.encryption.access import encryption_arn
from keyless.identity.verify import AccessOf, Bounds, Cluster, ControlPlane, Space, Subject
from keyless.kube import Kube, KubeObject
from keyless.kube.resources import CONTROLPLANES, SHAREDEXTERNALSECRETS, SHAREDSECRETSTORES
from keyless.shared_secrets.access import ACTIONS, COMPONENT, SERVICE_ACCOUNT, access, arns_within, shared_resources
from keyless.shared_secrets.stores.plan import selects
from keyless.shared_secrets.stores.scopes import of_control_plane, read_scopes
from keyless.space.workload_identity.wishes import signs_with

BILLING = Subject(
    title="billing",
    service_account="vector",
    deployment="vector",
    condition="BillingStored",
    enabled="billing.enabled",
    annotations="controlPlanes.vector.serviceAccount.customAnnotations",
    static_keys="billing.storage.secretRef.name",
    storage="billing.storage",
    health="BillingHealthy",
)
SHARED_SECRETS = Subject(
    title="shared secrets",
    service_account=SERVICE_ACCOUNT,
    deployment=COMPONENT,
    condition="SharedSecretsRead",
    enabled="sharedSecrets.enabled",
    annotations="controlPlanes.sharedSecrets.serviceAccount.customAnnotations",
)
BACKUP = Subject(
    title="backup",
    service_account=BACKUP_ACCOUNT,
    deployment=BACKUP_COMPONENT,
    condition="BackedUp",
    enabled="backup.enabled",
    annotations="controlPlanes.backup.serviceAccount.customAnnotations",
    storage="backup.storage",
)
ENCRYPTION = Subject(
    title="encryption",
    service_account=ENCRYPTION_ACCOUNT,
    deployment=ENCRYPTION_ACCOUNT,
    condition="EncryptionKeyUsable",
    enabled=ENCRYPTION_VALUE,
    annotations="controlPlanes.kubernetes.serviceAccount.customAnnotations",
    kind="statefulset",
    names_one=True,
)
EXPORT_SUBJECT = Subject(
    title="billing export",
    service_account=EXPORT,
    deployment=EXPORT,
    condition="",
    enabled="billing.export.schedule",
    annotations="billing.export.serviceAccount.customAnnotations",
    static_keys="billing.export.secretRef.name",
    storage="billing.storage",
    of_space=True,
)


async def export_access_of(space: Space, _plane: ControlPlane, cluster: Cluster) -> Access | None:
    """The scheduled export's needs, for the buckets in the values."""
    return export_needs(space.values, cluster)


def export_needs(values: Mapping[str, str], cluster: Cluster) -> Access | None:
    """None where no bucket is named."""
    bucket = values.get("billing.storage.aws.bucket", "")
    if not bucket:
        return None
    reports = values.get("billing.export.bucket") or bucket, values.get("billing.export.prefix") or PREFIX
    writing = _writing(values)
    signs = signing_key(values, cluster)
    account = values.get("account", "*")
    return export_access(bucket, account, reports, partition=cluster.partition, writing=writing, signs=signs)


def signing_key(values: Mapping[str, str], cluster: Cluster) -> str:
    """The ARN of the key that signs what is stored and reported; raises ``Permanent`` where the value names none."""
    key, region = (values.get(f"billing.{name}", "") for name in ("signing.kmsKeyId", "storage.aws.region"))
    return signs_with(key, region, cluster)


def _writing(values: Mapping[str, str]) -> Writing:
    aws = "billing.storage.aws"
    encryption, key, acl = (values.get(f"{aws}.{name}", "") for name in ("serverSideEncryption", "ssekmsKeyId", "acl"))
    return Writing(encryption, key, acl=acl)


async def billing_access(space: Space, _plane: ControlPlane, cluster: Cluster) -> Access | None:
    """The collector's needs for the bucket in the values."""
    bucket = space.values.get("billing.storage.aws.bucket", "")
    if not bucket:
        return None
    writing, signs = _writing(space.values), signing_key(space.values, cluster)
    account = space.values.get("account", "*")
    return bucket_access(bucket, account, partition=cluster.partition, writing=writing, signs=signs)


def backup_access(kube: Kube) -> AccessOf:
    """What snapshots need in the bucket in the values: the control plane's own folder."""

    async def access_of(space: Space, plane: ControlPlane, cluster: Cluster) -> Access | None:
        aws = "backup.storage.aws"
        bucket, prefix, encryption, key = (
            space.values.get(f"{aws}.{name}", "")
            for name in ("bucket", "prefix", "serverSideEncryption", "ssekmsKeyId")
        )
        if not bucket:
            return None
        own = (await kube.get(CONTROLPLANES, plane.name, plane.group)).get("status") or {}
        writing = Writing(encryption, key)
        return snapshots(bucket, prefix, own.get("controlPlaneID", "*"), partition=cluster.partition, writing=writing)

    return access_of


def encryption_access(kube: Kube) -> AccessOf:
    """The KMS key in the values, for one control plane."""

    async def access_of(space: Space, plane: ControlPlane, cluster: Cluster) -> Access | None:
        arn = encryption_key(space.values, cluster)
        if not arn:
            return None
        own = (await kube.get(CONTROLPLANES, plane.name, plane.group)).get("status") or {}
        return crypts(arn, str(own.get("controlPlaneID", "*")))

    return access_of


def encryption_key(values: Mapping[str, str], cluster: Cluster) -> str:
    """The ARN of the key that Secrets are encrypted with; raises ``Permanent`` where the value names none."""
    return encryption_arn(values.get(ENCRYPTION_VALUE, ""), (cluster.partition, cluster.region, cluster.account))


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


def secrets_bounds(space: Space, plane: ControlPlane, cluster: Cluster) -> Bounds | None:
    """The scopes in the values that concern a control plane; values that are none are the operator's to refuse."""
    written = space.values.get("controlPlanes.sharedSecrets.scopes", "")
    try:
        scopes = read_scopes(json.loads(written)) if written else None
    except ValueError:
        return None
    if scopes is None:
        return Bounds(scoped=False)
    mine = of_control_plane(scopes, plane.group, plane.name)
    rows = tuple(f"namespace {one.namespace}: {', '.join(one.prefixes)}" for one in mine)
    prefixes = sorted({prefix for one in mine for prefix in one.prefixes})
    place = (cluster.partition, cluster.account)
    return Bounds(rows, ACTIONS, tuple(arn for prefix in prefixes for arn in arns_within(prefix, *place)))


def _shared_with(plane: ControlPlane, items: list[KubeObject]) -> list[KubeObject]:
    return [item for item in items if selects(item["spec"].get("controlPlaneSelector"), plane.name, plane.labels)]


def _has_identity(aws: KubeObject) -> bool:
    return bool(aws.get("role") or aws.get("auth"))
