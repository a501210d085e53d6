"""The chart's values as the operator understands them; ``parsing.py`` reads them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from keyless.api.places import bucket_fault, region_fault
from keyless.aws.writing import BARE, Writing
from keyless.billing.report.capacity import Bought
from keyless.shared_secrets.stores.scopes import Scope
from keyless.space.reading import ROLE_ANNOTATION, KubeObject
from keyless.space.surroundings import Surroundings

__all__ = [
    "MODES",
    "ROLE_ANNOTATION",
    "ApiServer",
    "Backup",
    "Billing",
    "Capacity",
    "Mode",
    "Network",
    "Persistence",
    "SecretsSync",
    "Values",
    "Workload",
]

_PREFIX = re.compile(r"([A-Za-z0-9!_.*'()=-]{1,100}/){1,8}", re.ASCII)
"""Characters that S3 calls safe."""
Mode = Literal["auto", "logical", "attached", "kubernetes"]
MODES: tuple[Mode, ...] = ("auto", "logical", "attached", "kubernetes")


@dataclass(frozen=True, slots=True)
class Billing:
    """Where usage is stored; ``secret`` empty means workload identity."""

    enabled: bool = False
    provider: str = ""
    bucket: str = ""
    region: str = ""
    endpoint: str = ""
    secret: str = ""
    """The chart's default names one, so that a forgotten flag means static keys; after Helm's merge nothing is left to
    default, and what is empty, null or missing means workload identity."""

    flush_seconds: int = 0
    """Between two uploads; 0: an hour with a volume, else five minutes."""
    writing: Writing = BARE
    addressing_style: str = "auto"
    signing_kms: str = ""
    signing_secret: str = ""
    """What signs manifests: a KMS key, or a Secret; at most one."""
    dimension_labels: tuple[str, ...] = ()
    """Keys of labels of resources that are recorded with their numbers."""
    combinations: int = 2000

    @property
    def missing(self) -> tuple[str, ...]:
        """The values without which nothing can be stored."""
        needed = {"billing.storage.provider": self.provider, "billing.storage.aws.bucket": self.bucket}
        return tuple(name for name, value in needed.items() if not value)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the names, of a bucket that S3 would never have and a region that AWS would not."""
        found = []
        if self.bucket and (fault := bucket_fault(self.bucket)):
            found.append(f"billing.storage.aws.bucket: {fault}, found {self.bucket!r}")
        # Behind an endpoint of one's own a region is called as its owner likes.
        if self.region and not self.endpoint and (fault := region_fault(self.region)):
            found.append(f"billing.storage.aws.region: {fault}, found {self.region!r}")
        found += [f"billing.storage.aws.{fault}" for fault in self.writing.faults]
        if self.signing_kms and self.signing_secret:
            found.append("billing.signing: expected one of kmsKeyId and secretRef.name, found both")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Backup:
    """Where snapshots of control planes of mode ``kubernetes`` are stored, how often, and how many stay."""

    enabled: bool = False
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    endpoint: str = ""
    writing: Writing = BARE
    addressing_style: str = "auto"
    interval_seconds: int = 3600
    keep: int = 24

    @property
    def missing(self) -> tuple[str, ...]:
        """The values without which nothing can be stored."""
        return () if self.bucket else ("backup.storage.aws.bucket",)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the names."""
        found = []
        if self.bucket and (fault := bucket_fault(self.bucket)):
            found.append(f"backup.storage.aws.bucket: {fault}, found {self.bucket!r}")
        if self.region and not self.endpoint and (fault := region_fault(self.region)):
            found.append(f"backup.storage.aws.region: {fault}, found {self.region!r}")
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            found.append(f"backup.storage.aws.prefix: expected folders that end in a slash, found {self.prefix!r}")
        found += [f"backup.storage.aws.{fault}" for fault in self.writing.faults]
        return tuple(found)

    @property
    def serves(self) -> bool:
        """Whether there is enough to begin with."""
        return self.enabled and not self.missing and not self.faults


@dataclass(frozen=True, slots=True)
class Capacity:
    """What was bought, from the first day to the last, both inclusive, in UTC; None: not limited."""

    resource_hours: int | None = None
    operations: int | None = None
    first: date | None = None
    last: date | None = None

    @property
    def bought(self) -> Bought | None:
        """None where none is set."""
        if self.first is None or self.last is None or (self.resource_hours is None and self.operations is None):
            return None
        start, end = (datetime.combine(day, time(), UTC) for day in (self.first, self.last + timedelta(days=1)))
        return Bought(self.resource_hours, self.operations, start, end)


@dataclass(frozen=True, slots=True)
class Workload:
    """What the values say about one component's service account and pods."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    resources: KubeObject = field(default_factory=dict)
    env: tuple[KubeObject, ...] = ()
    """Environment variables beside ours, which they replace where they have the same name."""
    scheduling: KubeObject = field(default_factory=dict)
    """Fields of the pod's spec: affinity, nodeSelector, priorityClassName, tolerations, topologySpreadConstraints."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """``enabled`` None is ``auto``: a volume where the cluster has a default storage class."""

    enabled: bool | None = None
    size: str = "1Gi"
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """The NetworkPolicy of the components' pods, if one is wanted, in Kubernetes' own words."""

    enabled: bool = False
    peers: tuple[KubeObject, ...] = ()
    """Who may read metrics; empty: everybody."""
    egress: tuple[KubeObject, ...] = ()
    """Rules of what may go out; empty: everything."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """What runs a control plane's API in mode ``kubernetes``."""

    image: str = "registry.k8s.io/kube-apiserver:v1.36.3"
    controller_manager_image: str = "registry.k8s.io/kube-controller-manager:v1.36.3"
    etcd_image: str = "registry.k8s.io/etcd:3.6.5-0"
    size: str = "4Gi"
    storage_class: str = ""
    resources: KubeObject = field(default_factory=dict)
    """By container: ``etcd``, ``kube-apiserver``, ``kube-controller-manager``, ``kms-plugin``."""
    scheduling: KubeObject = field(default_factory=dict)
    service_type: str = "ClusterIP"
    service_annotations: KubeObject = field(default_factory=dict)
    kms_key: str = ""
    """The ``KeyId`` of the KMS key that Secrets in etcd are encrypted with; empty: a key of their own."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the service account that asks KMS."""
    rotate_after_days: int = 0
    """The age at which the key of Secrets in etcd is changed; 0: only when it is asked for."""
    hostname: str = ""
    """By which callers from outside name it: ``{name}``, ``{group}`` and ``{id}`` are the control plane's."""
    gateway: tuple[str, str, str] | None = None
    """Namespace (empty: the host namespace), name and listener (empty: any) of what passes TLS through."""
    ingress_class: str = ""
    ingress_annotations: KubeObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecretsSync:
    """How the controller of shared secrets treats what it did not make, and what misses its source."""

    adopt_unowned: bool = False
    pending_is_missing: bool = False
    misses: int = 3
    seconds: int = 600
    percent: int = 20
    least: int = 3


@dataclass(frozen=True, slots=True)
class Values:
    """All that the operator reads."""

    account: str = "notdemo"
    image: str = "keyless/keyless:0.1.0"
    pull_policy: str = "IfNotPresent"
    surroundings: Surroundings = field(default_factory=Surroundings)
    network: Network = Network()
    mode: Mode = "auto"
    api_server: ApiServer = ApiServer()
    billing: Billing = Billing()
    backup: Backup = Backup()
    backups: Workload = Workload()
    """What runs ``keyless run backup``."""
    capacity: Capacity = Capacity()
    export_schedule: str = ""
    """When closed months are exported; empty: never."""
    vector: Workload = Workload()
    persistence: Persistence = Persistence()
    shared_secrets: bool = True
    external_secrets: Workload = Workload()
    tenant_stores_may_use_controller_identity: bool = False
    scopes: tuple[Scope, ...] | None = None
    """Who may read which keys as the Space; ``None``: whoever a store selects, whatever the role may read."""
    secrets_sync: SecretsSync = SecretsSync()
