"""One started container: its process, its log, its probes, and its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keyless.local.node import probing
from keyless.local.node.logs import LogFile
from keyless.local.node.probing import Outcome, Tally
from keyless.local.node.processes import Ended, Launch, Process, Processes
from keyless.tasks import Tasks

PROBES = (("startupProbe", "Startup"), ("livenessProbe", "Liveness"), ("readinessProbe", "Readiness"))
OUTPUT_BYTES = 4096
LAST_WORDS_SECONDS = 1.0


class StartedContainer:
    """``tell(kind, outcome, tally)`` hears every probe; ``ended`` is awaited once by the worker."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        launch: Launch,
        processes: Processes,
        log: LogFile,
        pod_ip: str,
        tell: Callable[[str, Outcome, Tally], None],
    ) -> None:
        self.log = log
        self._spec = spec
        self._launch = launch
        self._processes = processes
        self._pod_ip = pod_ip
        self._tell = tell
        self._tasks: list[asyncio.Task[None]] = []
        self._process: Process | None = None

    async def start(self) -> Process:
        """Start the process and what watches it."""
        reader, writer = os.pipe()
        try:
            self._process = await self._processes.start(self._launch, writer)
        except BaseException:
            os.close(reader)
            self.log.close()
            raise
        finally:
            os.close(writer)
        self._tasks = [asyncio.create_task(work) for work in (self.log.follow_pipe(reader), self._probe())]
        return self._process

    async def ended(self) -> Ended:
        """Wait for the end of the process; probes end with it."""
        assert self._process is not None
        ended = await self._process.wait()
        reading, probing_task = self._tasks
        probing_task.cancel()
        # Its last words may still be in the pipe, which ends when nobody holds it any more.
        await asyncio.wait({reading}, timeout=LAST_WORDS_SECONDS)
        reading.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return ended

    async def stop(self, grace_seconds: float) -> None:
        """preStop hook, SIGTERM, and SIGKILL when the grace is over."""
        assert self._process is not None
        ended = asyncio.ensure_future(self._process.wait())
        deadline = asyncio.get_running_loop().time() + grace_seconds
        hook = (self._spec.get("lifecycle") or {}).get("preStop")
        if hook and grace_seconds > 0:
            await asyncio.wait({ended, asyncio.ensure_future(self._hook(hook, grace_seconds))}, timeout=grace_seconds)
        if grace_seconds > 0 and not ended.done():
            self._process.signal(signal.SIGTERM)
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait({ended}, timeout=max(left, 1.0))
        if not ended.done():
            self._process.signal(signal.SIGKILL)
            await ended

    async def _hook(self, hook: Mapping[str, Any], grace_seconds: float) -> None:
        probe = {**hook, "timeoutSeconds": grace_seconds}
        await probing.ask(probe, self._spec, self._pod_ip, self._execute)

    async def _probe(self) -> None:
        """The startup probe first, alone; then liveness and readiness side by side."""
        first, *others = PROBES
        if startup := self._spec.get(first[0]):
            await self._follow(first[1], startup, until_started=True)
        async with Tasks() as group:
            for field, kind in others:
                if probe := self._spec.get(field):
                    group.create_task(self._follow(kind, probe, until_started=False))

    async def _follow(self, kind: str, probe: Mapping[str, Any], *, until_started: bool) -> None:
        def tell(outcome: Outcome, tally: Tally) -> bool:
            self._tell(kind, outcome, tally)
            return until_started and tally.verdict is True

        async def ask() -> Outcome:
            return await probing.ask(probe, self._spec, self._pod_ip, self._execute)

        await probing.probe_forever(probe, ask, tell)

    async def _execute(self, argv: list[str]) -> tuple[int, str]:
        """Run a command beside the process, with its environment and its view of the file system."""
        reader, writer = os.pipe()
        root = Path(self._launch.root, "..", f"{self._launch.name}.exec") if self._launch.root else None
        if root is not None:
            root.mkdir(exist_ok=True)
        launch = replace(self._launch, argv=argv, function="", arguments=(), root=str(root.resolve()) if root else "")
        try:
            process = await self._processes.start(launch, writer)
        finally:
            os.close(writer)
        try:
            ended = await process.wait()
            os.set_blocking(reader, False)
            return ended.code, _read(reader)
        finally:
            process.signal(signal.SIGKILL)
            os.close(reader)


def _read(reader: int) -> str:
    try:
        return os.read(reader, OUTPUT_BYTES).decode(errors="replace").strip()
    except BlockingIOError:
        return ""
