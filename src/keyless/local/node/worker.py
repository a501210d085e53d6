"""The loop of one pod: gather the facts, ask the plan, act, write the status; again whenever something changes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from keyless.api import KeylessError
from keyless.kube import KubeObject, NotFound
from keyless.kube.resources import PODS
from keyless.local.node import addresses, logs, plan
from keyless.local.node.configuration import Surroundings, log
from keyless.local.node.container import StartedContainer
from keyless.local.node.environment import ConfigFault, Place
from keyless.local.node.launching import PodPlace, launch
from keyless.local.node.model import (
    ContainerRun,
    Exited,
    Hold,
    PodFacts,
    Remove,
    Running,
    Start,
    Stop,
    Waiting,
    containers,
    init_containers,
)
from keyless.local.node.probing import Outcome, Tally
from keyless.local.node.processes import Ended
from keyless.local.node.record import PodRecord, after_a_crash, load, save
from keyless.local.node.status import pod_status
from keyless.local.node.volumes.payload import references
from keyless.local.node.volumes.pod_volumes import PodVolumes

RETRY = timedelta(seconds=10)
VANISHED_GRACE_SECONDS = 1.0


class PodWorker:
    """Owns the processes and files of one pod, from its binding to the confirmation of its deletion."""

    def __init__(self, surroundings: Surroundings, pod: KubeObject, taken_addresses: set[str]) -> None:
        self.pod = pod
        self.references = references(pod)
        self.published = asyncio.Event()
        self._around = surroundings
        self._folder = surroundings.pods_folder / pod["metadata"]["uid"]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = load(self._folder)
        self.pod_ip = self._address(known, taken_addresses)
        self._started_at = known.started_at if known else surroundings.now()
        runs = known.runs if known else {}
        self._runs = {name: after_a_crash(run, surroundings.now()) for name, run in runs.items()}
        persistent = surroundings.configuration.folder / "volumes"
        self._volumes = PodVolumes(surroundings.kube, self._folder / "volumes", persistent, surroundings.now)
        self._containers: dict[str, StartedContainer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stale_sources = False
        self._status: KubeObject | None = None
        self.has_vanished = False
        self.is_done = False
        self._leaving = False

    def update(self, pod: KubeObject) -> None:
        """The pod as it is now."""
        self.pod = pod
        self._wake.set()

    def vanish(self) -> None:
        """The pod is gone from the API: end what is left of it."""
        self.has_vanished = True
        self._wake.set()

    def sources_changed(self) -> None:
        """A Secret or ConfigMap that the pod reads has changed."""
        self._stale_sources = True
        self._wake.set()

    def log_of(self, container: str) -> tuple[int, logs.LogFile | None] | None:
        """The number of the last attempt and its open log; None for a container that was never started."""
        run = self._runs.get(container)
        if run is None or not run.attempts:
            return None
        started = self._containers.get(container)
        return run.attempts, started.log if started else None

    @property
    def logs_folder(self) -> Any:
        """Where the logs of this pod are."""
        return self._folder / "logs"

    async def run(self) -> None:
        """Work until the pod is gone."""
        while not self.is_done:
            self._wake.clear()
            try:
                wake_at = await self._turn()
            except KeylessError as error:
                log.warning("pod is tried again", pod=self.pod["metadata"]["name"], error=str(error))
                wake_at = self._around.now() + timedelta(seconds=1)
            await self._sleep(wake_at)

    async def leave(self) -> None:
        """The node stops: end the processes, keep the files; the API keeps the pod."""
        self._leaving = True
        grace = plan.grace_seconds(self._facts())
        await asyncio.gather(*(started.stop(grace) for started in self._containers.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _turn(self) -> datetime | None:
        """One round. Returns when to look again at the latest."""
        if self.has_vanished:
            await self._clear()
            return None
        if self._stale_sources or self._tokens_are_due():
            await self._refresh()
        decided = plan.decide(self._facts())
        for action in decided.actions:
            await self._apply(action)
        if not self.is_done:
            await self._publish()
        if decided.actions:
            self._wake.set()  # what was done changes what is to be done
        return min((time for time in (decided.wake_at, self._volumes.renew_at) if time), default=None)

    async def _apply(self, action: Start | Stop | Hold | Remove) -> None:
        match action:
            case Start(container):
                await self._start(container)
            case Stop(container, grace_seconds, message):
                self._stop(container, grace_seconds, message)
            case Hold(container, reason, message, until):
                self._hold(container, reason, message, until)
            case Remove():
                await self._confirm_deletion()

    async def _start(self, name: str) -> None:
        """Prepare and start; whatever is missing makes the container wait with a kubelet's words."""
        spec = self._spec(name)
        run = self._run(name)
        configuration = self._around.configuration
        lookup = self._around.objects.lookup(self.pod["metadata"]["namespace"])
        await self._around.objects.freshen(self.pod["metadata"]["namespace"], self.references)
        fault = await self._volumes.prepare(self.pod, self._place(), lookup)
        if fault is not None:
            self._tell("FailedMount", fault.message, level="Warning")
            self._set(name, replace(run, state=Waiting(), retry_at=self._around.now() + RETRY))
            return
        where = PodPlace(self._folder, self._place(), self._volumes.folders, self._around.own_views)
        ready = launch(spec, self.pod, where, configuration, lookup)
        if isinstance(ready, ConfigFault):
            self._tell("Failed", f"Error: {ready.message}", level="Warning")
            waiting = Waiting("CreateContainerConfigError", ready.message)
            self._set(name, replace(run, state=waiting, last=_last(run), retry_at=self._around.now() + RETRY))
            return
        await self._launch(name, spec, ready)

    async def _launch(self, name: str, spec: dict[str, Any], ready: Any) -> None:
        run = self._run(name)
        attempt = run.attempts + 1
        self._tell("Pulled", f'Container image "{spec["image"]}" already present on machine')
        self._tell("Created", f"Created container: {name}")
        logs.forget_old_attempts(self.logs_folder, name, attempt)
        log_file = logs.LogFile(logs.path_of(self.logs_folder, name, attempt), self._around.now)
        started = StartedContainer(spec, ready, self._around.processes, log_file, self.pod_ip, self._hear(name))
        process = await started.start()
        self._containers[name] = started
        self._set(
            name,
            ContainerRun(
                state=Running(self._around.now(), process.pid, process.ticks),
                last=_last(run),
                restarts=attempt - 1,
                attempts=attempt,
                crashes=run.crashes,
                container_id=uuid4().hex,
                started="startupProbe" not in spec,
                ready="startupProbe" not in spec and "readinessProbe" not in spec,
            ),
        )
        self._tell("Started", f"Started container {name}")
        if not self._around.own_views and ready.binds == () and spec.get("volumeMounts"):
            self._tell(
                "MountsRewritten",
                "this system gives processes no view of their own: mount paths in the "
                "environment and the arguments were replaced by the real folders",
            )
        self._own(self._await_end(name, started))

    async def _await_end(self, name: str, started: StartedContainer) -> None:
        ended = await started.ended()
        run = self._run(name)
        assert isinstance(run.state, Running)
        self._containers.pop(name, None)
        exited = _exited(ended, run, self._around.now())
        self._set(name, plan.ended(run, exited))
        if (
            not self._leaving
            and not self.pod["metadata"].get("deletionTimestamp")
            and plan.decide(self._facts()).wake_at
        ):
            self._tell(
                "BackOff", f"Back-off restarting failed container {name} in pod {self._facts().label}", level="Warning"
            )
        self._wake.set()

    def _stop(self, name: str, grace_seconds: float, message: str) -> None:
        started = self._containers.get(name)
        if started is None:
            return
        self._set(name, replace(self._run(name), stopping=True, ready=False))
        self._tell("Killing", f"Container {name} {message}" if message else f"Stopping container {name}")
        self._own(started.stop(grace_seconds))

    def _hold(self, name: str, reason: str, message: str, until: datetime) -> None:
        run = self._run(name)
        self._set(name, replace(run, state=Waiting(reason, message), last=_last(run), retry_at=until))
        if reason in {"ErrImagePull", "ImagePullBackOff"}:
            told = "Failed" if reason == "ErrImagePull" else "BackOff"
            self._tell(told, message[0].upper() + message[1:], level="Warning")

    def _hear(self, name: str) -> Any:
        """What the probes of a container find."""

        def hear(kind: str, outcome: Outcome, tally: Tally) -> None:
            run = self._run(name)
            if not outcome.ok:
                self._tell("Unhealthy", f"{kind} probe failed: {outcome.message}", level="Warning")
            if kind == "Readiness":
                run = replace(run, ready=tally.verdict is True)
            elif tally.verdict is False:
                run = replace(run, unhealthy=f"failed {kind.lower()} probe, will be restarted")
            elif kind == "Startup" and tally.verdict:
                run = replace(run, started=True, ready="readinessProbe" not in self._spec(name))
            if run != self._run(name):
                self._set(name, run)
                self._wake.set()

        return hear

    async def _refresh(self) -> None:
        """Write changed sources and renewed tokens into the volumes; let containers that waited for them try again."""
        self._stale_sources = False
        for name, run in self._runs.items():
            if isinstance(run.state, Waiting) and run.state.reason in {
                "ContainerCreating",
                "CreateContainerConfigError",
            }:
                self._runs[name] = replace(run, retry_at=None)
        if any(run.is_running for run in self._runs.values()):
            lookup = self._around.objects.lookup(self.pod["metadata"]["namespace"])
            fault = await self._volumes.prepare(self.pod, self._place(), lookup)
            if fault is not None:
                self._tell("FailedMount", fault.message, level="Warning")

    async def _publish(self) -> None:
        """Write the status when it differs from what was written last."""
        status = pod_status(
            self._facts(),
            pod_ip=self.pod_ip,
            host_ip=self._around.configuration.host_ip,
            started_at=self._started_at,
            written=self._status,
        )
        metadata = self.pod["metadata"]
        if status != self._status:
            patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
            try:
                await self._around.kube.patch(
                    PODS, metadata["name"], patch, metadata["namespace"], subresource="status"
                )
            except NotFound:
                self.has_vanished = True
                self._wake.set()
            self._status = status
        self.published.set()

    async def _confirm_deletion(self) -> None:
        await self._clear()
        metadata = self.pod["metadata"]
        path = PODS.path(metadata["namespace"], metadata["name"])
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        try:
            await self._around.kube.request("DELETE", path, body=body)
        except NotFound:
            return

    async def _clear(self) -> None:
        """End every process that is left and remove the pod's files."""
        await asyncio.gather(*(started.stop(VANISHED_GRACE_SECONDS) for started in self._containers.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self.published.set()
        self.is_done = True

    async def _sleep(self, until: datetime | None) -> None:
        if self.is_done:
            return
        seconds = None if until is None else max((until - self._around.now()).total_seconds(), 0.0)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _facts(self) -> PodFacts:
        images = self._around.configuration.images
        every = (*init_containers(self.pod), *containers(self.pod))
        why = f"this node can run: {', '.join(images.names) or 'nothing'}; name more with --image-map"
        unrunnable = {c["name"]: why for c in every if images.find(c["image"]) is None}
        return PodFacts(self.pod, dict(self._runs), unrunnable, self._around.now())

    def _place(self) -> Place:
        return Place(self.pod_ip, self._around.configuration.host_ip)

    def _tokens_are_due(self) -> bool:
        renew_at = self._volumes.renew_at
        return renew_at is not None and self._around.now() >= renew_at

    def _address(self, known: PodRecord | None, taken: set[str]) -> str:
        if self.pod["spec"].get("hostNetwork"):
            return self._around.configuration.host_ip
        return known.pod_ip if known else addresses.choose(self.pod["metadata"]["uid"], taken)

    def _spec(self, name: str) -> dict[str, Any]:
        return next(c for c in (*init_containers(self.pod), *containers(self.pod)) if c["name"] == name)

    def _run(self, name: str) -> ContainerRun:
        return self._runs.get(name, ContainerRun())

    def _set(self, name: str, run: ContainerRun) -> None:
        self._runs[name] = run
        if self._folder.exists():
            save(self._folder, PodRecord(self.pod["metadata"]["uid"], self.pod_ip, self._started_at, self._runs))

    def _tell(self, reason: str, message: str, *, level: Any = "Normal") -> None:
        self._around.stories.tell(self.pod, reason, message, level=level)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _exited(ended: Ended, run: ContainerRun, now: datetime) -> Exited:
    assert isinstance(run.state, Running)
    reason = "Completed" if ended.code == 0 else "Error"
    return Exited(ended.code, reason, run.state.started_at, now, ended.signal, container_id=run.container_id)


def _last(run: ContainerRun) -> Exited | None:
    return run.state if isinstance(run.state, Exited) else run.last
