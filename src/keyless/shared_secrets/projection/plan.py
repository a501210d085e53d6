"""What the Space's shared resources become inside one control plane. Pure.

A SharedSecretStore becomes a ClusterSecretStore that names it and nothing else: credentials stay outside. A
SharedExternalSecret becomes a ClusterExternalSecret. ``names`` and ``labelSelectors`` of a selector are both asked for
when both are given.

Texts: https://docs.upbound.io/spaces (Secrets Management)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keyless.kube import KubeObject, Resource
from keyless.kube.resources import (
    CLUSTEREXTERNALSECRETS,
    CLUSTERSECRETSTORES,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
)
from keyless.shared_secrets.stores.plan import NAMESPACE_NAME, selects

SOURCE_LABEL = "keyless.dev/shared-from"
"""On every projected object: the name of its shared resource."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A shared kind and what it becomes."""

    shared: Resource
    projected: Resource
    total_annotation: str


STORES = Kind(
    SHAREDSECRETSTORES,
    CLUSTERSECRETSTORES,
    "sharedsecretstores.internal.spaces.upbound.io/provisioned-total",
)
EXTERNAL_SECRETS = Kind(
    SHAREDEXTERNALSECRETS,
    CLUSTEREXTERNALSECRETS,
    "sharedexternalsecrets.internal.spaces.upbound.io/provisioned-total",
)


@dataclass(frozen=True, slots=True)
class Projection:
    """What to do for one shared resource: ``apply`` None means that nothing may stand."""

    apply: KubeObject | None
    delete: tuple[KubeObject, ...]
    refused: str = ""


def project(
    kind: Kind, name: str, shared: KubeObject | None, control_plane: KubeObject, existing: Iterable[KubeObject]
) -> Projection:
    """Return what becomes of the shared resource ``name`` (None: it is gone) among the ``existing`` objects."""
    held = list(existing)
    wanted = _wanted(kind, shared, control_plane)
    target = wanted["metadata"]["name"] if wanted else ""
    ours = [item for item in held if _source(item) == name]
    stale = tuple(item for item in ours if item["metadata"]["name"] != target)
    taken = next((item for item in held if item["metadata"]["name"] == target and _source(item) != name), None)
    if wanted and taken:
        by = f"shared resource {_source(taken)!r}" if _source(taken) else "someone else"
        text = f"{kind.projected.kind} {target!r} exists in the control plane and belongs to {by}; rename one of them"
        return Projection(None, stale, text)
    return Projection(wanted, stale)


def _source(item: KubeObject) -> str:
    return str((item["metadata"].get("labels") or {}).get(SOURCE_LABEL, ""))


def _wanted(kind: Kind, shared: KubeObject | None, control_plane: KubeObject) -> KubeObject | None:
    if shared is None or shared["metadata"].get("deletionTimestamp"):
        return None
    metadata = control_plane["metadata"]
    if not selects(shared["spec"].get("controlPlaneSelector"), metadata["name"], metadata.get("labels") or {}):
        return None
    made = _store(shared) if kind is STORES else _external_secret(shared)
    labels = {**(made["metadata"].get("labels") or {}), SOURCE_LABEL: shared["metadata"]["name"]}
    return {
        "apiVersion": kind.projected.api_version,
        "kind": kind.projected.kind,
        **made,
        "metadata": {**made["metadata"], "labels": labels},
    }


def _store(shared: KubeObject) -> KubeObject:
    spec, name = shared["spec"], shared["metadata"]["name"]
    extra = spec.get("secretStoreMetadata") or {}
    selectors = namespace_selectors(spec.get("namespaceSelector"))
    made: KubeObject = {
        "provider": {"upboundspaces": {"storeRef": {"name": name}}},
        "conditions": [{"namespaceSelector": selector} for selector in selectors],
    }
    for field in ("refreshInterval", "retrySettings"):
        if spec.get(field) is not None:
            made[field] = spec[field]
    return {"metadata": _metadata(spec.get("secretStoreName") or name, extra), "spec": made}


def _external_secret(shared: KubeObject) -> KubeObject:
    spec, metadata = shared["spec"], shared["metadata"]
    made: KubeObject = {
        "externalSecretSpec": spec["externalSecretSpec"],
        "namespaceSelectors": namespace_selectors(spec.get("namespaceSelector")),
    }
    for field in ("externalSecretName", "externalSecretMetadata", "refreshTime"):
        if spec.get(field) is not None:
            made[field] = spec[field]
    forced = (metadata.get("annotations") or {}).get("external-secrets.io/force-sync")
    annotations = {"external-secrets.io/force-sync": forced} if forced else {}
    return {"metadata": _metadata(metadata["name"], {"annotations": annotations}), "spec": made}


def _metadata(name: str, extra: dict[str, Any]) -> KubeObject:
    made: KubeObject = {"name": name}
    for field in ("labels", "annotations"):
        if extra.get(field):
            made[field] = dict(extra[field])
    return made


def namespace_selectors(selector: dict[str, Any] | None) -> list[KubeObject]:
    """Return label selectors, of which one must match: names become an expression on the namespace's own name."""
    names, selectors = (selector or {}).get("names") or (), (selector or {}).get("labelSelectors") or ()
    if not names:
        return [dict(one) for one in selectors]
    by_name = {"key": NAMESPACE_NAME, "operator": "In", "values": sorted(names)}
    base: list[KubeObject] = list(selectors) or [{}]
    return [{**one, "matchExpressions": [*(one.get("matchExpressions") or ()), by_name]} for one in base]


def row(control_plane: str, refused: str, now: str) -> KubeObject:
    """Return this control plane's part of the shared resource's status; empty when it takes no part."""
    if not refused:
        return {"provisioned": [{"controlPlane": control_plane}]}
    condition = {
        "type": "Provisioned",
        "status": "False",
        "reason": "Failed",
        "message": refused,
        "lastTransitionTime": now,
    }
    return {"failed": [{"controlPlane": control_plane, "conditions": [condition]}]}


def row_of(status: KubeObject | None, control_plane: str) -> KubeObject:
    """Return this control plane's part as it stands."""
    found: KubeObject = {}
    for field in ("provisioned", "failed"):
        mine = [entry for entry in (status or {}).get(field) or () if entry.get("controlPlane") == control_plane]
        if mine:
            found[field] = mine
    return found


def same_row(first: KubeObject, second: KubeObject) -> bool:
    """Return whether two rows say the same, times aside."""
    return bool(_timeless(first) == _timeless(second))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key != "lastTransitionTime"}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return value
