"""Objects that the operator wants to exist. Pure.

Each wanted object carries a stamp of its own content: a live object with another one needs an apply, because we changed
our mind, also about what is no longer there. Whether it needs one otherwise, ``settling.py`` says.
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


def is_ours(live: KubeObject) -> bool:
    """Whether the operator made ``live``."""
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in OURS.items())
