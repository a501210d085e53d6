"""What `helm uninstall` does before the chart goes: control planes are let go of, so that each can still be deleted.

The chart's hook runs this in a pod of its own. First the operators end, for they would bring back what goes. Then each
control plane's components store what they hold and go with their rights; a volume with usage that could not be stored
stays, and so do ControlPlanes, the APIs that the host serves for them, and their host namespaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from keyless.api import KeylessError, Permanent, Reason, Refusal
from keyless.kube import Kube, KubeObject, Name, NotFound, connect, name_of
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, DEPLOYMENTS, PODS
from keyless.space.control_planes.controller import ControlPlanes
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.leaving import release
from keyless.space.control_planes.model import FINALIZER
from keyless.space.control_planes.ports import Door
from keyless.space.control_planes.tenants import Tenants
from keyless.space.parsing import parse_values
from keyless.space.predecessors import LABELS
from keyless.space.settings import Settings
from keyless.space.values import Values

DEPLOYMENT = "spaces-operator"
OPERATORS_SECONDS = 45.0
"""An operator's pod is given 30 to end; one on a node that is away is waited for no longer."""
TOTAL_SECONDS = 240.0
"""Helm waits five minutes for a hook, unless it is told otherwise."""
LOOK_SECONDS = 0.5
ENDED = ("Succeeded", "Failed")
_log = structlog.get_logger("keyless.uninstall")


async def run(settings: Settings, environ: Mapping[str, str], door: Door) -> None:
    """Let go of every control plane. Raises ``Permanent`` that names those that could not be in time."""
    async with connect(environ) as host:
        await Uninstall(settings, host, door).run()


class Uninstall:
    """Ends the operators, then works through all control planes at once."""

    def __init__(self, settings: Settings, host: Kube, door: Door) -> None:
        self._settings, self._host = settings, host
        self._values: Values | Refusal = Refusal(Reason.VALUES_INVALID, "not read")
        self._tenants = Tenants(door, _ignore)
        gatherer = Gatherer(host, self._tenants, lambda: self._values)
        self._loop = ControlPlanes(host, self._tenants, gatherer, now=lambda: datetime.now(UTC), decide=release)

    async def run(self) -> None:
        """Until nothing of ours holds a ControlPlane back."""
        await self._end_operators()
        self._values = await self._read_values()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                while held := await self._held():
                    await asyncio.gather(*(self._work(name) for name in held))
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            left = ", ".join("/".join(name) for name in await self._held())
            raise Permanent(
                f"control planes {left}: not let go of within {TOTAL_SECONDS:.0f} s, `kubectl describe controlplane` "
                "says why; `helm uninstall` again goes on, `--no-hooks` leaves them as they are"
            ) from None
        finally:
            await self._tenants.aclose()

    async def _work(self, name: Name) -> None:
        try:
            await self._loop.reconcile(name)
        except KeylessError as error:
            _log.info("retrying", control_plane="/".join(name), error=str(error))

    async def _held(self) -> list[Name]:
        try:
            planes = (await self._host.list(CONTROLPLANES)).items
        except NotFound:
            return []  # the definitions are gone, and every ControlPlane with them
        return [name_of(each) for each in planes if FINALIZER in (each["metadata"].get("finalizers") or ())]

    async def _end_operators(self) -> None:
        namespace = self._settings.namespace
        try:
            await self._host.patch(DEPLOYMENTS, DEPLOYMENT, {"spec": {"replicas": 0}}, namespace)
        except NotFound:
            return
        try:
            async with asyncio.timeout(OPERATORS_SECONDS):
                while any(map(_runs, (await self._host.list(PODS, namespace, labels=LABELS)).items)):  # noqa: ASYNC110 - seldom, short
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            _log.warning("an operator did not end", waited_seconds=OPERATORS_SECONDS)

    async def _read_values(self) -> Values | Refusal:
        name = self._settings.values_config_map
        try:
            live = await self._host.get(CONFIGMAPS, name, self._settings.namespace)
        except NotFound:
            return Refusal(Reason.VALUES_INVALID, f"ConfigMap {name} is gone")
        return parse_values((live.get("data") or {}).get("values.json", ""))


def _ignore(_: Name) -> None:
    """Managed kinds that change wake nobody here: every control plane is looked at again anyway."""


def _runs(pod: KubeObject) -> bool:
    return (pod.get("status") or {}).get("phase") not in ENDED
