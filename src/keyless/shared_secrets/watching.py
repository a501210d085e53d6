"""What the controllers see: the informers of both clusters, and which change asks for which work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from keyless.kube import Event, Informer, Kube, KubeObject, Name, condition_of, is_true, name_of
from keyless.kube.resources import (
    CLUSTEREXTERNALSECRETS,
    CLUSTERSECRETSTORES,
    CONTROLPLANES,
    EXTERNALSECRETS,
    NAMESPACES,
    PUSHSECRETS,
    SECRETS,
    SECRETSTORES,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
)
from keyless.shared_secrets.projection.plan import SOURCE_LABEL
from keyless.shared_secrets.settings import Settings
from keyless.shared_secrets.stores.classes import store_refs
from keyless.shared_secrets.stores.resolution import CLUSTER_SECRET_STORE, StoreRef
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.sync.target import CREATED_BY_LABEL, MANAGED_LABEL


class Watching:
    """All informers; implements the facts that store resolution asks for."""

    def __init__(self, settings: Settings, host: Kube, tenant: Kube) -> None:
        self._name, self._group = settings.control_plane_name, settings.control_plane_group
        self.control_planes = Informer(host, CONTROLPLANES, namespace=self._group, fields=f"metadata.name={self._name}")
        self.shared_stores = Informer(host, SHAREDSECRETSTORES, namespace=self._group)
        self.shared_external_secrets = Informer(host, SHAREDEXTERNALSECRETS, namespace=self._group)
        self.external_secrets = Informer(tenant, EXTERNALSECRETS)
        self.cluster_external_secrets = Informer(tenant, CLUSTEREXTERNALSECRETS)
        self.push_secrets = Informer(tenant, PUSHSECRETS)
        self.secret_stores = Informer(tenant, SECRETSTORES)
        self.cluster_secret_stores = Informer(tenant, CLUSTERSECRETSTORES)
        self.namespaces = Informer(tenant, NAMESPACES, metadata_only=True)
        # Only what we manage, and no values: a control plane may hold thousands of other Secrets.
        self.secrets = Informer(tenant, SECRETS, labels={MANAGED_LABEL: "true"}, metadata_only=True)
        self.targets = Targets(self.external_secrets)

    @property
    def all(self) -> tuple[Informer, ...]:
        """Every informer."""
        return (
            self.control_planes,
            self.shared_stores,
            self.shared_external_secrets,
            self.external_secrets,
            self.cluster_external_secrets,
            self.push_secrets,
            self.secret_stores,
            self.cluster_secret_stores,
            self.namespaces,
            self.secrets,
        )

    def store(self, ref: StoreRef, namespace: str) -> KubeObject | None:
        """Return the store of the control plane."""
        if ref.kind == CLUSTER_SECRET_STORE:
            return self.cluster_secret_stores.get(ref.name)
        return self.secret_stores.get(ref.name, namespace)

    def shared_store(self, name: str) -> KubeObject | None:
        """Return the SharedSecretStore of the group."""
        return self.shared_stores.get(name, self._group)

    def control_plane(self) -> KubeObject | None:
        """Return this controller's ControlPlane."""
        return self.control_planes.get(self._name, self._group)

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return a namespace's labels; its own name is always one."""
        found = self.namespaces.get(name) or {"metadata": {}}
        return {"kubernetes.io/metadata.name": name, **(found["metadata"].get("labels") or {})}

    def shared_of(self, external_secret: KubeObject) -> KubeObject | None:
        """Return the SharedExternalSecret that an ExternalSecret was made of."""
        for owner in external_secret["metadata"].get("ownerReferences") or ():
            if owner.get("kind") == "ClusterExternalSecret":
                cluster = self.cluster_external_secrets.get(owner["name"]) or {"metadata": {}}
                source = (cluster["metadata"].get("labels") or {}).get(SOURCE_LABEL)
                return self.shared_external_secrets.get(source, self._group) if source else None
        return None

    def made_of(self, shared: str) -> list[KubeObject]:
        """Return the ExternalSecrets that were made of a SharedExternalSecret."""
        found = ((one, self.shared_of(one)) for one in self.external_secrets.items())
        return [one for one, source in found if source and source["metadata"]["name"] == shared]

    def managed_secrets(self) -> int:
        """Return how many Secrets are managed."""
        return sum(1 for _ in self.secrets.items())

    def owned_secrets(self, namespace: str, owner_hash: str) -> list[str]:
        """Return the names of the Secrets that carry an ExternalSecret's hash."""
        return [
            item["metadata"]["name"]
            for item in self.secrets.items()
            if item["metadata"]["namespace"] == namespace
            and (item["metadata"].get("labels") or {}).get(CREATED_BY_LABEL) == owner_hash
        ]


class Targets:
    """Which ExternalSecrets write a Secret, by its name: for one that carries no owner, or lost it, or its label."""

    def __init__(self, external_secrets: Informer) -> None:
        self._writers: dict[Name, set[Name]] = {}
        external_secrets.on_change(self._changed)

    def writers(self, secret: Name) -> frozenset[Name]:
        """Return the ExternalSecrets whose target that Secret is."""
        return frozenset(self._writers.get(secret, ()))

    def _changed(self, event: Event) -> None:
        writer = name_of(event.object)
        if event.old is not None:
            self._drop(_target_of(event.old), writer)
        if event.type == "DELETED":
            self._drop(_target_of(event.object), writer)
        else:
            self._writers.setdefault(_target_of(event.object), set()).add(writer)

    def _drop(self, secret: Name, writer: Name) -> None:
        writers = self._writers.get(secret, set())
        writers.discard(writer)
        if not writers:
            self._writers.pop(secret, None)


def _target_of(external_secret: KubeObject) -> Name:
    own = name_of(external_secret)
    target = (external_secret.get("spec") or {}).get("target") or {}
    return Name(own.namespace, target.get("name") or own.name)


class Enqueue(Protocol):
    """A controller's queue."""

    def __call__(self, key: Name, /, *, urgent: bool = True) -> None:
        """Ask for a run."""
        ...


def on_target(informer: Informer, targets: Targets, enqueue: Enqueue) -> None:
    """Work on whatever writes a Secret that changed, went, or lost the label that it is watched by."""

    def changed(event: Event) -> None:
        for writer in targets.writers(name_of(event.object)):
            enqueue(writer, urgent=_is_others(event))

    informer.on_change(changed)


def on_object(informer: Informer, enqueue: Callable[[Name], None]) -> None:
    """Work on an object when a person changed it: what only our own status writes changed is no news."""

    def changed(event: Event) -> None:
        if is_news(event):
            enqueue(name_of(event.object))

    informer.on_change(changed)


def on_asked(informer: Informer, enqueue: Enqueue) -> None:
    """Work on what a person made or changed before all that time alone asks for, also among all that a restart shows.

    Whether it was synced as it stands is in its status: else ten thousand that are merely due would come first.
    """

    def changed(event: Event) -> None:
        if is_news(event):
            synced = (event.object.get("status") or {}).get("syncedResourceVersion")
            enqueue(name_of(event.object), urgent=synced != resource_version(event.object))

    informer.on_change(changed)


def on_told(informer: Informer, store: Enqueue, cluster_store: Enqueue) -> None:
    """Look at the stores of an ExternalSecret when a read found out what it may read."""

    def changed(event: Event) -> None:
        if _verdict_of(event.old) == _verdict_of(event.object):
            return
        for ref in store_refs(event.object.get("spec") or {}):
            if ref.kind == CLUSTER_SECRET_STORE:
                cluster_store(Name("", ref.name), urgent=False)
            else:
                store(Name(event.object["metadata"]["namespace"], ref.name), urgent=False)

    informer.on_change(changed)


def _verdict_of(external_secret: KubeObject | None) -> object:
    conditions = ((external_secret or {}).get("status") or {}).get("conditions")
    return (condition_of(conditions, "Authorized") or {}).get("status")


def on_any(informer: Informer, enqueue_all: Callable[[], None]) -> None:
    """Look at everything again when one of these changed, their status aside."""

    def changed(event: Event) -> None:
        if is_news(event):
            enqueue_all()

    informer.on_change(changed)


def on_owned(informer: Informer, kind: str, enqueue: Enqueue) -> None:
    """Work on the owner of what changed."""

    def changed(event: Event) -> None:
        metadata = event.object["metadata"]
        for owner in metadata.get("ownerReferences") or ():
            if owner.get("kind") == kind:
                enqueue(Name(metadata.get("namespace") or "", owner["name"]), urgent=_is_others(event))

    informer.on_change(changed)


def _is_others(event: Event) -> bool:
    # One that is new was made by the very loop that is asked: a look at each of a thousand must keep no one waiting.
    return event.type != "ADDED"


def on_ready(informer: Informer, recovered: Callable[[], None]) -> None:
    """Hear of each that was not Ready and is."""

    def changed(event: Event) -> None:
        known = event.old is not None and event.type != "DELETED"
        if known and is_true(event.object, "Ready") and not is_true(event.old or {}, "Ready"):
            recovered()

    informer.on_change(changed)


def is_news(event: Event) -> bool:
    """Return whether more than a status changed."""
    if event.old is None or event.type == "DELETED":
        return True
    return resource_version(event.old) != resource_version(event.object)
