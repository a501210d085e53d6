"""``keyless run external-secrets-controller``: informers, loops and probes of one control plane, put together.

Two connections: the host cluster (shared resources, its own condition) and the control plane. The identity for AWS is
the pod's own unless a store says otherwise.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime

import structlog
from prometheus_client import CollectorRegistry

from keyless.api import Transient
from keyless.aws import Session, caller_identity
from keyless.kube import (
    Backoff,
    Controller,
    Event,
    Informer,
    Kube,
    KubeObject,
    Name,
    connect,
    connect_folder,
    is_true,
    keep_in_touch,
    name_of,
)
from keyless.kube.lease import Lease, Terms
from keyless.kube.resources import CLUSTERSECRETSTORES, EXTERNALSECRETS, SECRETSTORES
from keyless.rendering import Renderer
from keyless.serving import Probes, bind, serve
from keyless.shared_secrets.metrics import ApiCalls, Conditions, Durations
from keyless.shared_secrets.projection.condition import SharedSecretsRead
from keyless.shared_secrets.projection.controller import ProjectionController
from keyless.shared_secrets.projection.identity import Given
from keyless.shared_secrets.projection.plan import EXTERNAL_SECRETS, SOURCE_LABEL, STORES, Kind
from keyless.shared_secrets.push.controller import PushController
from keyless.shared_secrets.push.opening import opens
from keyless.shared_secrets.settings import Settings
from keyless.shared_secrets.staging.gate import Gate
from keyless.shared_secrets.staging.wiring import staging, watch
from keyless.shared_secrets.stores.batching import Batchers
from keyless.shared_secrets.stores.controller import StoreController
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.metered import Calls
from keyless.shared_secrets.stores.resolution import StorePolicy, Stores
from keyless.shared_secrets.stores.scopes import from_text as scopes_from_text
from keyless.shared_secrets.stores.sessions import Place, Sessions
from keyless.shared_secrets.sync.ahead import Ahead
from keyless.shared_secrets.sync.cluster_controller import ClusterController
from keyless.shared_secrets.sync.controller import SyncController
from keyless.shared_secrets.sync.metrics import SyncMetrics
from keyless.shared_secrets.sync.tools import Tools
from keyless.shared_secrets.watching import (
    Watching,
    is_news,
    on_any,
    on_asked,
    on_object,
    on_owned,
    on_ready,
    on_target,
    on_told,
)
from keyless.tasks import Tasks

# External Secrets' own limiter starts at a second; its cap of seven minutes is longer than people wait.
BACKOFF = Backoff(first_seconds=1.0, cap_seconds=300.0)
LEASE = "external-secrets-controller"
# Longer than client-go's own: a Space has one controller per control plane, and all ask one API server.
TERMS = Terms(lease_seconds=20.0, renew_seconds=14.0, retry_seconds=4.0)
log = structlog.get_logger()


Reconcile = Callable[[Name], Awaitable[float | None]]


class LeaseLost(Transient):
    """This pod may not write: another has taken over."""


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run until cancelled."""
    own, given = Session.from_environment(environ), Given.of(environ)
    async with connect(environ) as host, connect_folder(settings.control_plane_dir) as tenant:
        await Service(settings, host, tenant, own, given).run()


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Service:
    """Everything that runs for one control plane; tests give it kubes of their own."""

    def __init__(self, settings: Settings, host: Kube, tenant: Kube, own: Session, given: Given) -> None:
        self._settings = settings
        self._kubes = (host, tenant)
        self.registry = CollectorRegistry()
        self.watching = watching = Watching(settings, host, tenant)

        async def whoami() -> str:
            return (await caller_identity(own)).arn

        self.condition = SharedSecretsRead(
            host,
            name=settings.control_plane_name,
            group=settings.control_plane_group,
            whoami=whoami,
            given=given,
            control_plane=watching.control_plane,
            now=utc_now,
            recovered=self._recovered,
            pod=settings.pod_name,
        )
        stores = self._opened_by(own)
        self._renderer, self._guard = Renderer(), ReadGuard(time.monotonic, self._aws_recovered)
        self._sync = self._syncing(stores)
        self._stores = self._timed(
            "secretstore",
            watching.secret_stores,
            StoreController(tenant, SECRETSTORES, stores, utc_now, watching.external_secrets.items).reconcile,
        )
        self._cluster_stores = self._timed(
            "clustersecretstore",
            watching.cluster_secret_stores,
            StoreController(tenant, CLUSTERSECRETSTORES, stores, utc_now, watching.external_secrets.items).reconcile,
        )
        push = PushController(tenant, opens(stores), self._renderer, watching.store, utc_now)
        self._push = self._timed("pushsecret", watching.push_secrets, push.reconcile)
        cluster = ClusterController(
            tenant, watching.namespaces.items, watching.external_secrets.items, utc_now, watching.store
        )
        self._cluster = self._timed("clusterexternalsecret", watching.cluster_external_secrets, cluster.reconcile)
        self._shared_stores = self._projection(STORES, host, tenant, watching.cluster_secret_stores)
        self._shared_secrets = self._projection(EXTERNAL_SECRETS, host, tenant, watching.cluster_external_secrets)
        self._staging = _controller(
            "rotation", self._fenced(staging(settings.control_plane_name, host, tenant, watching, utc_now).reconcile)
        )
        # Of two pods of one control plane's controller only one writes.
        # The containers of one pod follow each other, so one that crashed need not wait for itself.
        identity = settings.pod_name or uuid.uuid4().hex
        self.lease = Lease(host, LEASE, settings.host_namespace, identity, terms=TERMS)
        self._wire()

    def _syncing(self, stores: Stores) -> Controller[Name]:
        """The loop for ExternalSecrets."""
        settings, watching, tenant = self._settings, self.watching, self._kubes[1]
        tools = Tools(
            kube=tenant,
            stores=stores,
            guard=self._guard,
            listener=self.condition,
            metrics=SyncMetrics(self.registry),
            now=utc_now,
            owned=watching.owned_secrets,
            renderer=self._renderer,
            store=watching.store,
            others=watching.external_secrets.items,
            secrets=watching.managed_secrets,
            spread=settings.control_plane_id or settings.control_plane_name,
            ahead=lambda key, version: ahead.look(key, version),
            deletion=settings.deletion_guard,
            adopts=settings.adopt_unowned,
            pending_is_missing=settings.pending_is_missing,
            gate=Gate(settings.control_plane_name, watching.shared_of, utc_now),
        )
        sync = self._timed("externalsecret", watching.external_secrets, SyncController(tools).reconcile)
        ahead = Ahead(
            stores,
            self._guard,
            watching.store,
            upcoming=sync.upcoming,
            found=lambda key: watching.external_secrets.get(key.name, key.namespace),
            now=utc_now,
            clock=time.monotonic,
        )
        return sync

    def _opened_by(self, own: Session) -> Stores:
        settings, (host, tenant) = self._settings, self._kubes
        return Stores(
            self.watching,
            Sessions(own, (settings.host_namespace, settings.service_account)),
            tenant=Place("tenant", tenant),
            host=Place("host", host),
            group=settings.control_plane_group,
            host_namespace=settings.host_namespace,
            policy=StorePolicy(settings.tenant_stores_may_use_controller_identity, scopes_from_text(settings.scopes)),
            batchers=Batchers(time.monotonic),
            calls=Calls(ApiCalls(self.registry).heard, time.monotonic),
        )

    def _projection(self, kind: Kind, host: Kube, tenant: Kube, existing: Informer) -> Controller[Name]:
        controller = ProjectionController(
            kind,
            name=self._settings.control_plane_name,
            host=host,
            tenant=tenant,
            control_plane=self.watching.control_plane,
            existing=existing.items,
            now=utc_now,
        )
        return _controller(kind.shared.plural, controller.reconcile)

    def _timed(self, kind: str, informer: Informer, reconcile: Reconcile) -> Controller[Name]:
        """A loop with External Secrets' metrics of its kind; what writes Secrets or to AWS begins under the Lease."""
        if kind != "externalsecret":  # the syncs themselves say theirs
            Conditions(kind, informer, self.registry)
        measured = Durations(kind, informer, self.registry).timed(reconcile)
        return _controller(kind, self._fenced(measured) if kind in {"externalsecret", "pushsecret"} else measured)

    def _fenced(self, reconcile: Reconcile) -> Reconcile:
        """Begin no sync once the Lease may be another's: a process that was stopped does not know it at first."""

        async def fenced(key: Name) -> float | None:
            if not self.lease.is_held:
                raise LeaseLost(f"{key.namespace}/{key.name}: the lease {LEASE} is not held any more")
            return await reconcile(key)

        return fenced

    @property
    def _controllers(self) -> tuple[Controller[Name], ...]:
        return (
            self._sync,
            self._stores,
            self._cluster_stores,
            self._push,
            self._cluster,
            self._shared_stores,
            self._shared_secrets,
            self._staging,
        )

    def _wire(self) -> None:
        """Say which change asks for which work."""
        see, group = self.watching, self._settings.control_plane_group
        on_told(see.external_secrets, self._stores.enqueue, self._cluster_stores.enqueue)
        on_asked(see.external_secrets, self._sync.enqueue)
        on_owned(see.secrets, EXTERNALSECRETS.kind, self._sync.enqueue)
        on_target(see.secrets, see.targets, self._sync.enqueue)
        on_object(see.push_secrets, self._push.enqueue)
        on_object(see.secret_stores, self._stores.enqueue)
        on_object(see.cluster_secret_stores, self._cluster_stores.enqueue)
        on_object(see.cluster_external_secrets, self._cluster.enqueue)
        on_owned(see.external_secrets, "ClusterExternalSecret", self._enqueue_cluster)
        on_any(see.namespaces, _all(self._cluster, see.cluster_external_secrets.items))
        # A store that changed may mend what waits for it; what is synced and not due costs one look each.
        for informer in (see.secret_stores, see.cluster_secret_stores, see.shared_stores):
            on_any(informer, _all(self._sync, see.external_secrets.items))
            on_any(informer, _all(self._push, see.push_secrets.items))
        for informer in (see.secret_stores, see.cluster_secret_stores):
            on_ready(informer, self._store_recovered)
        on_any(see.shared_stores, _all(self._cluster_stores, see.cluster_secret_stores.items))
        for shared, controller, projected in (
            (see.shared_stores, self._shared_stores, see.cluster_secret_stores),
            (see.shared_external_secrets, self._shared_secrets, see.cluster_external_secrets),
        ):
            on_object(shared, controller.enqueue)
            on_any(see.control_planes, _all(controller, shared.items))
            _on_projected(projected, controller, group)
        watch(see, self._staging.enqueue, self._sync.enqueue)

    def _enqueue_cluster(self, key: Name, /, *, urgent: bool = True) -> None:
        self._cluster.enqueue(Name("", key.name), urgent=urgent)

    def _recovered(self) -> None:
        """Try again at once what failed while the pod had no identity: its wait is for faults that last."""
        self._store_recovered()
        for informer, controller in (
            (self.watching.secret_stores, self._stores),
            (self.watching.cluster_secret_stores, self._cluster_stores),
        ):
            _unready(controller, informer)

    def _aws_recovered(self) -> None:
        _unready(self._sync, self.watching.external_secrets)

    def _store_recovered(self) -> None:
        # Which reads failed for the store is not known: one more of each at a recovery costs little.
        self._guard.forgive()
        _unready(self._sync, self.watching.external_secrets)

    async def run(self) -> None:
        """Run until cancelled; work begins when everything was seen once and the Lease is held."""
        probes = Probes(self._not_ready, self.registry)
        async with contextlib.aclosing(self._renderer), Tasks() as tasks:
            tasks.create_task(serve(probes, bind(self._settings.pod_ip, self._settings.port)))
            for kube in self._kubes:
                tasks.create_task(keep_in_touch(kube))
            for informer in self.watching.all:
                tasks.create_task(informer.run())
            # The identity is told without waiting for the control plane's API.
            await self.watching.control_planes.synced()
            tasks.create_task(self.condition.run())
            for informer in self.watching.all:
                await informer.synced()
            tasks.create_task(self.lease.hold(self._work))
            log.info("external-secrets ready", control_plane=self._settings.control_plane_name)

    async def _work(self) -> None:
        """Run every loop while the Lease is held."""
        self._sweep()
        async with Tasks() as tasks:
            for controller in self._controllers:
                workers = self._settings.concurrent if controller is self._sync else 1
                tasks.create_task(controller.run(workers))

    def _not_ready(self) -> str:
        waiting = [informer.res.plural for informer in self.watching.all if not informer.has_synced]
        if waiting:
            return f"waiting for {', '.join(waiting)}"
        troubles = [kube.contact.trouble for kube in self._kubes] + [each.trouble() for each in self.watching.all]
        # Waiting for another pod's Lease is being ready: else a rollout would wait for the pod that it replaces.
        return "; ".join(trouble for trouble in (*troubles, self.lease.fault) if trouble)

    def _sweep(self) -> None:
        """Look once at everything: work that was cut off lost its timers, and sources of projections may be gone."""
        see, group = self.watching, self._settings.control_plane_group
        for informer, controller in (
            (see.external_secrets, self._sync),
            (see.push_secrets, self._push),
            (see.secret_stores, self._stores),
            (see.cluster_secret_stores, self._cluster_stores),
            (see.cluster_external_secrets, self._cluster),
            (see.shared_stores, self._shared_stores),
            (see.shared_external_secrets, self._shared_secrets),
            (see.shared_external_secrets, self._staging),
        ):
            _all(controller, informer.items)()
        for projected, controller in (
            (see.cluster_secret_stores, self._shared_stores),
            (see.cluster_external_secrets, self._shared_secrets),
        ):
            for item in projected.items():
                _enqueue_source(item, controller, group)


def _on_projected(informer: Informer, controller: Controller[Name], group: str) -> None:
    """Look at a shared resource again when what it became was changed: ours are put back."""

    def changed(event: Event) -> None:
        if is_news(event):
            _enqueue_source(event.object, controller, group)

    informer.on_change(changed)


def _enqueue_source(item: KubeObject, controller: Controller[Name], group: str) -> None:
    source = (item["metadata"].get("labels") or {}).get(SOURCE_LABEL)
    if source:
        controller.enqueue(Name(group, source))


def _all(controller: Controller[Name], items: Callable[[], Iterable[KubeObject]]) -> Callable[[], None]:
    def enqueue_all() -> None:
        for item in items():
            controller.enqueue(name_of(item), urgent=False)

    return enqueue_all


def _unready(controller: Controller[Name], informer: Informer) -> None:
    for item in informer.items():
        if not is_true(item, "Ready"):
            controller.enqueue(name_of(item), urgent=False)


def _controller(name: str, reconcile: Reconcile) -> Controller[Name]:
    return Controller(name, reconcile, backoff=BACKOFF)
