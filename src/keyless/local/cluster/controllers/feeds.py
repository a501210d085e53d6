"""Which keys of which controllers a change of the store concerns. Reads, never writes or waits.

Level-based: a feed may name a key too often, for a pass that finds nothing to do costs little; it must never name one
too seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from keyless.kube import KubeObject, Resource
from keyless.kube.resources import (
    CONFIGMAPS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    LOGICALCLUSTERS,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICEACCOUNTS,
)
from keyless.local.cluster.controllers.account_tokens.plan import account_of
from keyless.local.cluster.controllers.accounts.plan import ACCOUNT, ROOT_CA
from keyless.local.cluster.controllers.claims.plan import volume_name
from keyless.local.cluster.controllers.garbage.graph import Graph
from keyless.local.cluster.controllers.owners import controller_of
from keyless.local.cluster.controllers.world import Place
from keyless.local.cluster.store import Change, Key, Store

Wake = tuple[str, Place]
"""A controller's name and the key to run."""


class Feeds:
    """For one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table: Mapping[tuple[str, str], Callable[[Change], Iterator[Wake]]] = {
            _pair(DEPLOYMENTS): self._itself("deployment"),
            _pair(REPLICASETS): self._of_replica_set,
            _pair(DAEMONSETS): self._itself("daemonset"),
            _pair(PODS): self._of_pod,
            _pair(NODES): self._of_node,
            _pair(NAMESPACES): self._of_namespace,
            _pair(SERVICEACCOUNTS): self._of_account,
            _pair(CONFIGMAPS): self._of_account,
            _pair(SECRETS): self._of_secret,
            _pair(PERSISTENTVOLUMECLAIMS): self._of_claim,
            _pair(PERSISTENTVOLUMES): self._of_volume,
            _pair(CRDS): self._itself("definition"),
            _pair(LOGICALCLUSTERS): self._itself("logicalcluster"),
        }

    def wakes(self, change: Change) -> Iterable[Wake]:
        """Every key the change concerns, but for garbage collection."""
        key = change.entry.key
        feed = self._table.get((key.group, key.resource))
        if feed is not None:
            yield from feed(change)
        if key.namespace and change.type != "ADDED" and self._is_ending(key):
            yield "namespace", Place(key.cluster, "", key.namespace)

    def _itself(self, controller: str) -> Callable[[Change], Iterator[Wake]]:
        def feed(change: Change) -> Iterator[Wake]:
            yield controller, _place(change)

        return feed

    def _of_replica_set(self, change: Change) -> Iterator[Wake]:
        if not _is_status_alone(change):
            yield "replicaset", _place(change)
        yield from self._to_controller(change, {DEPLOYMENTS: "deployment"})

    def _of_pod(self, change: Change) -> Iterator[Wake]:
        yield from self._to_controller(change, {REPLICASETS: "replicaset", DAEMONSETS: "daemonset"})
        if change.type == "DELETED":  # Recreate waits for the last old pod
            yield from self._all(change.entry.key, DEPLOYMENTS, "deployment")

    def _of_node(self, change: Change) -> Iterator[Wake]:
        key = change.entry.key
        for entry in self._store.list(key.cluster, DAEMONSETS.group, DAEMONSETS.plural):
            yield "daemonset", Place(key.cluster, entry.key.namespace, entry.key.name)

    def _of_namespace(self, change: Change) -> Iterator[Wake]:
        key = change.entry.key
        if "deletionTimestamp" in change.entry.object["metadata"]:
            yield "namespace", _place(change)
        elif change.type != "DELETED":
            yield "accounts", Place(key.cluster, "", key.name)

    def _of_account(self, change: Change) -> Iterator[Wake]:
        key = change.entry.key
        if key.name in {ACCOUNT, ROOT_CA}:
            yield "accounts", Place(key.cluster, "", key.namespace)
        if key.resource == SERVICEACCOUNTS.plural and change.type == "DELETED":
            for entry in self._store.list(key.cluster, SECRETS.group, SECRETS.plural, key.namespace):
                if account_of(entry.object) == key.name:
                    yield "accounttoken", Place(key.cluster, key.namespace, entry.key.name)

    def _of_secret(self, change: Change) -> Iterator[Wake]:
        if account_of(change.entry.object) and change.type != "DELETED":
            yield "accounttoken", _place(change)

    def _of_claim(self, change: Change) -> Iterator[Wake]:
        yield "claim", _place(change)
        if change.type == "DELETED":
            yield "volume", Place(change.entry.key.cluster, "", volume_name(change.entry.object))

    def _of_volume(self, change: Change) -> Iterator[Wake]:
        reference = change.entry.object["spec"].get("claimRef") or {}
        yield "volume", _place(change)
        if reference:
            place = Place(change.entry.key.cluster, reference.get("namespace", ""), reference.get("name", ""))
            yield "claim", place

    def _to_controller(self, change: Change, kinds: Mapping[Resource, str]) -> Iterator[Wake]:
        """To the object's controller, before and after; without one, to all that might adopt it."""
        key = change.entry.key
        for obj in (change.entry.object, change.old.object if change.old else None):
            reference = controller_of(obj) if obj else None
            for res, controller in kinds.items():
                if reference and reference["kind"] == res.kind:
                    yield controller, Place(key.cluster, key.namespace, reference["name"])
        if controller_of(change.entry.object) is None and change.type != "DELETED":
            for res, controller in kinds.items():
                yield from self._all(key, res, controller)

    def _all(self, key: Key, res: Resource, controller: str) -> Iterator[Wake]:
        for entry in self._store.list(key.cluster, res.group, res.plural, key.namespace):
            yield controller, Place(key.cluster, key.namespace, entry.key.name)

    def _is_ending(self, key: Key) -> bool:
        entry = self._store.get(Key(key.cluster, NAMESPACES.group, NAMESPACES.plural, "", key.namespace))
        return entry is not None and "deletionTimestamp" in entry.object["metadata"]


def garbage(graph: Graph, change: Change) -> Iterable[Key]:
    """Whom garbage collection must look at; ``graph`` knows the change already."""
    entry, cluster = change.entry, change.entry.key.cluster
    metadata = entry.object["metadata"]
    if change.type == "DELETED":
        yield from graph.dependents(cluster, metadata["uid"])
    elif metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
        yield entry.key
    for reference in (*_references(entry.object), *(_references(change.old.object) if change.old else ())):
        # An owner that waits for its dependents looks again when one of them changes.
        owner = graph.find(cluster, reference["uid"])
        if owner is not None and (change.type == "DELETED" or change.old is not None):
            yield owner


def _is_status_alone(change: Change) -> bool:
    """Whether nothing but the status changed: a controller need not answer what it said itself, over and over."""
    if change.type != "MODIFIED" or change.old is None:
        return False
    return _without_status(change.entry.object) == _without_status(change.old.object)


def _without_status(obj: KubeObject) -> KubeObject:
    metadata = {key: obj["metadata"][key] for key in obj["metadata"] if key not in {"resourceVersion", "managedFields"}}
    return {**obj, "metadata": metadata, "status": None}


def _references(obj: KubeObject) -> Iterable[KubeObject]:
    return obj["metadata"].get("ownerReferences") or ()


def _pair(res: Resource) -> tuple[str, str]:
    return res.group, res.plural


def _place(change: Change) -> Place:
    key = change.entry.key
    return Place(key.cluster, key.namespace, key.name)
