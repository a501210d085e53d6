"""A real cluster in memory with its controllers, in virtual time, and a node that makes pods ready at once."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from keyless.kube import timestamp
from keyless.kube.resources import NODES, PODS
from keyless.local.cluster.cluster import Cluster
from keyless.local.cluster.controllers import run_controllers
from keyless.local.cluster.controllers.world import ClusterWorld
from keyless.local.cluster.settings import ClusterSettings
from keyless.local.cluster.store import Key

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def clock():
    """Virtual time as a date; before a loop runs, the beginning."""
    try:
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())
    except RuntimeError:
        return BEGIN


def make_cluster(database=None):
    return Cluster(
        ClusterSettings(
            database=database or sqlite3.connect(":memory:", isolation_level=None),
            server_url="https://127.0.0.1:6443",
            admin_token="admin-token",
            kubelet_token="kubelet-token",
            ca_pem="-----BEGIN CERTIFICATE-----\n",
            now=clock,
        )
    )


class Space:
    """The cluster, a world to look at it, and the pretended node."""

    def __init__(self, cluster: Cluster, name: str = "keyless") -> None:
        self.cluster = cluster
        self.name = name
        self.world = ClusterWorld(cluster, name)
        self.kube = self.world.kube
        self.broken = False
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        self._unsubscribe = cluster.store.subscribe(self._accept)

    def get(self, res, name, namespace=""):
        return self.world.get(res, name, namespace)

    def list(self, res, namespace="default"):
        return self.world.list(res, namespace if res.namespaced else None)

    def names(self, res, namespace="default"):
        return [obj["metadata"]["name"] for obj in self.list(res, namespace)]

    async def until(self, holds, seconds=900):
        """Wait for a state, change by change."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def settled(self, seconds=20):
        """Wait until nothing changes for a while."""
        while True:
            version = self.cluster.store.resource_version
            await asyncio.sleep(seconds)
            if self.cluster.store.resource_version == version:
                return

    def stop(self):
        self._unsubscribe()
        for task in self._tasks:
            task.cancel()

    def _accept(self, change):
        self._news.set()
        if change.entry.key.resource == "pods" and change.type != "DELETED":
            task = asyncio.get_running_loop().create_task(self._run_pod(change.entry.key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run_pod(self, key: Key):
        entry = self.cluster.store.get(key)
        if entry is None:
            return
        pod, metadata = entry.object, entry.object["metadata"]
        world = ClusterWorld(self.cluster, key.cluster)
        if metadata.get("deletionTimestamp"):
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
            path = f"/api/v1/namespaces/{key.namespace}/pods/{key.name}"
            await self.cluster.call(key.cluster, "DELETE", path, options)
        elif not self.broken and (pod.get("status") or {}).get("phase") == "Pending":
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp(clock())}
            status = {**(pod.get("status") or {}), "phase": "Running", "conditions": [ready]}
            await world.kube.replace(PODS, {**pod, "status": status}, subresource="status")


@asynccontextmanager
async def running(cluster):
    """Controllers for the time of the block."""
    task = asyncio.create_task(run_controllers(cluster))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def add_node(space, name="local-node", **labels):
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamp(clock())}
    await space.kube.create(NODES, {"metadata": {"name": name, "labels": labels}, "status": {"conditions": [ready]}})
