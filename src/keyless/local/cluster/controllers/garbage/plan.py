"""Decide what becomes of an object when its owners go, or of an owner that waits for its dependents. Pure.

Rules: https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from keyless.kube import KubeObject
from keyless.kube.model import Propagation

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

OwnerState = Literal["solid", "waiting", "absent", "unresolvable"]


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave it, without the references in ``drop`` (uids)."""

    drop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete it."""

    propagation: Propagation


def fate(obj: KubeObject, state: Callable[[KubeObject], OwnerState], *, has_dependents: bool) -> Keep | Delete:
    """What becomes of an object with owners; ``state`` tells of each reference what its owner is doing."""
    references = obj["metadata"].get("ownerReferences") or ()
    if not references or obj["metadata"].get("deletionTimestamp"):
        return Keep()
    states = {reference["uid"]: state(reference) for reference in references}
    if any(found in {"solid", "unresolvable"} for found in states.values()):
        return Keep(frozenset(uid for uid, found in states.items() if found in {"absent", "waiting"}))
    if "waiting" in states.values() and has_dependents:
        return Delete("Foreground")  # the owner waits for us, so we wait for ours
    finalizers = obj["metadata"].get("finalizers") or ()
    return Delete("Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background")


def owner_state(reference: KubeObject, owner: KubeObject | None, dependent: KubeObject) -> OwnerState:
    """``owner`` is the object with the reference's uid. A name alone proves nothing: it may be a successor's."""
    inside = dependent["metadata"].get("namespace")
    if owner is None:
        return "absent"
    names_differ = (owner["metadata"]["name"], owner["kind"]) != (reference["name"], reference["kind"])
    outside = owner["metadata"].get("namespace")
    if names_differ:
        return "absent"
    if outside and not inside:
        return "unresolvable"  # a cluster-wide object cannot be owned from a namespace: never collected
    if outside and outside != inside:
        return "absent"
    waits = owner["metadata"].get("deletionTimestamp") and FOREGROUND in (owner["metadata"].get("finalizers") or ())
    return "waiting" if waits and reference.get("blockOwnerDeletion") else "solid"


@dataclass(frozen=True, slots=True)
class Farewell:
    """What an owner that is marked as deleted needs: dependents orphaned, or deleted, or its finalizer removed."""

    orphan: tuple[KubeObject, ...] = ()
    attend: tuple[KubeObject, ...] = ()
    finalizer: str | None = None


def farewell(owner: KubeObject, dependents: Sequence[KubeObject]) -> Farewell:
    """The next step for a marked owner."""
    metadata = owner["metadata"]
    finalizers = metadata.get("finalizers") or ()
    if not metadata.get("deletionTimestamp"):
        return Farewell()
    if ORPHAN in finalizers:
        return Farewell(orphan=tuple(dependents), finalizer=ORPHAN)
    if FOREGROUND not in finalizers:
        return Farewell()
    blocking = any(_blocks(dependent, metadata["uid"]) for dependent in dependents)
    return Farewell(attend=tuple(dependents), finalizer=None if blocking else FOREGROUND)


def without_owners(obj: KubeObject, uids: frozenset[str]) -> KubeObject:
    """The merge patch that drops these references; the version guards against a change in between."""
    kept = [ref for ref in obj["metadata"].get("ownerReferences") or () if ref["uid"] not in uids]
    version = obj["metadata"]["resourceVersion"]
    return {"metadata": {"ownerReferences": kept or None, "resourceVersion": version}}


def without_finalizer(obj: KubeObject, name: str) -> KubeObject:
    """The merge patch that drops a finalizer."""
    kept = [one for one in obj["metadata"].get("finalizers") or () if one != name]
    return {"metadata": {"finalizers": kept or None, "resourceVersion": obj["metadata"]["resourceVersion"]}}


def _blocks(dependent: KubeObject, uid: str) -> bool:
    return any(
        ref["uid"] == uid and ref.get("blockOwnerDeletion")
        for ref in dependent["metadata"].get("ownerReferences") or ()
    )
