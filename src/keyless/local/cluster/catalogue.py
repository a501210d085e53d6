"""Which resources a cluster serves: the built-in ones and those of its CustomResourceDefinitions.

A catalogue is a value, made anew when a CRD of its cluster changes; its ``digest`` is what discovery and OpenAPI use
as their ETag, so clients see a new resource at their next look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from keyless.api.numbers import is_digits
from keyless.local.cluster.apply import Shape, schema_shape
from keyless.local.cluster.builtin import KINDS, Subresource
from keyless.local.cluster.schema import Structural
from keyless.local.cluster.store import Change, Store

CRD_GROUP = "apiextensions.k8s.io"
CRD_RESOURCE = "customresourcedefinitions"
CUSTOM_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CHANGE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Custom:
    """What only a resource of a CRD has."""

    definition: str
    schema: Structural
    shape: Shape
    openapi: Mapping[str, Any]
    """The version's schema as its author wrote it."""
    columns: tuple[Mapping[str, Any], ...]
    scale: Mapping[str, str] | None
    selectable: tuple[str, ...] = ()
    deprecation: str = ""
    """What is told with every answer about a version that its author calls deprecated; empty for the others."""
    conversion: Mapping[str, Any] | None = None
    """The ``webhook`` that turns one version into another, as written; None where they differ by name alone."""


@dataclass(frozen=True, slots=True)
class Served:
    """A resource in one version, as it is served."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CUSTOM_VERBS
    subresources: tuple[Subresource, ...] = ()
    storage_version: str = ""
    list_kind: str = ""
    custom: Custom | None = None

    @property
    def api_version(self) -> str:
        """``apps/v1``; ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_api_version(self) -> str:
        """The apiVersion that stored objects carry."""
        version = self.storage_version or self.version
        return f"{self.group}/{version}" if self.group else version

    @property
    def has_status(self) -> bool:
        """Whether ``status`` is written through its own subresource only."""
        return self.subresource("status") is not None

    @property
    def stored(self) -> bool:
        """False for reviews and bindings: they are answered, never kept."""
        return "get" in self.verbs

    def subresource(self, name: str) -> Subresource | None:
        """The part of the resource with that path."""
        return next((part for part in self.subresources if part.name == name), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All resources of one cluster."""

    resources: tuple[Served, ...]
    digest: str
    _index: Mapping[tuple[str, str, str], Served] = field(repr=False)

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """The resource at a path."""
        return self._index.get((group, version, plural))

    def any_version(self, group: str, plural: str) -> Served | None:
        """The resource in whichever version is served first."""
        return next((r for r in self.resources if (r.group, r.plural) == (group, plural)), None)

    def versions(self, group: str) -> list[str]:
        """The versions of a group, the preferred one first."""
        return list(dict.fromkeys(r.version for r in self.resources if r.group == group))

    def groups(self) -> list[str]:
        """All groups, the built-in ones first."""
        return list(dict.fromkeys(r.group for r in self.resources))


def catalogue_of(definitions: list[Mapping[str, Any]]) -> Catalogue:
    """Build the catalogue for a cluster with these CRDs."""
    served = [*BUILT_IN]
    for definition in definitions:
        served += served_by(definition)
    text = "\n".join(
        f"{r.api_version} {r.plural} {r.kind} {r.namespaced} {r.short_names} {r.categories} {r.subresources}"
        for r in served
    )
    digest = hashlib.sha512(text.encode())
    for one in served:
        if one.custom is not None:
            digest.update(orjson.dumps(one.custom.openapi))
    index = {(r.group, r.version, r.plural): r for r in served}
    return Catalogue(tuple(served), digest.hexdigest().upper(), index)


def served_by(definition: Mapping[str, Any]) -> list[Served]:
    """The resources that an established CRD adds, the preferred version first."""
    conditions = {c["type"]: c["status"] for c in definition.get("status", {}).get("conditions", [])}
    if conditions.get("Established") != "True":
        return []
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    storage = next(v["name"] for v in spec["versions"] if v.get("storage"))
    versions = sorted((v for v in spec["versions"] if v.get("served")), key=lambda v: version_order(v["name"]))
    return [
        Served(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            kind=names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            categories=tuple(names.get("categories", ())),
            subresources=_parts(spec["group"], version, names["kind"]),
            storage_version=storage,
            list_kind=names.get("listKind") or names["kind"] + "List",
            custom=_custom(definition, version),
        )
        for version in versions
    ]


def _parts(group: str, version: Mapping[str, Any], kind: str) -> tuple[Subresource, ...]:
    asked = version.get("subresources") or {}
    parts = []
    if asked.get("scale") is not None:
        parts.append(Subresource("scale", "Scale", "autoscaling", "v1", CHANGE))
    if asked.get("status") is not None:
        parts.append(Subresource("status", kind, group, version["name"], CHANGE))
    return tuple(parts)


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sort key that puts v2 before v1 before v1beta1 before v1alpha1 before foo, as Kubernetes prefers them."""
    digits, _, rest = version[1:].partition("beta")
    level = 1
    if not rest:
        digits, _, rest = version[1:].partition("alpha")
        level = 2 if rest else 0
    if not version.startswith("v") or not is_digits(digits) or (rest and not is_digits(rest)):
        return (3, 0, 0, version)
    return (level, -int(digits), -int(rest or 0), "")


def _custom(definition: Mapping[str, Any], version: Mapping[str, Any]) -> Custom:
    return Custom(
        definition["metadata"]["name"],
        Structural.compile(version["schema"]["openAPIV3Schema"]),
        schema_shape(version["schema"]["openAPIV3Schema"]),
        version["schema"]["openAPIV3Schema"],
        tuple(version.get("additionalPrinterColumns", ())),
        (version.get("subresources") or {}).get("scale"),
        tuple(field["jsonPath"] for field in version.get("selectableFields") or ()),
        _deprecation(definition, version),
        _conversion(definition),
    )


def _deprecation(definition: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    if not version.get("deprecated"):
        return ""
    spec = definition["spec"]
    own = version.get("deprecationWarning")
    return str(own) if own else f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"


def _conversion(definition: Mapping[str, Any]) -> Mapping[str, Any] | None:
    asked = definition["spec"].get("conversion") or {}
    if asked.get("strategy") != "Webhook":
        return None
    webhook: Mapping[str, Any] = asked.get("webhook") or {}
    return webhook


def _built_in() -> tuple[Served, ...]:
    return tuple(
        Served(
            group=kind.group,
            version=kind.version,
            plural=kind.plural,
            singular=kind.singular,
            kind=kind.kind,
            namespaced=kind.namespaced,
            short_names=tuple(kind.short_names),
            categories=tuple(kind.categories),
            verbs=tuple(kind.verbs),
            subresources=kind.subresources,
            storage_version=kind.version,
            list_kind=kind.kind + "List",
        )
        for kind in KINDS
    )


BUILT_IN = _built_in()


class Catalogues:
    """The catalogue of each cluster, kept until one of its CRDs changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Catalogue] = {}
        store.subscribe(self._forget)

    def of(self, cluster: str) -> Catalogue:
        """The cluster's catalogue now."""
        if cluster not in self._known:
            entries = self._store.list(cluster, CRD_GROUP, CRD_RESOURCE)
            self._known[cluster] = catalogue_of([entry.object for entry in entries])
        return self._known[cluster]

    def _forget(self, change: Change) -> None:
        key = change.entry.key
        if (key.group, key.resource) == (CRD_GROUP, CRD_RESOURCE):
            self._known.pop(key.cluster, None)
