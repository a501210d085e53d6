"""From Helm values to the objects of one control plane's components. Pure: the same values give the same objects.

``vector`` meters, ``external-secrets`` reads secrets, ``backup`` takes snapshots. A pod template that changes here
rolls out by itself; service account annotations are not part of it, so annotating restarts nothing, as the
guides say. Each component reads the control plane through its own kubeconfig Secret; a backup reads its etcd.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.kube import KubeObject
from keyless.kube.resources import DEPLOYMENTS, PERSISTENTVOLUMECLAIMS, SECRETS, SERVICEACCOUNTS
from keyless.space import pods, rights
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, item
from keyless.space.kubernetes.names import backup_key
from keyless.space.place import Place
from keyless.space.values import Values, Workload

VECTOR = "vector"
EXTERNAL_SECRETS = "external-secrets"
BACKUP = "backup"
NAMES = (VECTOR, EXTERNAL_SECRETS, BACKUP)
INSIDE = (VECTOR, EXTERNAL_SECRETS)
"""Those that read the control plane's API; a backup reads its etcd."""
SERVICE_ACCOUNT_NAMES = {VECTOR: "vector", EXTERNAL_SECRETS: "external-secrets-controller", BACKUP: "backup"}
"""The names that trust policies and pod identity associations are written for: a contract with users."""
VOLUME = "vector-spool"


@dataclass(frozen=True, slots=True)
class Component:
    """``before`` must exist before the pods do: service account, rights, volume."""

    name: str
    before: tuple[Item, ...]
    deployment: Item
    kubeconfig: Key
    volume: Item | None = None

    @property
    def service_account(self) -> Key:
        """Whose identity the pods have."""
        return self.before[0].key


def kubeconfig_key(name: str, place: Place) -> Key:
    """The Secret with which a component reaches the control plane's API, or its etcd."""
    if name == BACKUP:
        return backup_key(place)
    return Key(SECRETS, f"kubeconfig-{name}", place.host_namespace)


def vector(values: Values, place: Place, *, volume: bool) -> Component:
    """The collector of usage, with or without a volume for what is not stored yet."""
    claim = _claim(values, place) if volume else None
    account = _service_account(VECTOR, values, values.vector, place)
    template = pods.vector_template(values, place, volume=VOLUME if claim else "")
    deployment = _deployment(VECTOR, values, place, template, recreate=volume)
    before = (account, *rights.of_vector(place))
    return Component(VECTOR, before, deployment, kubeconfig_key(VECTOR, place), claim)


def external_secrets(values: Values, place: Place) -> Component:
    """The controller that reads secrets into the control plane."""
    account = _service_account(EXTERNAL_SECRETS, values, values.external_secrets, place)
    template = pods.external_secrets_template(values, place)
    deployment = _deployment(EXTERNAL_SECRETS, values, place, template, recreate=True)
    before = (account, *rights.of_external_secrets(place))
    return Component(EXTERNAL_SECRETS, before, deployment, kubeconfig_key(EXTERNAL_SECRETS, place))


def backup(values: Values, place: Place, holds: str = "") -> Component:
    """What takes snapshots of etcd, as long as that holds what it held."""
    account = _service_account(BACKUP, values, values.backups, place)
    deployment = _deployment(BACKUP, values, place, pods.backup_template(values, place, holds), recreate=True)
    before = (account, *rights.of_backup(place))
    return Component(BACKUP, before, deployment, kubeconfig_key(BACKUP, place))


def wanted(values: Values, place: Place, *, volume: bool, own: bool = False, holds: str = "") -> tuple[Component, ...]:
    """The components that these values ask for; ``own``: whether the control plane's etcd is ours to back up.

    ``holds``: what it held when the operator last looked.
    """
    metering = (vector(values, place, volume=volume),) if values.billing.enabled else ()
    secrets = (external_secrets(values, place),) if values.shared_secrets else ()
    backups = (backup(values, place, holds),) if own and values.backup.enabled else ()
    return metering + secrets + backups


def account_key(name: str, place: Place) -> Key:
    """A component's service account."""
    return Key(SERVICEACCOUNTS, SERVICE_ACCOUNT_NAMES[name], place.host_namespace)


def deployment_key(name: str, place: Place) -> Key:
    """A component's Deployment."""
    return Key(DEPLOYMENTS, name, place.host_namespace)


def volume_key(place: Place) -> Key:
    """The volume that keeps what is not stored yet."""
    return Key(PERSISTENTVOLUMECLAIMS, VOLUME, place.host_namespace)


def has_volume(claim: KubeObject | None) -> bool:
    """Whether a claim has its volume: until then it holds nothing, and a pod that mounts it may wait for ever."""
    return claim is not None and bool(claim["spec"].get("volumeName"))


def remains(name: str, place: Place) -> tuple[Key, ...]:
    """What a component leaves once its pods are gone, but for the volume; its identity goes last."""
    access = _RIGHTS[name](place)
    return (kubeconfig_key(name, place), *(right.key for right in reversed(access)), account_key(name, place))


_RIGHTS = {VECTOR: rights.of_vector, EXTERNAL_SECRETS: rights.of_external_secrets, BACKUP: rights.of_backup}


def _labels(name: str, values: Values, place: Place) -> dict[str, str]:
    # Ours last: by them the objects are found again.
    return {
        **values.surroundings.labels,
        "app.kubernetes.io/name": name,
        CONTROL_PLANE_LABEL: place.control_plane_id,
    }


def _service_account(name: str, values: Values, workload: Workload, place: Place) -> Item:
    return item(
        SERVICEACCOUNTS,
        SERVICE_ACCOUNT_NAMES[name],
        place.host_namespace,
        labels=_labels(name, values, place),
        annotations={**values.surroundings.annotations, **workload.annotations},
    )


def _claim(values: Values, place: Place) -> Item:
    storage_class = values.persistence.storage_class
    return item(
        PERSISTENTVOLUMECLAIMS,
        VOLUME,
        place.host_namespace,
        labels=_labels(VECTOR, values, place),
        annotations=dict(values.surroundings.annotations),
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": values.persistence.size}},
            **({"storageClassName": storage_class} if storage_class else {}),
        },
    )


def _deployment(name: str, values: Values, place: Place, template: KubeObject, *, recreate: bool) -> Item:
    # Two collectors on one volume, or two writers of the same status row, would only wait for one another.
    strategy: KubeObject = (
        {"type": "Recreate"}
        if recreate
        else {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    )
    return item(
        DEPLOYMENTS,
        name,
        place.host_namespace,
        labels=_labels(name, values, place),
        annotations=dict(values.surroundings.annotations),
        spec={
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "strategy": strategy,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": template,
        },
    )
