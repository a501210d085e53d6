"""``keyless run operator``: watches what the Space is made of and wakes the loop over control planes.

Several may run: the holder of the lease acts, the others watch and are ready to follow. Whoever lost the lease writes
nothing any more, also if it does not know yet (``kube/fenced.py``).

What is watched: ControlPlanes, namespaces (metadata), the ConfigMap with the chart's values, and the operator's own
Deployments and service accounts, so that users see what they changed by hand. Each wakes the control planes concerned.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import KeylessError, Reason, Refusal, Transient
from keyless.billing.report.capacity import Bought
from keyless.kube import (
    Controller,
    Event,
    Informer,
    Kube,
    KubeObject,
    Name,
    connect,
    connect_certified,
    connect_elsewhere,
    connect_with,
    keep_in_touch,
    name_of,
)
from keyless.kube.lease import Lease
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS
from keyless.serving import Probes, bind, serve
from keyless.space import uninstalling
from keyless.space.capacity.controller import Licensing
from keyless.space.control_planes.controller import ControlPlanes
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.given import GivenSecrets
from keyless.space.control_planes.model import Served
from keyless.space.control_planes.ports import Door
from keyless.space.control_planes.tenants import Tenants
from keyless.space.definitions import apply_definitions, definitions_served, require_definitions
from keyless.space.entering.service import Entering
from keyless.space.items import CONTROL_PLANE_LABEL, OURS
from keyless.space.parsing import parse_values
from keyless.space.predecessors import LABELS, running_predecessors
from keyless.space.settings import Settings
from keyless.space.usage_metrics import UsageMetrics
from keyless.space.values import Values
from keyless.space.watched import named, unmanaged
from keyless.space.workload_identity.service import Following
from keyless.tasks import Tasks

_log = structlog.get_logger("keyless.operator")
DEFINITIONS_RETRY_SECONDS = 5.0
DEFINITIONS_LOOK_SECONDS = 1.0
PREDECESSORS_LOOK_SECONDS = 1.0
PREDECESSORS_SECONDS = 60.0
"""Twice the time that an operator's pod is given to end: a node that is away never says that its pods ended."""
LEASE = "spaces-operator"
NOT_APPLIED = "the definitions are not applied yet"


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Work until cancelled; with ``leave`` until every control plane is let go of."""
    if settings.leave:
        await uninstalling.run(settings, environ, door_of(environ))
        return
    listener = bind(settings.pod_ip, settings.port)
    async with connect(environ) as host:
        operator = Operator(settings, host, door_of(environ), environ=environ)
        async with Tasks() as group:
            group.create_task(serve(Probes(operator.ready, metrics_of(operator)), listener))
            group.create_task(operator.run())
            group.create_task(keep_in_touch(host))


def metrics_of(operator: Operator) -> CollectorRegistry:
    """What a scrape of this operator learns."""
    registry = CollectorRegistry()
    planes = Gauge("keyless_control_planes", "Control planes in this Space.", registry=registry)
    planes.set_function(operator.count)
    leading = Gauge("keyless_operator_leading", "1 in the operator that holds the lease.", registry=registry)
    leading.set_function(lambda: float(operator.lease.is_held))
    registry.register(operator.usage_metrics)
    return registry


def door_of(environ: Mapping[str, str]) -> Door:
    """How control planes are entered: with the token that comes with them, else with our own."""

    def open_door(served: Served) -> Kube:
        if served.certificate:
            return connect_certified(served.server, served.ca_pem, served.certificate, served.key)
        if served.token is not None:
            return connect_with(served.server, served.ca_pem, served.token)
        return connect_elsewhere(environ, served.server, served.ca_pem)

    return open_door


class Operator:
    """The watches, and the loop that they wake."""

    def __init__(
        self,
        settings: Settings,
        host: Kube,
        door: Door,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._host = host
        self._trouble = NOT_APPLIED
        self._defined = asyncio.Event()
        # A pod's containers follow each other, so one that crashed need not wait for itself.
        identity = settings.pod_name or uuid.uuid4().hex
        clock = asyncio.get_running_loop().time
        self.lease = Lease(host, LEASE, settings.namespace, identity, clock=clock, now=now)
        self._planes = Informer(host, CONTROLPLANES, keep=unmanaged)
        self._namespaces = Informer(host, NAMESPACES, metadata_only=True, keep=named)
        name = {"metadata.name": settings.values_config_map}
        self._values = Informer(host, CONFIGMAPS, namespace=settings.namespace, fields=name)
        self._deployments = Informer(host, DEPLOYMENTS, labels=OURS, metadata_only=True, keep=named)
        self._accounts = Informer(host, SERVICEACCOUNTS, labels=OURS, metadata_only=True, keep=named)
        self._writing = host.fenced(self._may_write)
        self._tenants = Tenants(lambda served: door(served).fenced(self._may_write), self._wake)
        self._following = Following(self._writing, self.read_values, environ, now=now, changed=self._wake_all)
        gatherer = Gatherer(
            self._writing,
            self._tenants,
            self.read_values,
            self._following.values_for,
            release_namespace=settings.namespace,
        )
        self._loop = ControlPlanes(
            self._writing, self._tenants, gatherer, now=now, resync_seconds=settings.resync_seconds
        )
        self._controller = Controller("control-planes", self._loop.reconcile)
        self.usage_metrics = UsageMetrics(
            host, settings.namespace, self._good_values, self._planes.items, acts=self._may_write
        )
        self._entering = Entering(self._writing, now=now)
        self._licensing = Licensing(self._writing, self._bought, self._planes.items, now=now)
        self._connect_events()

    async def run(self) -> None:
        """Watch until cancelled, and work while the lease is held."""
        async with Tasks() as group:
            group.create_task(self.lease.hold(self._work))
            await self._until_defined()
            for informer in self._informers:
                group.create_task(informer.run())

    async def _work(self) -> None:
        """Be the one that acts, until cancelled."""
        try:
            await self._outlast_predecessors()
            await self._apply_definitions()
            # Values that have not been seen yet are no reason to say that there are none.
            for informer in self._informers:
                await informer.synced()
            # What changed while another acted, or was cut off with its timers, is looked at once.
            self._wake_all()
            async with Tasks() as group:
                group.create_task(GivenSecrets(self._host, self._planes.items, self._wake).run())
                group.create_task(self._controller.run(self._settings.workers))
                group.create_task(self._following.run())
                group.create_task(self._entering.run())
                group.create_task(self._licensing.run())
                group.create_task(self.usage_metrics.run())
        finally:
            await self._loop.forget_all()
            if self._defined.is_set():
                self._trouble = ""  # whoever follows applies them, and says what is wrong

    def _may_write(self) -> bool:
        return self.lease.is_held

    def _bought(self) -> Bought | None:
        values = self._good_values()
        return values.capacity.bought if values else None

    def _good_values(self) -> Values | None:
        values = self.read_values()
        return values if isinstance(values, Values) else None

    def count(self) -> int:
        """How many control planes there are."""
        return len(list(self._planes.items()))

    def ready(self) -> str:
        """Why the operator is not ready; empty: it is."""
        if self._trouble:
            return self._trouble
        if self._host.contact.trouble:
            return self._host.contact.trouble
        behind = [informer for informer in self._informers if not informer.has_synced]
        if behind:
            return "; ".join(
                f"{informer.res.plural} not read yet: {informer.last_error or 'asked'}" for informer in behind
            )
        # Waiting for another's lease is being ready: else a rollout would wait for the pod that it replaces.
        troubles = [*(informer.trouble() for informer in self._informers), self.lease.fault]
        return "; ".join(trouble for trouble in troubles if trouble)

    def read_values(self) -> Values | Refusal:
        """What the chart left, as last seen."""
        name, namespace = self._settings.values_config_map, self._settings.namespace
        live = self._values.get(name, namespace)
        text = ((live or {}).get("data") or {}).get("values.json")
        if text is None:
            detail = f"ConfigMap {name} in namespace {namespace} has no values.json: install or upgrade the chart"
            return Refusal(Reason.VALUES_INVALID, detail)
        return parse_values(text)

    @property
    def _informers(self) -> tuple[Informer, ...]:
        return (
            self._planes,
            self._namespaces,
            self._values,
            self._deployments,
            self._accounts,
            self._following.identities,
        )

    async def _until_defined(self) -> None:
        """Until the kinds that are watched are served: by our own hand, or by another operator's."""
        while not self._defined.is_set():
            try:
                if await definitions_served(self._host, ours=self._settings.apply_definitions):
                    self._settled()
            except KeylessError as error:
                self._trouble = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DEFINITIONS_LOOK_SECONDS):
                    await self._defined.wait()

    async def _outlast_predecessors(self) -> None:
        """Wait for operators that know no lease; the chart ends them once this one is ready."""
        try:
            async with asyncio.timeout(PREDECESSORS_SECONDS):
                while await self._predecessors():  # noqa: ASYNC110 - pods are not watched
                    await asyncio.sleep(PREDECESSORS_LOOK_SECONDS)
        except TimeoutError:
            _log.warning("an operator without a lease still runs", waited_seconds=PREDECESSORS_SECONDS)

    async def _predecessors(self) -> tuple[str, ...]:
        try:
            return running_predecessors((await self._host.list(PODS, self._settings.namespace, labels=LABELS)).items)
        except KeylessError as error:
            _log.info("operators not looked for", error=str(error))
            return ()

    async def _apply_definitions(self) -> None:
        while True:
            try:
                await (apply_definitions if self._settings.apply_definitions else require_definitions)(self._writing)
            except KeylessError as error:
                self._trouble = str(error)
                _log.error("definitions not applied", error=self._trouble)
                await asyncio.sleep(_retry_seconds(error))
            except Exception as error:  # noqa: BLE001 - what nobody foresaw is tried again, too
                self._trouble = f"the definitions are not applied: {type(error).__name__}, a bug of ours"
                _log.error("bug", trace="".join(traceback.format_exception(error)))
                await asyncio.sleep(DEFINITIONS_RETRY_SECONDS)
            else:
                self._settled()
                return

    def _settled(self) -> None:
        self._trouble = ""
        self._defined.set()

    def _connect_events(self) -> None:
        self._planes.on_change(lambda event: self._wake(name_of(event.object)))
        self._planes.on_change(self._following.plane_changed)
        self._values.on_change(lambda _: self._wake_all())
        self._values.on_change(lambda _: self._following.wake())
        self._values.on_change(lambda _: self._licensing.wake())
        self._namespaces.on_change(self._namespace_changed)
        for informer in (self._deployments, self._accounts):
            informer.on_change(lambda event: self._wake_owner(event.object))

    def _namespace_changed(self, event: Event) -> None:
        namespace = name_of(event.object).name
        self._wake_owner(event.object)
        for plane in self._planes.items():
            if name_of(plane).namespace == namespace:
                self._wake(name_of(plane))

    def _wake_owner(self, obj: KubeObject) -> None:
        owner = (obj["metadata"].get("labels") or {}).get(CONTROL_PLANE_LABEL)
        for plane in self._planes.items() if owner else ():
            if (plane.get("status") or {}).get("controlPlaneID") == owner:
                self._wake(name_of(plane))

    def _wake_all(self) -> None:
        for plane in self._planes.items():
            self._wake(name_of(plane))

    def _wake(self, name: Name) -> None:
        self._controller.enqueue(name)


def _retry_seconds(error: KeylessError) -> float:
    known = error.retry_after_seconds if isinstance(error, Transient) else None
    return known or DEFINITIONS_RETRY_SECONDS
