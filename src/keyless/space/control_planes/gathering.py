"""Read everything that a plan wants to know. Reads only; a dry run stores nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import structlog

from keyless.api import KeylessError
from keyless.kube import ApiError, Forbidden, Kube, KubeObject, Name, NotFound, Resource, Unauthorized, Unreachable
from keyless.kube.resources import (
    CONTROLPLANES,
    LOGICALCLUSTERS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    TLSROUTES,
)
from keyless.space import components
from keyless.space.components import Component
from keyless.space.control_planes import (
    admins,
    belonging,
    beside,
    copies,
    encrypted,
    findings,
    holding,
    lost_nodes,
    network,
    pausing,
    protection,
    room,
    tenant,
    trusting,
)
from keyless.space.control_planes.api import ways_in
from keyless.space.control_planes.attached import given_key, is_outgrown
from keyless.space.control_planes.model import Facts, Served, logical_cluster_key, own_key, way_of
from keyless.space.control_planes.ports import ReadValues, ValuesFor
from keyless.space.control_planes.tenants import Tenant, Tenants
from keyless.space.control_planes.workloads import intent_of, promises_role
from keyless.space.items import CONTROL_PLANE_LABEL, FIELD_MANAGER, Key
from keyless.space.kubernetes.names import NAME, all_keys, claim_key, keys_key, workload_key
from keyless.space.place import Place
from keyless.space.values import Values

STORAGECLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
LANES = 4
"""Reads at once from one server: each takes a connection of its own, and there may be hundreds of control planes."""
VOID_FOR = timedelta(minutes=5)
"""How long a refused credential is left aside: a void token seldom comes back to life."""
_log = structlog.get_logger("keyless.operator")


class Gatherer:
    """Reads the host and, once it is served, the inside of a control plane."""

    def __init__(
        self,
        host: Kube,
        tenants: Tenants,
        read_values: ReadValues,
        values_for: ValuesFor = lambda values, _: values,
        *,
        release_namespace: str = "default",
    ) -> None:
        self._host = host
        self._tenants = tenants
        self._read_values = read_values
        self._release_namespace = release_namespace
        self._void: dict[Name, tuple[Served, datetime]] = {}
        self._values_for = values_for

    async def gather(self, name: Name, now: datetime, waited_seconds: Mapping[str, float]) -> Facts | None:
        """The facts, or None where the control plane is gone."""
        try:
            control_plane = await self._host.get(CONTROLPLANES, name.name, name.namespace)
            group = await self._host.get(NAMESPACES, name.namespace)
        except NotFound:
            return None
        values = self._read_values()
        new_id, namespace = str(uuid4()), self._release_namespace
        facts = Facts(
            control_plane, group, values, now, new_id, waited_seconds=waited_seconds, release_namespace=namespace
        )
        place = facts.place
        if place is None:
            return facts
        if isinstance(values, Values):
            facts = replace(facts, values=self._values_for(values, place.host_namespace))
        facts = replace(facts, host=await _existing(self._host, _host_keys(control_plane, place)))
        leaving = bool(control_plane["metadata"].get("deletionTimestamp")) and not protection.holds(facts)
        if way_of(facts) is None and not leaving:
            facts = replace(facts, serves_logical_clusters=await self._serves_logical_clusters())
        # At the end also what an API server of its own was begun with, before anything told that it is one.
        if way_of(facts) in ("kubernetes", None):
            backup = (
                components.deployment_key(components.BACKUP, place),
                *components.remains(components.BACKUP, place),
            )
            own = await _existing(self._host, (*all_keys(place), *backup))
            facts = replace(facts, host={**facts.host, **own})
        facts = replace(facts, pods=await self._pods(place))
        facts = replace(facts, nodes=await self._nodes(facts))
        facts = replace(facts, pod_refused=await self._why_no_pod(facts, place))
        facts = replace(facts, growth_refused=await self._why_no_growth(facts, place))
        if leaving:
            # An API of our own goes as a whole; one that was brought stays, and what we made in it must not.
            return await self._inside(name, facts) if way_of(facts) == "attached" else facts
        facts = replace(facts, default_storage_class=await self._default_storage_class(facts, place))
        facts = replace(facts, tls_routes=await self._tls_routes(facts, place))
        facts = replace(facts, sources=await _existing(self._host, copies.sources(facts)))
        facts = await self._inside(name, facts)
        if way_of(facts) == "kubernetes" and facts.entered is not None:
            inside = (await self._tenants.at(name, facts.entered)).kube
            facts = await encrypted.ask(facts, place, inside)
            facts = await trusting.ask(facts, place, inside, self._tenants.door)
        return await self._tried(facts, place)

    async def _inside(self, name: Name, facts: Facts) -> Facts:
        """Its failures are the control plane's own: they are told of it and leave what is known of the host."""
        narrow: Facts | None = None
        ways, known_void = self._worth_trying(name, ways_in(facts), facts.now)
        facts = replace(facts, given_refused=known_void)
        if not ways and pausing.is_stopped(facts):
            # Nobody answers there until it is resumed: watches would ask without end.
            await self._tenants.forget(name)
        for served in ways:
            try:
                found = await self._looked_into(facts, served, await self._tenants.at(name, served))
            except (Unauthorized, Forbidden) as error:
                facts = self._refused(name, facts, served, error)
                continue
            except KeylessError as error:
                return replace(facts, trouble=str(error))
            if found.tenant is not None and is_outgrown(found) and narrow is None:
                narrow = found  # the given credential may widen it
                continue
            return await self._entered(name, replace(found, given_refused=facts.given_refused and not served.given))
        if narrow is None:
            return facts
        return await self._entered(name, replace(narrow, given_refused=facts.given_refused))

    async def _looked_into(self, facts: Facts, served: Served, opened: Tenant) -> Facts:
        if not opened.kinds.complete:
            opened.kinds.raise_refusal()
            return replace(facts, trouble=opened.kinds.trouble)
        keys = [belonging.KEY, holding.KEY, admins.KEY, *(each.key for each in tenant.definitions())]
        for identity in (*components.NAMES, tenant.CONNECTION):
            keys += [each.key for each in tenant.identity(identity)]
        if served.token is not None:
            keys += tenant.operator_keys()
        controllers = await _controllers(opened.kube) if served.token is None else ()
        found = await _existing(opened.kube, keys)
        names = dict.fromkeys((*beside.names(facts.control_plane), *controllers))
        theirs = [key for name in names for key in beside.inside_keys(name)]
        # A narrow credential may not know of a new name yet; that is no reason to know nothing.
        found |= await _existing(opened.kube, theirs, forbidden=served.token is None)
        seen = opened.room.room if opened.room is not None else None
        return replace(
            facts,
            tenant=found,
            managed=opened.kinds.kinds(),
            entered=served,
            trouble="",
            room=seen,
            controllers=controllers,
        )

    async def _entered(self, name: Name, found: Facts) -> Facts:
        """One way is enough from here on; a way that is still being opened keeps the others open."""
        if found.entered is not None:
            if found.entered.given:
                self._void.pop(name, None)
            await self._tenants.keep(name, found.entered)
        return found

    def _refused(self, name: Name, facts: Facts, served: Served, error: ApiError) -> Facts:
        if served.given and isinstance(error, Unauthorized):
            self._void[name] = (served, facts.now)
            return replace(facts, trouble=str(error), given_refused=True)
        return replace(facts, trouble=str(error))

    def _worth_trying(self, name: Name, ways: Sequence[Served], now: datetime) -> tuple[Sequence[Served], bool]:
        """A given credential that was refused a moment ago is left for last; whether there is such a one."""
        known = self._void.get(name)
        if known is None:
            return ways, False
        served, at = known
        if abs(now - at) > VOID_FOR or served not in ways:
            del self._void[name]
            return ways, False
        return [*(each for each in ways if each != served), served], True

    async def _tried(self, facts: Facts, place: Place) -> Facts:
        if facts.tenant is None:
            return facts
        tried = {
            component.name: await self._is_injected(component)
            for component in intent_of(facts, place).wanted
            if _must_be_tried(facts, component)
        }
        return replace(facts, injected=tried)

    async def _pods(self, place: Place) -> dict[str, tuple[KubeObject, ...]]:
        try:
            page = await self._host.list(
                PODS, place.host_namespace, labels={CONTROL_PLANE_LABEL: place.control_plane_id}
            )
        except NotFound:
            return {}
        found: dict[str, tuple[KubeObject, ...]] = {}
        for pod in page.items:
            component = pod["metadata"]["labels"].get("app.kubernetes.io/name", "")
            found[component] = (*found.get(component, ()), pod)
        return found

    async def _nodes(self, facts: Facts) -> dict[str, KubeObject | None]:
        """Those that may be why a pod is not ready. Where they may not be read, that is told as ever."""
        found: dict[str, KubeObject | None] = {}
        for name in lost_nodes.suspects(pod for pods in facts.pods.values() for pod in pods):
            try:
                found[name] = await self._host.get(NODES, name)
            except NotFound:
                found[name] = None
            except Forbidden:
                continue
        return found

    async def _why_no_pod(self, facts: Facts, place: Place) -> str:
        """What the host says to a dry run of its API server's pod, where that is due and not there."""
        live = facts.host.get(workload_key(place))
        if live is None or facts.pods.get(NAME) or not live["spec"].get("replicas", 1):
            return ""
        template = live["spec"]["template"]
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": claim_key(place).name}}
        spec = {**template["spec"], "volumes": [*template["spec"].get("volumes", ()), claim]}
        metadata = {
            "generateName": f"{NAME}-",
            "namespace": place.host_namespace,
            "labels": template["metadata"]["labels"],
        }
        try:
            await self._host.create(PODS, {"metadata": metadata, "spec": spec}, dry_run=True)
        except (Unauthorized, Unreachable):
            raise
        except ApiError as error:
            return str(error)[:500]
        return ""

    async def _why_no_growth(self, facts: Facts, place: Place) -> str:
        """What the host says to a dry run of a larger volume, where the values ask for one: not each class can grow."""
        wanted = room.growth(facts, place)
        if wanted is None:
            return ""
        try:
            await self._host.apply(wanted.resource, wanted.object, field_manager=FIELD_MANAGER, dry_run=True)
        except (Unauthorized, Unreachable):
            raise
        except ApiError as error:
            return str(error)[:500]
        return ""

    async def _default_storage_class(self, facts: Facts, place: Place) -> bool:
        asked = isinstance(facts.values, Values) and facts.values.billing.enabled
        if not asked or components.has_volume(facts.host.get(components.volume_key(place))):
            return False
        try:
            classes = (await self._host.list(STORAGECLASSES)).items
        except NotFound:
            return False
        return any((each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true" for each in classes)

    async def _tls_routes(self, facts: Facts, place: Place) -> Resource | None:
        if way_of(facts) != "kubernetes" or not isinstance(facts.values, Values) or not facts.values.api_server.gateway:
            return None
        for each in TLSROUTES:
            try:
                await self._host.request("GET", each.path(place.host_namespace), params={"limit": "1"})
            except NotFound:
                continue
            return each
        return None

    async def _serves_logical_clusters(self) -> bool:
        try:
            await self._host.request("GET", LOGICALCLUSTERS.path(None), params={"limit": "1"})
        except NotFound:
            return False
        return True

    async def _is_injected(self, component: Component) -> bool:
        deployment = component.deployment.object
        pod = {
            "metadata": {
                "generateName": f"{component.name}-",
                "namespace": deployment["metadata"]["namespace"],
                "labels": deployment["spec"]["template"]["metadata"]["labels"],
            },
            "spec": deployment["spec"]["template"]["spec"],
        }
        try:
            return findings.pod_has_identity(await self._host.create(PODS, pod, dry_run=True))
        except (Unauthorized, Unreachable):
            raise
        except ApiError as error:
            # A webhook that is down, a quota, a policy: the pod itself will meet it too, and its Deployment says so.
            _log.info("dry run refused", component=component.name, error=str(error))
            return False


def _must_be_tried(facts: Facts, component: Component) -> bool:
    account = facts.host.get(component.service_account)
    begins = component.deployment.key not in facts.host and component.kubeconfig in facts.host
    return begins and account is not None and promises_role(account)


def _host_keys(control_plane: KubeObject, place: Place) -> list[Key]:
    keys = [Key(NAMESPACES, place.host_namespace), logical_cluster_key(place), components.volume_key(place)]
    keys += [*copies.targets(place), network.target(place)]
    for name in components.INSIDE:
        keys += [components.deployment_key(name, place), *components.remains(name, place)]
    keys += [keys_key(place), workload_key(place), own_key(place), *beside.host_keys(control_plane, place)]
    if attached := given_key(control_plane):
        keys.append(attached)
    if wish := (control_plane.get("spec") or {}).get("writeConnectionSecretToRef"):
        keys.append(Key(SECRETS, wish["name"], place.group))
    return keys


async def _controllers(kube: Kube) -> tuple[str, ...]:
    """Whose accounts there are of others' controllers, also where no status tells of them any more."""
    page = await kube.list(SERVICEACCOUNTS, tenant.SYSTEM_NAMESPACE, labels=beside.LABEL, metadata_only=True)
    return tuple(name for each in page.items if beside.may_be(name := each["metadata"]["name"]))


async def _existing(kube: Kube, keys: Iterable[Key], *, forbidden: bool = True) -> dict[Key, KubeObject]:
    """What is there; without ``forbidden`` what may not be read is taken for absent."""
    wanted = list(dict.fromkeys(keys))
    lanes = asyncio.Semaphore(LANES)

    async def get(key: Key) -> KubeObject | None:
        async with lanes:
            return await _get(kube, key)

    # Not a task group: it would wrap the failure, whose class says what to do next.
    answers = await asyncio.gather(*(get(key) for key in wanted), return_exceptions=True)
    found: dict[Key, KubeObject] = {}
    for key, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Forbidden) and not forbidden:
            continue
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            found[key] = answer
    return found


async def _get(kube: Kube, key: Key) -> KubeObject | None:
    try:
        return await kube.get(key.resource, key.name, key.namespace or None)
    except NotFound:
        return None
