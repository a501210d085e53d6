"""Decide what a namespace that ends still needs. Pure.

Rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/ ; the texts are those that
``kubectl describe namespace`` shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyless.kube import KubeObject, Resource, set_condition

FINALIZER = "kubernetes"
_DISCOVERED = (
    ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "False",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Delete all of it; when nothing is left, finish."""

    delete: tuple[tuple[Resource, KubeObject], ...]
    finish: bool


Content = Mapping[Resource, Sequence[KubeObject]]


def plan(namespace: KubeObject, content: Content) -> Plan:
    """Nothing for a namespace that stays. What is on its way out already is not asked twice."""
    if not namespace["metadata"].get("deletionTimestamp"):
        return Plan((), finish=False)
    going = [
        (res, obj) for res, found in content.items() for obj in found if not obj["metadata"].get("deletionTimestamp")
    ]
    waits = any(content.values())
    return Plan(tuple(going), finish=not waits and FINALIZER in (namespace.get("spec") or {}).get("finalizers", ()))


def status(namespace: KubeObject, content: Content, failures: Sequence[str], now: datetime) -> KubeObject:
    """Why it takes so long."""
    said = [*_DISCOVERED, _content(failures), _remaining(content), _finalizers(content)]
    conditions: list[KubeObject] = list((namespace.get("status") or {}).get("conditions") or ())
    for kind, word, reason, message in said:
        conditions = set_condition(conditions, kind, word, reason, message, now=now)
    return {"phase": "Terminating", "conditions": conditions}


def without_finalizer(namespace: KubeObject) -> KubeObject:
    """The namespace to send to its ``finalize`` subresource."""
    spec = namespace.get("spec") or {}
    return {**namespace, "spec": {**spec, "finalizers": [f for f in spec.get("finalizers") or () if f != FINALIZER]}}


def _content(failures: Sequence[str]) -> tuple[str, str, str, str]:
    kind = "NamespaceDeletionContentFailure"
    if failures:
        return kind, "True", "ContentDeletionFailed", "Failed to delete all resource types: " + "; ".join(failures)
    return kind, "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"


def _remaining(content: Content) -> tuple[str, str, str, str]:
    left = [f"{_named(res)} has {len(found)} resource instances" for res, found in content.items() if found]
    if left:
        message = f"Some resources are remaining: {', '.join(sorted(left))}"
        return "NamespaceContentRemaining", "True", "SomeResourcesRemain", message
    return "NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"


def _finalizers(content: Content) -> tuple[str, str, str, str]:
    count = Counter(f for found in content.values() for obj in found for f in obj["metadata"].get("finalizers") or ())
    if count:
        left = ", ".join(f"{name} in {number} resource instances" for name, number in sorted(count.items()))
        message = f"Some content in the namespace has finalizers remaining: {left}"
        return "NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", message
    message = "All content-preserving finalizers finished"
    return "NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", message


def _named(res: Resource) -> str:
    return f"{res.plural}.{res.group}"
