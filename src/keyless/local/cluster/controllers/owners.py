"""Who controls whom: owner references, adoption and release. Pure.

Rules: https://github.com/kubernetes/design-proposals-archive/blob/main/api-machinery/controller-ref.md
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyless.kube import KubeObject, Resource
from keyless.kube.selectors import matches


def controller_reference(owner: KubeObject, res: Resource) -> KubeObject:
    """The reference that makes ``owner`` the controller of whoever carries it."""
    return {
        "apiVersion": res.api_version,
        "kind": res.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: KubeObject) -> KubeObject | None:
    """The reference to the object's controller, if it has one."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def is_controlled_by(obj: KubeObject, owner: KubeObject) -> bool:
    """Whether ``owner`` (this very object, not a namesake) controls ``obj``."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an owner has, gains and gives up among the candidates."""

    owned: tuple[KubeObject, ...]
    adopted: tuple[KubeObject, ...]
    released: tuple[KubeObject, ...]

    @property
    def all(self) -> tuple[KubeObject, ...]:
        """Those that count: owned and adopted."""
        return (*self.owned, *self.adopted)


def claim(owner: KubeObject, candidates: Iterable[KubeObject]) -> Claim:
    """Divide the candidates; an owner that is being deleted claims nothing new, nor does it let go."""
    selector = owner["spec"].get("selector")
    leaving = bool(owner["metadata"].get("deletionTimestamp"))
    owned: list[KubeObject] = []
    adopted: list[KubeObject] = []
    released: list[KubeObject] = []
    for candidate in candidates:
        fits = matches(selector, candidate["metadata"].get("labels"))
        if is_controlled_by(candidate, owner):
            (owned if fits or leaving else released).append(candidate)
        elif fits and not leaving and controller_of(candidate) is None and not is_leaving(candidate):
            adopted.append(candidate)
    return Claim(tuple(owned), tuple(adopted), tuple(released))


def is_leaving(obj: KubeObject) -> bool:
    """Whether the object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def adoption(child: KubeObject, owner: KubeObject, res: Resource) -> KubeObject:
    """The merge patch that gives ``child`` its controller; the version guards against a change in between."""
    references = [*(child["metadata"].get("ownerReferences") or ()), controller_reference(owner, res)]
    return _guarded(child, references)


def release(child: KubeObject, owner: KubeObject) -> KubeObject:
    """The merge patch that takes ``owner`` off ``child``."""
    uid = owner["metadata"]["uid"]
    references = [ref for ref in child["metadata"].get("ownerReferences") or () if ref["uid"] != uid]
    return _guarded(child, references)


def _guarded(child: KubeObject, references: list[KubeObject]) -> KubeObject:
    metadata = child["metadata"]
    return {"metadata": {"ownerReferences": references or None, "resourceVersion": metadata["resourceVersion"]}}
