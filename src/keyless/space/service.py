"""``keyless run operator``: watches what the Space is made of and wakes the loop over control planes.

What is watched: ControlPlanes, namespaces (metadata), the ConfigMap with the chart's values, and the operator's own
Deployments and service accounts, so that users see what they changed by hand. Each wakes the control planes concerned.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import KeylessError, Reason, Refusal, Transient
from keyless.kube import (
    Controller,
    Event,
    Informer,
    Kube,
    KubeObject,
    Name,
    connect,
    connect_elsewhere,
    connect_with,
    keep_in_touch,
    name_of,
)
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, DEPLOYMENTS, NAMESPACES, SERVICEACCOUNTS
from keyless.serving import Probes, bind, serve
from keyless.space.control_planes.controller import ControlPlanes
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.model import Served
from keyless.space.control_planes.ports import Door
from keyless.space.control_planes.tenants import Tenants
from keyless.space.definitions import apply_definitions
from keyless.space.items import CONTROL_PLANE_LABEL, OURS
from keyless.space.settings import Settings
from keyless.space.values import Values, parse_values
from keyless.tasks import Tasks

_log = structlog.get_logger("keyless.operator")
DEFINITIONS_RETRY_SECONDS = 5.0


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Work until cancelled."""
    registry = CollectorRegistry()
    listener = bind(settings.pod_ip, settings.port)
    async with connect(environ) as host:
        operator = Operator(settings, host, door_of(environ))
        planes = Gauge("keyless_control_planes", "Control planes in this Space.", registry=registry)
        planes.set_function(operator.count)
        async with Tasks() as group:
            group.create_task(serve(Probes(operator.ready, registry), listener))
            group.create_task(operator.run())
            group.create_task(keep_in_touch(host))


def door_of(environ: Mapping[str, str]) -> Door:
    """How control planes are entered: with the token that comes with them, else with our own."""

    def open_door(served: Served) -> Kube:
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
    ) -> None:
        self._settings = settings
        self._host = host
        self._trouble = "the definitions are not applied yet"
        self._planes = Informer(host, CONTROLPLANES)
        self._namespaces = Informer(host, NAMESPACES, metadata_only=True)
        name = {"metadata.name": settings.values_config_map}
        self._values = Informer(host, CONFIGMAPS, namespace=settings.namespace, fields=name)
        self._deployments = Informer(host, DEPLOYMENTS, labels=OURS)
        self._accounts = Informer(host, SERVICEACCOUNTS, labels=OURS)
        self._tenants = Tenants(door, self._wake)
        gatherer = Gatherer(host, self._tenants, self.read_values)
        self._loop = ControlPlanes(host, self._tenants, gatherer, now=now, resync_seconds=settings.resync_seconds)
        self._controller = Controller("control-planes", self._loop.reconcile)
        self._connect_events()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._apply_definitions()
        try:
            async with Tasks() as group:
                for informer in self._informers:
                    group.create_task(informer.run())
                # Values that have not been seen yet are no reason to say that there are none.
                for informer in self._informers:
                    await informer.synced()
                group.create_task(self._controller.run(self._settings.workers))
        finally:
            await self._tenants.aclose()

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
        return "; ".join(trouble for informer in self._informers if (trouble := informer.trouble()))

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
        return (self._planes, self._namespaces, self._values, self._deployments, self._accounts)

    async def _apply_definitions(self) -> None:
        while True:
            try:
                await apply_definitions(self._host)
            except KeylessError as error:
                self._trouble = str(error)
                _log.error("definitions not applied", error=self._trouble)
                await asyncio.sleep(_retry_seconds(error))
            except Exception as error:  # noqa: BLE001 - what nobody foresaw is tried again, too
                self._trouble = f"the definitions are not applied: {type(error).__name__}, a bug of ours"
                _log.error("bug", trace="".join(traceback.format_exception(error)))
                await asyncio.sleep(DEFINITIONS_RETRY_SECONDS)
            else:
                self._trouble = ""
                return

    def _connect_events(self) -> None:
        self._planes.on_change(lambda event: self._wake(name_of(event.object)))
        self._values.on_change(lambda _: self._wake_all())
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
