"""What workload controllers ask about pods. Pure.

Rules: https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/ (scaling down: which pods go first)
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import orjson

from keyless.api.numbers import whole_number
from keyless.kube import KubeObject, condition_of

HASH_LABEL = "pod-template-hash"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so no words; as in generated names
_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def is_active(pod: KubeObject) -> bool:
    """Whether the pod counts as a replica: neither finished nor going."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in {"Succeeded", "Failed"} and not pod["metadata"].get("deletionTimestamp")


def ready_since(pod: KubeObject) -> datetime | None:
    """Since when the pod is ready, if it is."""
    condition = condition_of((pod.get("status") or {}).get("conditions"), "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    return moment(condition.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"])


def is_available(pod: KubeObject, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for long enough."""
    since = ready_since(pod)
    return since is not None and (not min_ready_seconds or since + timedelta(seconds=min_ready_seconds) <= now)


def first_to_go(pods: Iterable[KubeObject]) -> list[KubeObject]:
    """Pods in the order in which scaling down removes them: those least missed first."""
    chosen = list(pods)
    crowd = Counter((pod.get("spec") or {}).get("nodeName") for pod in chosen)

    def rank(pod: KubeObject) -> tuple[object, ...]:
        node = (pod.get("spec") or {}).get("nodeName")
        status, since = pod.get("status") or {}, ready_since(pod)
        return (
            bool(node),
            _PHASE_RANK.get(status.get("phase", ""), 1),
            since is not None,
            _cost(pod),
            -crowd[node],
            -since.timestamp() if since else 0.0,
            -max((one.get("restartCount", 0) for one in status.get("containerStatuses") or ()), default=0),
            -moment(pod["metadata"]["creationTimestamp"]).timestamp(),
            pod["metadata"]["name"],
        )

    return sorted(chosen, key=rank)


def pod_from(template: KubeObject, owner: KubeObject, reference: KubeObject) -> KubeObject:
    """A new pod of ``owner`` after its template."""
    wanted = template.get("metadata") or {}
    metadata: KubeObject = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [reference],
    }
    metadata |= {key: wanted[key] for key in ("labels", "annotations", "finalizers") if wanted.get(key)}
    return {"metadata": metadata, "spec": template["spec"]}


def template_hash(template: KubeObject, collisions: int | None = None) -> str:
    """A name for the template; another one after each collision. Not Kubernetes' own value, which hashes Go structs."""
    text = orjson.dumps(template, option=orjson.OPT_SORT_KEYS) + (str(collisions).encode() if collisions else b"")
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    letters = ""
    while len(letters) < 10:
        number, rest = divmod(number, len(_SAFE))
        letters += _SAFE[rest]
    return letters


def same_template(one: KubeObject, other: KubeObject) -> bool:
    """Whether two templates differ in nothing but the hash label."""
    return _without_hash(one) == _without_hash(other)


def moment(text: str) -> datetime:
    """A Kubernetes time."""
    return datetime.fromisoformat(text)


def _without_hash(template: KubeObject) -> KubeObject:
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)  # Go clients send it as null
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _cost(pod: KubeObject) -> int:
    try:
        return whole_number((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0
