"""A host cluster and its control planes in memory, with just enough of the controllers that live in a real one."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from keyless.api import Refusal
from keyless.kube import Invalid, Kube, KubeObject, Name, NotFound, Unauthorized
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import (
    CONTROLPLANES,
    CRDS,
    DEPLOYMENTS,
    LOGICALCLUSTERS,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
)
from keyless.kube.transport import Request, Response
from keyless.local.cluster.builtin.defaults import default
from keyless.local.cluster.builtin.normal import normalize
from keyless.local.cluster.faults import Malformed
from keyless.space.control_planes.controller import ControlPlanes
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.model import Served
from keyless.space.control_planes.tenants import Tenants
from keyless.space.kubernetes.names import ETCD_PORT
from keyless.space.values import Billing, Values
from unit.space.etcds import MemoryEtcd

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CTP1 = Name("default", "ctp1")
ROLE = "arn:aws:iam::111122223333:role/billing"
CA = "-----BEGIN CERTIFICATE-----\nno secret\n-----END CERTIFICATE-----\n"
BILLING = Billing(enabled=True, provider="aws", bucket="usage", region="us-west-2", secret="")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


class Interrupted(Exception):
    """The operator was killed here."""


class World:
    """``settle`` runs the operator and the cluster's own controllers until both rest."""

    def __init__(self, values: Values | Refusal | None = None) -> None:
        self.values: Values | Refusal = values or Values(billing=BILLING)
        self.clock = NOON
        self.host = MemoryKube(now=lambda: self.clock)
        self.insides: dict[str, MemoryKube] = {}
        self.webhook = True
        self.etcd = MemoryEtcd()
        self.void: set[str] = set()
        """Tokens that no API server knows any more."""
        self.shown: list[str | None] = []
        """Which token each request inside showed."""
        self.broken = False
        self.meddle: Callable[[str, KubeObject], KubeObject] = lambda plural, obj: obj
        self.grace = timedelta(seconds=2)
        self.host.admit = self._admit
        self.host.put(NAMESPACES, {"metadata": {"name": "default", "labels": {"spaces.upbound.io/group": "true"}}})
        self.writes = 0
        self._fail_at: int | None = None
        self.host.before = self._count
        self.start()

    def start(self) -> None:
        """A new operator, which remembers nothing."""
        self.woken: list[Name] = []
        self.tenants = Tenants(self._door, self.woken.append)
        gatherer = Gatherer(self.host, self.tenants, lambda: self.values)
        self.loop = ControlPlanes(self.host, self.tenants, gatherer, now=lambda: self.clock)

    def inside(self, host_namespace: str) -> MemoryKube:
        """A control plane's own API server."""
        if host_namespace not in self.insides:
            kube = MemoryKube(now=lambda: self.clock)
            kube.before = self._count
            kube.admit = lambda operation, plural, obj: as_stored(obj)
            self.insides[host_namespace] = kube
        return self.insides[host_namespace]

    def create(self, name: Name = CTP1, **content: Any) -> KubeObject:
        """A ControlPlane as a user makes it."""
        metadata = {"name": name.name, "namespace": name.namespace, **content.pop("metadata", {})}
        return self.host.put(CONTROLPLANES, {"metadata": metadata, "spec": {}, **content})

    def fail_at(self, write: int | None) -> None:
        """Kill the operator at its n-th write from now on."""
        self.writes, self._fail_at = 0, write

    async def settle(self, name: Name = CTP1, *, limit: int = 400) -> None:
        """Until the operator would sleep for long."""
        for _ in range(limit):
            again = await self.loop.reconcile(name)
            moved = self.play()
            await asyncio.sleep(0.2)  # virtual: lets the watches inside be heard
            if again is None or (again > 1.0 and not moved):
                return
            self.clock += timedelta(seconds=min(again, 1.0))
        raise AssertionError("the world does not come to rest")

    async def plane(self, name: Name = CTP1) -> KubeObject:
        """The ControlPlane as it is."""
        return await self.host.get(CONTROLPLANES, name.name, name.namespace)

    async def condition(self, kind: str, name: Name = CTP1) -> KubeObject | None:
        """One of its conditions."""
        conditions = (await self.plane(name)).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), None)

    async def host_namespace(self, name: Name = CTP1) -> str:
        """Where its components run."""
        return str((await self.plane(name))["status"]["hostNamespace"])

    async def exists(self, res: Any, name: str, namespace: str | None = None) -> bool:
        """Whether the host has it."""
        try:
            await self.host.get(res, name, namespace)
        except NotFound:
            return False
        return True

    def play(self) -> bool:
        """The controllers of the cluster; whether they did anything."""
        moves = [self._serve(), self._address(), self._run_own(), self._start_pods(), self._end_pods()]
        return any(moves)

    def _objects(self, res: Any) -> list[KubeObject]:
        return [
            obj for key, obj in self.host._server.objects.items() if (key.group, key.plural) == (res.group, res.plural)
        ]

    def _serve(self) -> bool:
        waiting = [each for each in self._objects(LOGICALCLUSTERS) if "status" not in each]
        for each in waiting:
            name = each["metadata"]["name"]
            status = {
                "server": f"https://127.0.0.1:1/clusters/{name}",
                "caBundle": base64.b64encode(CA.encode()).decode(),
                "conditions": [{"type": "Ready", "status": "True"}],
            }
            self.inside(name)
            self.host.put(LOGICALCLUSTERS, {**each, "status": status})
        return bool(waiting)

    def _address(self) -> bool:
        """Each Service has an address."""
        waiting = [each for each in self._objects(SERVICES) if "clusterIP" not in each["spec"]]
        for number, each in enumerate(waiting):
            address = f"10.0.0.{len(self.insides) + number + 7}"
            self.host.put(SERVICES, {**each, "spec": {**each["spec"], "clusterIP": address, "clusterIPs": [address]}})
        return bool(waiting)

    def _run_own(self) -> bool:
        """API servers of control planes: a pod and its volume, ready at once unless ``broken``."""
        moved = False
        for each in self._objects(STATEFULSETS):
            metadata, spec = each["metadata"], each["spec"]
            ready = 0 if self.broken else spec["replicas"]
            wanted = {"updateRevision": _revision(spec["template"]), "readyReplicas": ready}
            if each.get("status") != wanted:
                claim = spec["volumeClaimTemplates"][0]
                named = {**claim["metadata"], "name": "data-control-plane-0", "namespace": metadata["namespace"]}
                if not self._objects(PERSISTENTVOLUMECLAIMS):
                    self.host.put(PERSISTENTVOLUMECLAIMS, {"metadata": named, "spec": claim["spec"]})
                address = next(one["spec"]["clusterIP"] for one in self._objects(SERVICES))
                self.insides.setdefault(address, self.inside(metadata["namespace"]))
                self.host.put(STATEFULSETS, {**each, "status": wanted})
                moved = True
        return moved

    def _start_pods(self) -> bool:
        moved = False
        for deployment in self._objects(DEPLOYMENTS):
            metadata, spec = deployment["metadata"], deployment["spec"]
            pods = [each for each in self._objects(PODS) if _belongs(each, deployment)]
            if not any(_runs(each, deployment) for each in pods):
                for old in pods:
                    self._forget(PODS, old)
                pod = {"metadata": {**spec["template"]["metadata"]}, "spec": spec["template"]["spec"]}
                number = metadata["generation"]
                pod["metadata"] |= {"name": f"{metadata['name']}-{number}", "namespace": metadata["namespace"]}
                pod["metadata"]["finalizers"] = ["test/flush"]  # as long as it takes to flush
                self.host.put(PODS, self._admit("CREATE", "pods", pod))
                self.host.put(DEPLOYMENTS, {**deployment, "status": {"availableReplicas": 1}})
                moved = True
        return moved

    def _end_pods(self) -> bool:
        moved = False
        deployments = self._objects(DEPLOYMENTS)
        for pod in self._objects(PODS):
            stamp = pod["metadata"].get("deletionTimestamp")
            if any(_belongs(pod, deployment) for deployment in deployments):
                continue
            if stamp is None:
                stamp = self.clock.strftime("%Y-%m-%dT%H:%M:%SZ")
                metadata = {**pod["metadata"], "deletionTimestamp": stamp}
                self.host.put(PODS, {**pod, "metadata": metadata})
                moved = True
            elif self.clock >= datetime.fromisoformat(stamp) + self.grace:
                self._forget(PODS, pod)
                moved = True
        return moved

    def _forget(self, res: Any, obj: KubeObject) -> None:
        for key, each in self.host._server.objects.items():
            if key.plural == res.plural and each["metadata"]["uid"] == obj["metadata"]["uid"]:
                self.host._server.lifecycle._remove(key)

    def _admit(self, operation: str, plural: str, obj: KubeObject) -> KubeObject:
        obj = self.meddle(plural, as_stored(obj))
        if plural != "pods" or operation != "CREATE" or not self.webhook:
            return obj
        if "serviceAccountName" not in obj["spec"]:
            return obj  # of an API server, which calls nobody
        name, namespace = obj["spec"]["serviceAccountName"], obj["metadata"]["namespace"]
        accounts = [each["metadata"] for each in self._objects(SERVICEACCOUNTS)]
        found: KubeObject = next((one for one in accounts if (one["name"], one["namespace"]) == (name, namespace)), {})
        role = (found.get("annotations") or {}).get("eks.amazonaws.com/role-arn")
        if not role:
            return obj
        injected = json.loads(json.dumps(obj))
        skipped = (obj["metadata"].get("annotations") or {}).get("eks.amazonaws.com/skip-containers", "").split(",")
        for container in (*injected["spec"]["containers"], *injected["spec"].get("initContainers", ())):
            if container["name"] not in skipped:
                container.setdefault("env", []).append({"name": "AWS_ROLE_ARN", "value": role})
        return injected

    def _door(self, served: Served) -> Kube:
        if served.server.endswith(f":{ETCD_PORT}"):
            return self.etcd.kube()
        return Kube(_Shown(self, self.inside(served.server.rpartition("/")[2])._server, served.token))

    def _count(self, request: Request) -> None:
        if request.method not in WRITES or "dryRun" in request.params:
            return
        if self._fail_at is not None and self.writes >= self._fail_at:
            raise Interrupted(request.subject)
        self.writes += 1

    def snapshot(self) -> dict[str, str]:
        """All objects of all servers, without what differs from run to run, and without events, which outlive all."""
        found: dict[str, str] = {}
        ids = {each["metadata"]["uid"]: "UID" for each in self._objects(CONTROLPLANES)}
        ids |= {each.get("status", {}).get("controlPlaneID", "?"): "ID" for each in self._objects(CONTROLPLANES)}
        for side, kube in [("host", self.host), *self.insides.items()]:
            for key, obj in kube._server.objects.items():
                if key.plural == "events":
                    continue
                text = json.dumps(_stable(obj), sort_keys=True)
                place = f"{side} {key.plural} {key.namespace}/{key.name}"
                for uid, word in ids.items():
                    text, place = text.replace(uid, word), place.replace(uid, word)
                found[place] = _without_times(text)
        return found


def _revision(template: KubeObject) -> str:
    """What a StatefulSet calls a template: scaling makes no new one."""
    return format(zlib.crc32(json.dumps(template, sort_keys=True).encode()), "x")


class _Shown:
    """The way to an API server with a token, which may be void."""

    def __init__(self, world: World, server: Any, token: str | None) -> None:
        self._world, self._server, self._token = world, server, token

    async def send(self, request: Request) -> Response:
        self._check()
        return await self._server.send(request)

    def stream(self, request: Request) -> Any:
        self._check()
        return self._server.stream(request)

    def _check(self) -> None:
        self._world.shown.append(self._token)
        if self._token in self._world.void:
            raise Unauthorized(failure_status(401, "Unauthorized", "Unauthorized"))

    async def aclose(self) -> None:
        pass


def as_stored(obj: KubeObject) -> KubeObject:
    """An object as a real API server keeps it: quantities and empty values in its own form, defaults filled in."""
    if obj.get("kind") == "CustomResourceDefinition":
        return obj  # long, and nobody's values reach into them
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    try:
        return default(group, obj.get("kind", ""), normalize(group, version, obj.get("kind", ""), obj))
    except Malformed as fault:
        raise Invalid(failure_status(422, "Invalid", str(fault))) from None


def _belongs(pod: KubeObject, deployment: KubeObject) -> bool:
    mine, its = pod["metadata"], deployment["metadata"]
    same = mine["labels"].get("app.kubernetes.io/name") == its["name"]
    return bool(same and mine["namespace"] == its["namespace"])


def _runs(pod: KubeObject, deployment: KubeObject) -> bool:
    return bool(pod["metadata"]["name"].endswith(f"-{deployment['metadata']['generation']}"))


def _stable(obj: KubeObject) -> KubeObject:
    volatile = ("uid", "resourceVersion", "creationTimestamp", "generation")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in volatile}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if not k.startswith("keyless.dev/")}
    rest = {key: value for key, value in obj.items() if key not in ("data", "metadata")}
    return {**rest, "metadata": {**metadata, "annotations": annotations}, "keys": sorted(obj.get("data") or {})}


def _without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", re.sub(r'-\d+"', '-N"', text))


def a_definition(plural: str, group: str, *, managed: bool) -> KubeObject:
    """A CRD inside a control plane."""
    categories = ["managed"] if managed else []
    names = {"plural": plural, "kind": plural.capitalize(), "categories": categories}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": {"group": group, "names": names}}


__all__ = ["BILLING", "CRDS", "CTP1", "NOON", "ROLE", "Interrupted", "World", "a_definition"]
