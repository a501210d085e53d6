"""The chart's values as the operator understands them. Pure.

``parse_values`` takes the text of ``values.json`` as Helm rendered it. The chart's schema has refused most nonsense
already; what arrives here may still have been edited by hand, so it is checked again and refused with a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from keyless.api import Arn, Reason, Refusal
from keyless.api.places import bucket_fault, region_fault
from keyless.shared_secrets.stores.scopes import Scope, read_scopes

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
Mode = Literal["auto", "logical", "attached"]
MODES: tuple[Mode, ...] = ("auto", "logical", "attached")
KubeObject = dict[str, Any]
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_KEY = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII
)
T = TypeVar("T")


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
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Workload:
    """What the values say about one component's service account and pods."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    resources: KubeObject = field(default_factory=dict)
    scheduling: KubeObject = field(default_factory=dict)
    """Fields of the pod's spec: affinity, nodeSelector, tolerations, topologySpreadConstraints."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """``enabled`` None is ``auto``: a volume where the cluster has a default storage class."""

    enabled: bool | None = None
    size: str = "1Gi"
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class SecretsSync:
    """How the controller of shared secrets treats what it did not make, and what misses its source."""

    adopt_unowned: bool = False
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
    mode: Mode = "auto"
    billing: Billing = Billing()
    vector: Workload = Workload()
    persistence: Persistence = Persistence()
    shared_secrets: bool = True
    external_secrets: Workload = Workload()
    tenant_stores_may_use_controller_identity: bool = False
    scopes: tuple[Scope, ...] | None = None
    """Who may read which keys as the Space; ``None``: whoever a store selects, whatever the role may read."""
    secrets_sync: SecretsSync = SecretsSync()


def parse_values(text: str) -> Values | Refusal:
    """Read ``values.json``; a refusal names every fault at once."""
    try:
        document = json.loads(text)
    except ValueError as error:
        return Refusal(Reason.VALUES_INVALID, f"values.json is not JSON: {error}; run helm upgrade again")
    reader = _Reader(document)
    values = _values(reader)
    if reader.faults:
        return Refusal(Reason.VALUES_INVALID, "; ".join(reader.faults) + "; correct them and run helm upgrade again")
    return values


def _values(reader: _Reader) -> Values:
    mode = reader.word("controlPlanes.api.mode", "auto", one_of=MODES)
    alpha = reader.get("features.alpha.sharedSecrets.enabled", True)
    return Values(
        account=reader.get("account", "notdemo"),
        image=f"{reader.get('image.repository', 'keyless/keyless')}:{reader.get('image.tag', '0.1.0')}",
        pull_policy=reader.get("image.pullPolicy", "IfNotPresent"),
        mode=next((each for each in MODES if each == mode), "auto"),
        billing=Billing(
            enabled=reader.get("billing.enabled", False),
            provider=reader.word("billing.storage.provider", "", one_of=("", "aws")),
            bucket=reader.get("billing.storage.aws.bucket", ""),
            region=reader.get("billing.storage.aws.region", ""),
            endpoint=reader.get("billing.storage.aws.endpoint", ""),
            secret=reader.get("billing.storage.secretRef.name", ""),
            dimension_labels=reader.label_keys("billing.dimensions.labels"),
            combinations=max(reader.count("billing.dimensions.limit", 2000, most=20_000), 1),
        ),
        vector=_workload(reader, "controlPlanes.vector"),
        persistence=Persistence(
            enabled=reader.tristate("controlPlanes.vector.persistence.enabled"),
            size=reader.get("controlPlanes.vector.persistence.size", "1Gi"),
            storage_class=reader.get("controlPlanes.vector.persistence.storageClassName", ""),
        ),
        shared_secrets=reader.get("sharedSecrets.enabled", True) and alpha,
        external_secrets=_workload(reader, "controlPlanes.sharedSecrets"),
        tenant_stores_may_use_controller_identity=reader.get(
            "controlPlanes.sharedSecrets.tenantStoresMayUseControllerIdentity", False
        ),
        scopes=reader.scopes("controlPlanes.sharedSecrets.scopes"),
        secrets_sync=_secrets_sync(reader, "controlPlanes.sharedSecrets"),
    )


def _secrets_sync(reader: _Reader, section: str) -> SecretsSync:
    guard, default = f"{section}.deletionGuard", SecretsSync()
    return SecretsSync(
        adopt_unowned=reader.get(f"{section}.adoptUnowned", False),
        misses=reader.count(f"{guard}.misses", default.misses),
        seconds=reader.count(f"{guard}.seconds", default.seconds),
        percent=reader.count(f"{guard}.percent", default.percent, most=100),
        least=reader.count(f"{guard}.least", default.least),
    )


def _workload(reader: _Reader, section: str) -> Workload:
    annotations: dict[str, str] = reader.get(f"{section}.serviceAccount.customAnnotations", {})
    reader.role(f"{section}.serviceAccount.customAnnotations", annotations.get(ROLE_ANNOTATION))
    fields: KubeObject = {
        "affinity": reader.get(f"{section}.affinity", {}),
        "nodeSelector": reader.get(f"{section}.nodeSelector", {}),
        "tolerations": reader.get(f"{section}.tolerations", []),
        "topologySpreadConstraints": reader.get(f"{section}.topologySpreadConstraints", []),
    }
    return Workload(
        annotations=annotations,
        pod_labels=reader.get(f"{section}.pod.customLabels", {}),
        resources=reader.get(f"{section}.resources", {}),
        scheduling={name: value for name, value in fields.items() if value},
    )


class _Reader:
    """Looks values up by path and collects what is wrong with them; null means the default, as in Helm."""

    def __init__(self, document: object) -> None:
        self.faults: list[str] = []
        self._document = document

    def get(self, path: str, default: T) -> T:
        """The value at ``path``, which must be of the default's type."""
        found = self._find(path)
        if found is None:
            return default
        if not isinstance(found, type(default)):
            self.faults.append(f"{path}: expected {_WORDS[type(default)]}, found {found!r}")
            return default
        return found

    def word(self, path: str, default: str, *, one_of: tuple[str, ...]) -> str:
        """A string out of a few."""
        found = self.get(path, default)
        if found not in one_of:
            expected = " or ".join(word or '""' for word in one_of)
            self.faults.append(f"{path}: expected {expected}, found {found!r}, which is not implemented")
            return default
        return found

    def count(self, path: str, default: int, *, most: int | None = None) -> int:
        """A whole number from 0; Helm renders 3 as 3.0 at times."""
        found = self._find(path)
        if found is None:
            return default
        whole = isinstance(found, int | float) and not isinstance(found, bool) and found == int(found) >= 0
        if whole and isinstance(found, int | float) and (most is None or found <= most):
            return int(found)
        self.faults.append(f"{path}: expected a whole number from 0{f' to {most}' if most else ''}, found {found!r}")
        return default

    def tristate(self, path: str) -> bool | None:
        """true, false, or None for auto; ``--set-string`` makes words of them."""
        found = self._find(path)
        known: dict[object, bool | None] = {True: True, "true": True, False: False, "false": False}
        if found in (None, "auto"):
            return None
        if isinstance(found, bool | str) and found in known:
            return known[found]
        self.faults.append(f"{path}: expected true, false or auto, found {found!r}")
        return None

    def label_keys(self, path: str) -> tuple[str, ...]:
        """A list of the keys of labels; a comma separates them on their way to the component."""
        found = self._find(path)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(key, str) and _LABEL_KEY.fullmatch(key) for key in found):
            self.faults.append(f"{path}: expected a list of keys of labels, as [team], found {found!r}")
            return ()
        return tuple(dict.fromkeys(found))

    def scopes(self, path: str) -> tuple[Scope, ...] | None:
        """Scopes of keys; absent is not the same as empty."""
        found = self._find(path)
        if found is None:
            return None
        try:
            return read_scopes(found)
        except ValueError as error:
            self.faults.append(f"{path}: {error}")
            return ()

    def role(self, path: str, arn: str | None) -> None:
        """Note a fault where a role's annotation holds something that is no role."""
        if arn is None:
            return
        try:
            parsed = Arn.parse(arn)
        except ValueError:
            parsed = None
        if (
            parsed is None
            or parsed.service != "iam"
            or not parsed.resource.removeprefix("role/")
            or (not parsed.resource.startswith("role/"))
        ):
            self.faults.append(f"{path}: {ROLE_ANNOTATION}: expected arn:aws:iam::<account>:role/<name>, found {arn!r}")

    def _find(self, path: str) -> object:
        found: object = self._document
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return found


_WORDS: Mapping[type, str] = {str: "a string", bool: "true or false", dict: "a mapping", list: "a list"}
