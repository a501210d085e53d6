"""The Node object of this node, and the Lease that says it is alive."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import datetime

from keyless.api import KeylessError
from keyless.kube import AlreadyExists, Kube, KubeObject, timestamp
from keyless.kube.resources import LEASES, NODES
from keyless.local.node.configuration import NodeConfiguration, log

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
HEARTBEAT_SECONDS = 10.0
VERSION = "v1.32.9-eks-113cf36"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PODS_CAPACITY = 110
PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


def node_labels(configuration: NodeConfiguration) -> dict[str, str]:
    """The labels that every kubelet sets, and the configured ones."""
    machine = ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "kubernetes.io/hostname": configuration.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine,
        **configuration.labels,
    }


def node_object(configuration: NodeConfiguration) -> KubeObject:
    """The Node without its status."""
    spec = {"taints": [taint(configuration.asked_by)]} if configuration.asked_by else {}
    return {"metadata": {"name": configuration.name, "labels": node_labels(configuration)}, "spec": spec}


def taint(key: str) -> dict[str, str]:
    """What keeps pods away that did not ask: they are processes of this machine here, as its user."""
    return {"key": key, "effect": "NoSchedule"}


def node_status(configuration: NodeConfiguration, now: datetime, since: datetime) -> KubeObject:
    """The status of a node that is well."""
    resources = {"cpu": str(os.cpu_count() or 1), "memory": f"{_memory_kib()}Ki", "pods": str(PODS_CAPACITY)}
    conditions = [
        {"type": kind, "status": "False", "reason": reason, "message": message} for kind, reason, message in PRESSURES
    ]
    conditions.append(
        {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    )
    stamps = {"lastHeartbeatTime": timestamp(now), "lastTransitionTime": timestamp(since)}
    return {
        "capacity": resources,
        "allocatable": resources,
        "conditions": [{**condition, **stamps} for condition in conditions],
        "addresses": [
            {"type": "InternalIP", "address": configuration.host_ip},
            {"type": "Hostname", "address": configuration.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": configuration.kubelet_port}},
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": "processes of this machine",
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        },
    }


async def register(kube: Kube, configuration: NodeConfiguration) -> KubeObject:
    """Make or refresh the Node; returns it as stored."""
    node = node_object(configuration)
    try:
        stored = await kube.create(NODES, node)
    except AlreadyExists:
        stored = await kube.patch(NODES, configuration.name, {"metadata": {"labels": node["metadata"]["labels"]}})
    now = configuration.now()
    status = {"status": node_status(configuration, now, now)}
    return await kube.patch(NODES, configuration.name, status, subresource="status") or stored


async def heartbeat_forever(kube: Kube, configuration: NodeConfiguration, node: KubeObject) -> None:
    """Renew the Lease until cancelled; a renewal that fails is tried again with the next."""
    while True:
        try:
            await _renew(kube, configuration, node)
        except KeylessError as error:
            log.warning("lease not renewed", node=configuration.name, error=str(error))
        await asyncio.sleep(HEARTBEAT_SECONDS)


async def _renew(kube: Kube, configuration: NodeConfiguration, node: KubeObject) -> None:
    renew_time = configuration.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": configuration.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renew_time}
    owner = {"apiVersion": "v1", "kind": "Node", "name": configuration.name, "uid": node["metadata"]["uid"]}
    lease = {"metadata": {"name": configuration.name, "ownerReferences": [owner]}, "spec": spec}
    try:
        await kube.create(LEASES, lease, LEASE_NAMESPACE)
    except AlreadyExists:
        await kube.patch(LEASES, configuration.name, lease, LEASE_NAMESPACE)


def _memory_kib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
