"""Objects that the operator wants to exist, and whether what exists is what it wants. Pure.

Each wanted object carries a stamp of its own content. A live object needs an apply when the stamp differs (we changed
our mind, also about what is no longer there) or when it no longer holds what we want (someone else changed it).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from keyless.kube import KubeObject, Resource

FIELD_MANAGER = "spaces-operator"
STAMP = "keyless.dev/applied"
CONTROL_PLANE_LABEL = "keyless.dev/control-plane-id"
OURS = {"app.kubernetes.io/managed-by": FIELD_MANAGER}


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object lives; ``namespace`` is empty for cluster-scoped objects."""

    resource: Resource
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.kind} {self.name}{place}"


@dataclass(frozen=True, slots=True)
class Item:
    """A wanted object."""

    resource: Resource
    object: KubeObject = field(hash=False)

    @property
    def key(self) -> Key:
        """Where it lives."""
        metadata = self.object["metadata"]
        return Key(self.resource, metadata["name"], metadata.get("namespace", ""))


def item(resource: Resource, name: str, namespace: str = "", /, **content: Any) -> Item:
    """A stamped item; ``labels``, ``annotations`` and ``owners`` go into its metadata, the rest beside it."""
    labels = {**content.pop("labels", {}), **OURS}
    annotations = content.pop("annotations", {})
    owners = content.pop("owners", ())
    metadata: KubeObject = {"name": name, "labels": labels, "annotations": annotations}
    if namespace:
        metadata["namespace"] = namespace
    if owners:
        metadata["ownerReferences"] = list(owners)
    bare = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **content}
    stamp = hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()[:16]
    return Item(resource, {**bare, "metadata": {**metadata, "annotations": {**annotations, STAMP: stamp}}})


def needs_apply(wanted: Item, live: KubeObject | None) -> bool:
    """Whether applying ``wanted`` would change anything that we care for."""
    if live is None:
        return True
    stamp = wanted.object["metadata"]["annotations"][STAMP]
    return (live["metadata"].get("annotations") or {}).get(STAMP) != stamp or not covers(live, wanted.object)


def covers(live: Any, wanted: Any) -> bool:
    """Whether ``live`` holds all of ``wanted``; lists must have as many items, in the same order."""
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return not wanted and live is None
        return all(covers(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(live, list):
            return not wanted and live is None
        return len(live) == len(wanted) and all(covers(*pair) for pair in zip(live, wanted, strict=True))
    return bool(live == wanted)


def is_ours(live: KubeObject) -> bool:
    """Whether the operator made ``live``."""
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in OURS.items())
