"""What an object tells of itself: the labels that Crossplane and its owner put there, its owner, its composition. Pure.

Crossplane's labels and fields: ``docs/reference/facts/crossplane-dimensions.md``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyless.billing.ledger.model import Gvk, HashedOnce, Meter, hashed_once
from keyless.kube import KubeObject

COMPOSITE = "crossplane.io/composite"
CLAIM = "crossplane.io/claim-name"
CLAIM_NAMESPACE = "crossplane.io/claim-namespace"
OPERATIONS = "operations.ops.crossplane.io"
METERS = {"managed": Meter.MANAGED, "composite": Meter.COMPOSITE, "claim": Meter.CLAIM}
"""By a definition's category: managed resources by their providers, the others by Crossplane for each XRD."""
VALUE_LIMIT = 253
"""Characters of a name or a label's value; Kubernetes itself allows no more."""
REFERENCES_LIMIT = 10_000
"""Resources that one composite may name."""
PACKAGES = ("Provider", "Configuration", "Function", "ProviderRevision", "ConfigurationRevision")


@hashed_once
@dataclass(frozen=True, slots=True)
class Traits(HashedOnce):
    """What an object tells; None is what it does not. ``owner`` is its controller's uid, a composite's its own."""

    namespace: str | None = None
    composite: str | None = None
    claim: str | None = None
    claim_namespace: str | None = None
    labels: tuple[str | None, ...] = ()
    owner: str = ""
    composition: str | None = None
    """Only a claim tells it by itself."""
    cut: bool = False
    """Whether a value was too long to be carried."""


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite resource: its composition, the composite that it is part of, and what it refers to."""

    uid: str
    name: str
    composition: str | None
    parent: str
    parts: tuple[tuple[Gvk, int], ...] = ()


def traits_of(obj: KubeObject, meter: Meter, labels: Sequence[str]) -> Traits:
    """Read an object, whose metadata may be all there is of it."""
    metadata = _mapping(obj.get("metadata"))
    told = _mapping(metadata.get("labels"))
    name, namespace = metadata.get("name"), metadata.get("namespace")
    composite, claim, claim_namespace = told.get(COMPOSITE), told.get(CLAIM), told.get(CLAIM_NAMESPACE)
    owner, composition = _controller(metadata), None
    if meter is Meter.COMPOSITE:
        owner, composite = _text(metadata.get("uid")) or "", composite or name
    elif meter is Meter.CLAIM:
        spec = _mapping(obj.get("spec"))
        claim, claim_namespace = name, namespace
        composite = composite or _mapping(spec.get("resourceRef")).get("name")
        composition = _mapping(spec.get("compositionRef")).get("name")
    found = [namespace, composite, claim, claim_namespace, composition, *(told.get(key) for key in labels)]
    texts = [_text(value) for value in found]
    cut = any(value is not None and text is None for value, text in zip(found, texts, strict=True))
    return Traits(texts[0], texts[1], texts[2], texts[3], tuple(texts[5:]), owner, texts[4], cut)


def composite_of(obj: KubeObject) -> Composite:
    """Read a composite: of Crossplane 1 (``spec``) or 2 (``spec.crossplane``)."""
    metadata, spec = _mapping(obj.get("metadata")), _mapping(obj.get("spec"))
    spec = _mapping(spec.get("crossplane")) or spec
    references = spec.get("resourceRefs")
    parts: Counter[Gvk] = Counter()
    for each in (references if isinstance(references, list) else [])[:REFERENCES_LIMIT]:
        if (gvk := _referred(_mapping(each))) is not None:
            parts[gvk] += 1
    return Composite(
        _text(metadata.get("uid")) or "",
        _text(metadata.get("name")) or "",
        _text(_mapping(spec.get("compositionRef")).get("name")),
        _controller(metadata),
        tuple(sorted(parts.items())),
    )


def meter_of(name: str, categories: Sequence[str]) -> Meter | None:
    """What the instances of a definition count as; None: nothing."""
    if name == OPERATIONS:
        return Meter.OPERATION
    return next((meter for category, meter in METERS.items() if category in categories), None)


def package_of(metadata: Mapping[str, Any]) -> str | None:
    """The package that a definition belongs to, by its owners: its name, else that of its revision."""
    owners = [_mapping(each) for each in _list(metadata.get("ownerReferences"))]
    for kind in PACKAGES:
        for owner in owners:
            if owner.get("kind") == kind and str(owner.get("apiVersion", "")).startswith("pkg.crossplane.io/"):
                return _text(owner.get("name"))
    return None


def _referred(reference: Mapping[str, Any]) -> Gvk | None:
    version, kind = reference.get("apiVersion"), _text(reference.get("kind"))
    # A reference without a name is one that is still to be made.
    if not isinstance(version, str) or not version or kind is None or not reference.get("name"):
        return None
    group, _, name = version.rpartition("/")
    return Gvk(group[:VALUE_LIMIT], name[:VALUE_LIMIT], kind)


def _controller(metadata: Mapping[str, Any]) -> str:
    for owner in _list(metadata.get("ownerReferences")):
        if _mapping(owner).get("controller") is True:
            return _text(owner.get("uid")) or ""
    return ""


def _text(value: Any) -> str | None:
    # Ten thousand resources name the same composites, claims and teams: each name is in memory once.
    return sys.intern(value) if isinstance(value, str) and 0 < len(value) <= VALUE_LIMIT else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
