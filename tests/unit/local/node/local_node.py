"""A node over an API server in memory, whose processes are values."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyless.kube import KubeObject
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import PODS
from keyless.local.node import Image, ImageMap, Kubelet, NodeConfiguration
from keyless.local.node.processes import Ended, Launch

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeProcess:
    """A process that ends when the test says so; SIGTERM and SIGKILL end it unless it is stubborn."""

    def __init__(self, launch: Launch, pid: int, output: int) -> None:
        self.launch = launch
        self.pid = pid
        self.ticks = 0
        self.signals: list[int] = []
        self.is_stubborn = False
        self._output = os.dup(output)
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Ended:
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        if self._ended.done():
            return
        self.signals.append(number)
        if number == signal.SIGKILL or not self.is_stubborn:
            self.end(128 + number, number)

    def say(self, text: str) -> None:
        os.write(self._output, text.encode())

    def end(self, code: int, number: int = 0) -> None:
        os.close(self._output)
        self._ended.set_result(Ended(code, number))


class FakeProcesses:
    """Remembers what was launched."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self._news = asyncio.Event()

    async def start(self, launch: Launch, output: int) -> FakeProcess:
        process = FakeProcess(launch, 100 + len(self.started), output)
        self.started.append(process)
        self._news.set()
        return process

    async def nth(self, count: int) -> FakeProcess:
        while len(self.started) < count:
            self._news.clear()
            await self._news.wait()
        return self.started[count - 1]

    def of(self, name: str) -> list[FakeProcess]:
        return [process for process in self.started if process.launch.name == name]


class Clock:
    """Time stands still until the test moves it."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


class Node:
    """A kubelet at work, and what a test does with it."""

    def __init__(self, folder: Path, kube: MemoryKube, clock: Clock) -> None:
        self.kube = kube
        self.clock = clock
        self.folder = folder
        self.processes = FakeProcesses()
        self.configuration = NodeConfiguration(
            name="local-node",
            folder=folder,
            images=ImageMap({"app": Image(("run-app",)), "keyless/keyless": Image(("py", "-m", "keyless"), "m:f")}),
            kubelet_port=10250,
            kubelet_token="kubelet",
            server_url="https://127.0.0.1:6443",
            environment={
                "AWS_REGION": "us-west-2",
                "AWS_DEFAULT_REGION": "us-west-2",
                "AWS_ENDPOINT_URL": "http://aws",
                "AWS_ENDPOINT_URL_STS": "http://aws",
            },
            now=clock,
        )
        self.kubelet = Kubelet(self.configuration, kube, self.processes)
        self._task = asyncio.create_task(self.kubelet.run())

    def pod(self, name: str = "web", **spec: Any) -> KubeObject:
        metadata = spec.pop("metadata", {})
        containers = spec.pop("containers", [{"name": "app", "image": "app:1"}])
        body = {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", **metadata},
            "spec": {"nodeName": "local-node", "serviceAccountName": "web", "containers": containers, **spec},
        }
        return self.kube.put(PODS, body)

    async def status_of(self, name: str, holds: Callable[[KubeObject], bool]) -> KubeObject:
        """The pod's status as soon as ``holds`` is true of it."""
        events = self.kube.watch(PODS, "default", initial_events=True)
        async for event in events:
            obj = event.object
            if event.type == "BOOKMARK" or obj["metadata"]["name"] != name:
                continue
            status = obj.get("status") or {}
            if event.type != "DELETED" and status.get("containerStatuses") and holds(status):
                await events.aclose()
                return status
        raise AssertionError("the watch ended")

    async def confirmed(self, name: str) -> None:
        """Return when the node has confirmed the pod's deletion."""
        async with asyncio.timeout(5):
            while f"DELETE /api/v1/namespaces/default/pods/{name}" not in self.kube.calls:
                await asyncio.sleep(0)

    async def delete(self, name: str) -> None:
        """What a graceful deletion by the API server leaves: a timestamp and a grace."""
        pod = await self.kube.get(PODS, name, "default")
        # The server in memory has no graceful deletion: a finalizer keeps the pod until the node confirms.
        marks = {
            "deletionTimestamp": "2026-11-22T12:00:00Z",
            "deletionGracePeriodSeconds": 30,
            "finalizers": ["test/until-confirmed"],
        }
        self.kube.put(PODS, {**pod, "metadata": {**pod["metadata"], **marks}})

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
