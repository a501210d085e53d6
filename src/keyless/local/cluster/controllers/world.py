"""What controllers see and how they act: reads come from the store, writes take the whole path of a request.

Reading the store means that no controller ever decides on a stale copy: what it wrote is what it reads next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol

from keyless.api import Bug
from keyless.kube import Kube, KubeObject, Resource
from keyless.kube.transport import Request, Response, Stream
from keyless.local.cluster import messages
from keyless.local.cluster.cluster import Cluster
from keyless.local.cluster.store import Key
from keyless.local.cluster.users import AUTHENTICATED, MASTERS, User

CONTROLLERS = User("system:kube-controller-manager", (MASTERS, AUTHENTICATED))
_AGENT = {"user-agent": "kube-controller-manager"}


class Place(NamedTuple):
    """One object of one kind, in one cluster."""

    cluster: str
    namespace: str
    name: str


class World(Protocol):
    """One cluster as a controller sees it."""

    kube: Kube

    def get(self, res: Resource, name: str, namespace: str = "") -> KubeObject | None:
        """The object as it is now."""
        ...

    def list(self, res: Resource, namespace: str | None = None) -> list[KubeObject]:
        """All objects as they are now."""
        ...

    def content(self, namespace: str) -> Mapping[Resource, Sequence[KubeObject]]:
        """Everything in a namespace, of whichever kind, custom ones included."""
        ...

    def now(self) -> datetime:
        """The time."""
        ...


class ClusterWorld:
    """One logical cluster of the process."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.kube = Kube(_InProcess(cluster, name))
        self._cluster = cluster
        self._name = name

    def get(self, res: Resource, name: str, namespace: str = "") -> KubeObject | None:
        """From the store."""
        entry = self._cluster.store.get(Key(self._name, res.group, res.plural, namespace, name))
        return entry.object if entry else None

    def list(self, res: Resource, namespace: str | None = None) -> list[KubeObject]:
        """From the store."""
        return [entry.object for entry in self._cluster.store.list(self._name, res.group, res.plural, namespace)]

    def content(self, namespace: str) -> Mapping[Resource, Sequence[KubeObject]]:
        """From the store: whatever it holds, served or not."""
        store, found = self._cluster.store, {}
        for group, plural in store.resources(self._name):
            objects = [entry.object for entry in store.list(self._name, group, plural, namespace)]
            if objects:
                found[resource_of(group, plural, objects[0])] = objects
        return found

    def now(self) -> datetime:
        """The cluster's own clock."""
        return self._cluster.settings.now()


def resource_of(group: str, plural: str, obj: KubeObject) -> Resource:
    """The resource of a stored object, in the version it is stored in."""
    version = obj["apiVersion"].rpartition("/")[2]
    return Resource(group, version, plural, obj["kind"], namespaced="namespace" in obj["metadata"])


class _InProcess:
    """Requests without a socket, as the controllers' own user."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name

    async def send(self, request: Request) -> Response:
        """Through authorisation, admission, validation and storage."""
        headers = {**request.headers, **_AGENT}
        reply = await self._cluster.answer(
            messages.Request(
                self._name, request.method, request.path, CONTROLLERS, request.params, headers, request.body or b""
            )
        )
        return Response(reply.status, {**reply.headers, "content-type": reply.media_type}, reply.body)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Controllers subscribe to the store instead."""
        raise Bug(f"{request.subject}: controllers do not watch over requests")

    async def aclose(self) -> None:
        """Nothing is open."""
