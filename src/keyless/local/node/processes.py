"""Processes as the node sees them: started, signalled, and awaited through the spawner.

``Processes`` is the port; ``SpawnedProcesses`` talks to a ``spawner`` child; tests bring a fake.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from keyless.api import Permanent, Transient
from keyless.api.starting import SAFE_PATH
from keyless.local.node.mounts import Bind


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run. ``root`` is an empty folder for the process's own view of the file system, or empty for none."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    cwd: str = ""
    root: str = ""
    binds: tuple[Bind, ...] = ()
    function: str = ""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its code (128 + signal where a signal ended it)."""

    code: int
    signal: int = 0


class Process(Protocol):
    """A started process."""

    pid: int
    ticks: int

    async def wait(self) -> Ended:
        """Return when it has ended."""

    def signal(self, number: int) -> None:
        """Signal its process group; nothing happens when it has ended."""


class Processes(Protocol):
    """Starts processes."""

    async def start(self, launch: Launch, output: int) -> Process:
        """Start one; its output goes to the descriptor ``output``, which stays the caller's."""


class SpawnedProcesses:
    """Processes of one spawner child."""

    def __init__(self, peer: socket.socket, child: subprocess.Popen[bytes]) -> None:
        self._peer = peer
        self._child = child
        self._next = 0
        self._started: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._running: dict[int, SpawnedProcess] = {}
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None

    @classmethod
    def launch(cls, modules: Sequence[str] = ()) -> SpawnedProcesses:
        """Start the spawner; it imports ``modules`` meanwhile. Await ``ready`` before the first start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            child = subprocess.Popen(
                [sys.executable, SAFE_PATH, "-m", "keyless.local.node.spawner", str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C in the terminal is for us: we end the children in order
            )
        ours.setblocking(False)
        return cls(ours, child)

    async def ready(self) -> None:
        """Return when the spawner obeys; raises ``Permanent`` when it ended instead."""
        if self._reader is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._listen())
        assert self._ready is not None
        await asyncio.shield(self._ready)

    async def start(self, launch: Launch, output: int) -> SpawnedProcess:
        """See :class:`Processes`."""
        await self.ready()
        self._next += 1
        number = self._next
        started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._started[number] = started
        process = self._running[number] = SpawnedProcess(self, number)
        payload = os.memfd_create("launch")
        try:
            with os.fdopen(os.dup(payload), "wb") as file:
                file.write(json.dumps(asdict(launch)).encode("utf-8", "surrogateescape"))
            os.lseek(payload, 0, os.SEEK_SET)
            packet = json.dumps({"number": number}).encode()
            socket.send_fds(self._peer, [packet], [payload, output, output])
        except OSError as error:
            del self._started[number], self._running[number]
            raise Transient(f"the node's spawner does not answer: {error}") from error
        finally:
            os.close(payload)
        answer = await started
        process.pid, process.ticks = answer["pid"], answer["ticks"]
        return process

    def send_signal(self, number: int, which: int) -> None:
        """Have a child's group signalled."""
        if number in self._running:
            self._peer.send(json.dumps({"number": number, "signal": which}).encode())

    async def aclose(self) -> None:
        """Let the spawner end its children and go; returns when it has."""
        if self._reader is not None:
            self._reader.cancel()
        self._peer.close()
        await asyncio.to_thread(self._child.wait)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while packet := await loop.sock_recv(self._peer, 65536):
            message = json.loads(packet)
            if "ready" in message:
                assert self._ready is not None
                self._ready.set_result(None)
            elif "pid" in message:
                self._started.pop(message["number"]).set_result(message)
            else:
                self._running.pop(message["number"]).finish(message["status"])
        self._lose()

    def _lose(self) -> None:
        """The spawner has gone: so have its children."""
        fault = Permanent("the node's spawner ended: no pod can run; stop the node and start it again")
        for waiting in (self._ready, *self._started.values()):
            if waiting is not None and not waiting.done():
                waiting.set_exception(fault)
        for process in list(self._running.values()):
            process.finish(signal.SIGKILL)
        self._running.clear()


class SpawnedProcess:
    """A child of the spawner."""

    def __init__(self, owner: SpawnedProcesses, number: int) -> None:
        self.pid = 0
        self.ticks = 0
        self._owner = owner
        self._number = number
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Ended:
        """See :class:`Process`."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """See :class:`Process`."""
        self._owner.send_signal(self._number, number)

    def finish(self, status: int) -> None:
        """The spawner reported the end, as a wait status."""
        code = os.waitstatus_to_exitcode(status)
        if not self._ended.done():
            self._ended.set_result(Ended(code) if code >= 0 else Ended(128 - code, -code))
