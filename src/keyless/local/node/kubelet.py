"""The node as a whole: its registration, its scheduler, a worker for each of its pods, and the end of all of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from functools import partial
from pathlib import Path

from keyless.kube import Event, Informer, Kube, KubeObject, Name
from keyless.kube.resources import PODS
from keyless.local.node import namespaces, registration
from keyless.local.node.callers import ByToken, Judge
from keyless.local.node.configuration import NodeConfiguration, Storyteller, Surroundings, log
from keyless.local.node.model import Running
from keyless.local.node.objects import Objects
from keyless.local.node.processes import Processes
from keyless.local.node.procfs import start_ticks
from keyless.local.node.record import PodRecord, load
from keyless.local.node.scheduler import Scheduler
from keyless.local.node.server import KubeletApp
from keyless.local.node.worker import PodWorker
from keyless.tasks import Tasks

ORPHAN_SECONDS = 5.0
ORPHAN_POLL_SECONDS = 0.02

__all__ = ["Kubelet", "NodeConfiguration"]


class Kubelet:
    """``run`` works until cancelled; ``settled`` returns when the pods found at the start have a true status again."""

    def __init__(
        self, configuration: NodeConfiguration, kube: Kube, processes: Processes, judge: Judge | None = None
    ) -> None:
        """``judge``: who may read logs; without one, whoever shows the configured token."""
        self.app = KubeletApp(self, judge or ByToken(configuration.kubelet_token))
        self._configuration = configuration
        self._kube = kube
        self._processes = processes
        self._objects = Objects(kube)
        self._objects.on_change(self._object_changed)
        self._stories = Storyteller(kube, "kubelet")
        self._schedulings = Storyteller(kube, "default-scheduler")
        labels = registration.node_labels(configuration)
        self._scheduler = Scheduler(kube, configuration, labels, self._schedulings)
        self._pods = Informer(kube, PODS, fields=f"spec.nodeName={configuration.name}")
        self._workers: dict[str, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._around: Surroundings | None = None
        self._settled = asyncio.Event()

    async def settled(self) -> None:
        """Return when every pod of an earlier run has been looked at."""
        await self._settled.wait()

    async def run(self) -> None:
        """Register, then run pods until cancelled; their processes are ended before this returns."""
        folder = self._configuration.folder
        (folder / "pods").mkdir(mode=0o700, parents=True, exist_ok=True)
        await end_orphans(folder / "pods")
        self._around = self._surroundings()
        node = await registration.register(self._kube, self._configuration)
        try:
            async with Tasks() as group:
                group.create_task(registration.heartbeat_forever(self._kube, self._configuration, node))
                for work in (self._stories.run(), self._schedulings.run(), self._objects.run()):
                    group.create_task(work)
                group.create_task(self._follow_pods())
                group.create_task(self._scheduler.informer.run())
                group.create_task(self._scheduler.controller.run())
        finally:
            await asyncio.shield(self._leave())

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod of this node."""
        pod = self._pods.get(name, namespace)
        return self._workers.get(pod["metadata"]["uid"]) if pod else None

    def _surroundings(self) -> Surroundings:
        fault = find_view_fault(self._configuration.folder)
        if fault:
            log.warning("processes get no view of their own: mount paths are rewritten", fault=fault)
        return Surroundings(
            self._configuration, self._kube, self._processes, self._objects, self._stories, own_views=not fault
        )

    async def _follow_pods(self) -> None:
        await self._objects.synced()
        self._pods.on_change(self._pod_changed)
        async with Tasks() as group:
            group.create_task(self._pods.run())
            await self._pods.synced()
            self._forget_strangers()
            await asyncio.gather(*(worker.published.wait() for worker in list(self._workers.values())))
            self._settled.set()

    def _pod_changed(self, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event.old is not None and event.old["metadata"]["uid"] != uid:
            self._vanished(event.old)  # deleted and made anew between two looks
        if event.type == "DELETED":
            self._vanished(event.object)
        elif worker is not None:
            worker.update(event.object)
        else:
            self._adopt(event.object)

    def _adopt(self, pod: KubeObject) -> None:
        assert self._around is not None
        uid = pod["metadata"]["uid"]
        taken = {worker.pod_ip for worker in self._workers.values()}
        worker = self._workers[uid] = PodWorker(self._around, pod, taken)
        task = asyncio.create_task(worker.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(partial(self._finished, uid))

    def _finished(self, uid: str, task: asyncio.Task[None]) -> None:
        worker = self._workers[uid]
        # Until the watch says that the pod is gone, late news of it must find its worker, not make a new one.
        if worker.has_vanished:
            self._workers.pop(uid)
        if not task.cancelled() and task.exception() is not None:
            # A bug in the handling of one pod must not take the others down; it is told, with where it happened.
            log.error("pod is abandoned", pod=worker.pod["metadata"]["name"], exc_info=task.exception())

    def _vanished(self, pod: KubeObject) -> None:
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is None:
            return
        worker.vanish()
        if worker.is_done:
            self._workers.pop(uid)

    def _object_changed(self, kind: str, name: Name) -> None:
        for worker in self._workers.values():
            if worker.pod["metadata"]["namespace"] == name.namespace and (kind, name.name) in worker.references:
                worker.sources_changed()

    def _forget_strangers(self) -> None:
        """Remove the folders of pods that were deleted while this node was away."""
        for folder in (self._configuration.folder / "pods").iterdir():
            if folder.name not in self._workers:
                shutil.rmtree(folder, ignore_errors=True)

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(worker.leave() for worker in list(self._workers.values())), return_exceptions=True)


def find_view_fault(folder: Path) -> str:
    """Why containers cannot have a view of their own here; empty when they can."""
    scratch = folder / "trial"
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    return namespaces.find_fault(str(scratch))


async def end_orphans(folder: Path) -> None:
    """End processes that a node which was killed has left, known by id and start time."""
    orphans = [
        (run.state.pid, run.state.ticks)
        for record in _records(folder)
        for run in record.runs.values()
        if isinstance(run.state, Running)
    ]
    alive = [(pid, ticks) for pid, ticks in orphans if ticks and start_ticks(pid) == ticks]
    for pid, _ in alive:
        log.info("ending an orphan of the last run", pid=pid)
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    await asyncio.wait_for(_gone(alive), ORPHAN_SECONDS)


async def _gone(processes: list[tuple[int, int]]) -> None:
    # They are not our children, so there is nothing to await: look again until they are reaped.
    while any(start_ticks(pid) == ticks for pid, ticks in processes):  # noqa: ASYNC110 - see above
        await asyncio.sleep(ORPHAN_POLL_SECONDS)


def _records(folder: Path) -> list[PodRecord]:
    return [record for pod in folder.iterdir() if pod.is_dir() and (record := load(pod)) is not None]
