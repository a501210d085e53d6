"""Decide where a ClusterExternalSecret puts ExternalSecrets. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keyless.kube import KubeObject
from keyless.kube.resources import CLUSTEREXTERNALSECRETS, EXTERNALSECRETS
from keyless.kube.selectors import matches

FORCE_SYNC = "external-secrets.io/force-sync"
FAILED = "one or more namespaces failed"
EXISTS = "external secret already exists in namespace"


@dataclass(frozen=True, slots=True)
class Spread:
    """What to do: objects to apply, namespaces that refuse, and objects of ours to delete."""

    name: str
    apply: tuple[KubeObject, ...]
    refused: tuple[tuple[str, str], ...]
    delete: tuple[KubeObject, ...]


def spread(cluster: KubeObject, namespaces: Iterable[KubeObject], existing: Iterable[KubeObject]) -> Spread:
    """Return the plan; ``existing`` are the ExternalSecrets of all namespaces."""
    spec, metadata = cluster["spec"], cluster["metadata"]
    name = spec.get("externalSecretName") or metadata["name"]
    chosen = [space["metadata"]["name"] for space in namespaces if _chosen(spec, space)]
    held = list(existing)
    by_place = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in held}
    apply, refused = [], []
    for namespace in sorted(chosen):
        found = by_place.get((namespace, name))
        if found is not None and not _owned(found, cluster):
            refused.append((namespace, EXISTS))
        else:
            apply.append(_external_secret(cluster, name, namespace))
    kept = {(namespace, name) for namespace in chosen}
    gone = [
        item
        for item in held
        if _owned(item, cluster) and (item["metadata"]["namespace"], item["metadata"]["name"]) not in kept
    ]
    return Spread(name, tuple(apply), tuple(refused), tuple(gone))


def _chosen(spec: KubeObject, namespace: KubeObject) -> bool:
    metadata = namespace["metadata"]
    if metadata.get("deletionTimestamp"):
        return False
    selectors = [*(spec.get("namespaceSelectors") or ())]
    if spec.get("namespaceSelector") is not None:
        selectors.append(spec["namespaceSelector"])
    # Every namespace carries its own name as a label; a server that is slow to add it must not change the answer.
    labels = {"kubernetes.io/metadata.name": metadata["name"], **(metadata.get("labels") or {})}
    return metadata["name"] in (spec.get("namespaces") or ()) or any(matches(one, labels) for one in selectors)


def _owned(item: KubeObject, cluster: KubeObject) -> bool:
    owners = item["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == cluster["metadata"]["uid"] and owner.get("controller") for owner in owners)


def _external_secret(cluster: KubeObject, name: str, namespace: str) -> KubeObject:
    spec, metadata = cluster["spec"], cluster["metadata"]
    extra = spec.get("externalSecretMetadata") or {}
    annotations = dict(extra.get("annotations") or {})
    forced = (metadata.get("annotations") or {}).get(FORCE_SYNC)
    if forced:
        annotations[FORCE_SYNC] = forced
    owner = {
        "apiVersion": CLUSTEREXTERNALSECRETS.api_version,
        "kind": CLUSTEREXTERNALSECRETS.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    made: KubeObject = {"name": name, "namespace": namespace, "ownerReferences": [owner]}
    if extra.get("labels"):
        made["labels"] = dict(extra["labels"])
    if annotations:
        made["annotations"] = annotations
    return {
        "apiVersion": EXTERNALSECRETS.api_version,
        "kind": EXTERNALSECRETS.kind,
        "metadata": made,
        "spec": spec["externalSecretSpec"],
    }
