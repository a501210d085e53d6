"""One set of controllers for all clusters of the process.

Each controller has one queue, keyed by cluster and object; the store's changes feed them. A logical cluster costs
nothing here but the entries of its objects in the garbage graph.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable

import structlog

from keyless.kube import Backoff, Controller
from keyless.local.cluster.cluster import Cluster
from keyless.local.cluster.controllers.account_tokens import controller as account_tokens
from keyless.local.cluster.controllers.accounts import controller as accounts
from keyless.local.cluster.controllers.claims import controller as claims
from keyless.local.cluster.controllers.daemonset import controller as daemonset
from keyless.local.cluster.controllers.deployment import controller as deployment
from keyless.local.cluster.controllers.feeds import Feeds, garbage
from keyless.local.cluster.controllers.garbage.controller import Collector
from keyless.local.cluster.controllers.garbage.graph import Graph
from keyless.local.cluster.controllers.logical_clusters import controller as logical_clusters
from keyless.local.cluster.controllers.logical_clusters.plan import Facts
from keyless.local.cluster.controllers.namespace import controller as namespace
from keyless.local.cluster.controllers.replicaset import controller as replicaset
from keyless.local.cluster.controllers.world import ClusterWorld, Place
from keyless.local.cluster.store import Change, Entry, Key
from keyless.tasks import Tasks

_Pass = Callable[[ClusterWorld, Place], Awaitable[float | None]]
_BACKOFF = Backoff(first_seconds=0.05, cap_seconds=30.0)
"""What refuses a write here is mostly another object, whose change wakes nobody: even refusals are tried again soon."""
_log = structlog.get_logger("keyless.local.cluster.controllers")


async def run_controllers(cluster: Cluster) -> None:
    """Run all controllers until cancelled; restarted after any end, they continue from what is stored."""
    controllers = _Controllers(cluster)
    unsubscribe = cluster.store.subscribe(controllers.accept)
    controllers.start_afresh()
    try:
        await controllers.run()
    finally:
        unsubscribe()


class _Controllers:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._graph = Graph()
        self._feeds = Feeds(cluster.store)
        collector = Collector(cluster.store, self._graph)
        self._garbage: Controller[Key] = Controller("garbage", self._for_key(collector.reconcile))
        self._by_name = {
            name: Controller(name, self._for_place(work), backoff=_BACKOFF, resync_seconds=_BACKOFF.cap_seconds)
            for name, work in self._passes().items()
        }

    def _passes(self) -> dict[str, _Pass]:
        settings, cluster = self._cluster.settings, self._cluster
        facts = Facts(settings.server_url, settings.ca_pem, settings.host)

        async def account(world: ClusterWorld, place: Place) -> None:
            await accounts.reconcile(world, place.name, settings.ca_pem)

        async def account_token(world: ClusterWorld, place: Place) -> None:
            await account_tokens.reconcile(world, cluster, place)

        async def claim(world: ClusterWorld, place: Place) -> None:
            await claims.reconcile_claim(world, place.namespace, place.name)

        async def volume(world: ClusterWorld, place: Place) -> None:
            await claims.reconcile_volume(world, place.name)

        async def logical_cluster(world: ClusterWorld, place: Place) -> None:
            # A tenant may define a resource of the same name in its own cluster: it means nothing there.
            if place.cluster == settings.host:
                await logical_clusters.reconcile(world, cluster, facts, place.name)

        async def definition(world: ClusterWorld, place: Place) -> None:
            if place.cluster == settings.host:
                await logical_clusters.install(world)

        return {
            "definition": definition,
            "deployment": lambda world, place: deployment.reconcile(world, place.namespace, place.name),
            "replicaset": lambda world, place: replicaset.reconcile(world, place.namespace, place.name),
            "daemonset": lambda world, place: daemonset.reconcile(world, place.namespace, place.name),
            "namespace": lambda world, place: namespace.reconcile(world, place.name),
            "accounts": account,
            "accounttoken": account_token,
            "claim": claim,
            "volume": volume,
            "logicalcluster": logical_cluster,
        }

    def accept(self, change: Change) -> None:
        """Called by the store after each commit. Cannot fail: the commit is done, and its caller is not to blame."""
        try:
            self._graph.accept(change)
            self._enqueue(change)
        except Exception as error:  # noqa: BLE001 - see above
            trace = "".join(traceback.format_exception(error))
            _log.error("bug", subject=str(change.entry.key), trace=trace)

    def start_afresh(self) -> None:
        """Look at everything once; the graph must be whole before anything is judged by it."""
        entries = [entry for name in self._cluster.clusters() for entry in self._all(name)]
        for entry in entries:
            self._graph.add(entry)
        for entry in entries:
            self._enqueue(Change("ADDED", entry, None))
        self._by_name["definition"].enqueue(Place(self._cluster.settings.host, "", logical_clusters.DEFINITION))

    async def run(self) -> None:
        """Run every queue in one task group."""
        async with Tasks() as group:
            group.create_task(self._garbage.run(workers=2), name="garbage")
            for name, controller in self._by_name.items():
                group.create_task(controller.run(workers=2), name=name)

    def _enqueue(self, change: Change) -> None:
        for name, place in self._feeds.wakes(change):
            self._by_name[name].enqueue(place)
        for key in garbage(self._graph, change):
            self._garbage.enqueue(key)

    def _all(self, cluster: str) -> list[Entry]:
        store = self._cluster.store
        return [entry for pair in store.resources(cluster) for entry in store.list(cluster, *pair)]

    def _for_place(self, work: _Pass) -> Callable[[Place], Awaitable[float | None]]:
        async def reconcile(place: Place) -> float | None:
            if not self._cluster.has(place.cluster):
                return None  # removed meanwhile: nothing may be written there
            return await work(ClusterWorld(self._cluster, place.cluster), place)

        return reconcile

    def _for_key(
        self, work: Callable[[ClusterWorld, Key], Awaitable[None]]
    ) -> Callable[[Key], Awaitable[float | None]]:
        async def reconcile(key: Key) -> float | None:
            if self._cluster.has(key.cluster):
                await work(ClusterWorld(self._cluster, key.cluster), key)
            return None

        return reconcile
