"""What a Deployment and its ReplicaSets say, as numbers and names. Pure.

Rules: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keyless.api.numbers import is_digits, whole_number
from keyless.kube import KubeObject
from keyless.local.cluster.controllers.pods import same_template

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NO_DEADLINE = 2**31 - 1
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
}


class Scale(NamedTuple):
    """One ReplicaSet's next number of pods."""

    replica_set: KubeObject
    replicas: int


@dataclass(frozen=True, slots=True)
class Sets:
    """The ReplicaSets of a Deployment: the one with its template, if there is one yet, and the others by age."""

    new: KubeObject | None
    old: tuple[KubeObject, ...]

    @property
    def all(self) -> tuple[KubeObject, ...]:
        """Old and new."""
        return (*self.old, self.new) if self.new else self.old


def sets_of(deployment: KubeObject, replica_sets: Iterable[KubeObject]) -> Sets:
    """Find the new one: the oldest with the same template, so that two never take turns."""
    by_age = sorted(replica_sets, key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]))
    template = deployment["spec"]["template"]
    new = next((rs for rs in by_age if same_template(rs["spec"]["template"], template)), None)
    return Sets(new, tuple(rs for rs in by_age if rs is not new))


def replicas(obj: KubeObject) -> int:
    """The wanted number."""
    wanted = obj["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def total(replica_sets: Iterable[KubeObject]) -> int:
    """The wanted number of all together."""
    return sum(replicas(rs) for rs in replica_sets)


def counted(replica_sets: Sequence[KubeObject], field: str) -> int:
    """A number of their statuses, summed."""
    return sum(int((rs.get("status") or {}).get(field) or 0) for rs in replica_sets)


def is_rolling(deployment: KubeObject) -> bool:
    """Whether the strategy is RollingUpdate, the default."""
    strategy: KubeObject = deployment["spec"].get("strategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def max_surge(deployment: KubeObject) -> int:
    """How many pods may exist beyond the wanted number."""
    return _limits(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: KubeObject) -> int:
    """How many pods may be missing; never more than there should be."""
    if not is_rolling(deployment) or replicas(deployment) == 0:
        return 0
    return min(_limits(deployment)[1], replicas(deployment))


def _limits(deployment: KubeObject) -> tuple[int, int]:
    """Surge rounds up, unavailable down; both zero could never move, so one pod may then be missing."""
    settings = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = scaled(settings.get("maxSurge", "25%"), replicas(deployment), up=True)
    unavailable = scaled(settings.get("maxUnavailable", "25%"), replicas(deployment), up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def scaled(value: int | str, whole: int, *, up: bool) -> int:
    """A number, or a percentage of ``whole``."""
    if isinstance(value, str) and value.endswith("%"):
        share = whole_number(value[:-1]) * whole / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value)


def revision(obj: KubeObject) -> int:
    """The revision in the annotations; 0 when there is none."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if is_digits(text) else 0


def annotated(obj: KubeObject, key: str) -> int | None:
    """A number in the annotations."""
    text = (obj["metadata"].get("annotations") or {}).get(key, "")
    return int(text) if is_digits(text) else None


def size_annotations(deployment: KubeObject) -> dict[str, str]:
    """What each ReplicaSet remembers of the Deployment's size, to see later that it was scaled."""
    wanted = replicas(deployment)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + max_surge(deployment))}


def copied_annotations(deployment: KubeObject) -> dict[str, str]:
    """The Deployment's annotations that its ReplicaSets carry too."""
    annotations = deployment["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if key not in _NOT_COPIED}
