"""The process that all containers are children of: small, single-threaded, so that it may fork safely.

``python -m keyless.local.node.spawner SOCKET MODULE…`` imports the modules once, then obeys one peer over a socket of
packets (JSON, with file descriptors beside it): *start* forks a container, *signal* reaches its process group; the end
of each child is reported. When the peer goes, however it goes, the children are ended: nothing outlives the node.

A container whose image is one of ours may be a function that is called after the fork: it starts in a millisecond and
shares the memory of the imported modules.
"""

from __future__ import annotations

import array
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from typing import Any, NoReturn

from keyless.local.node import namespaces
from keyless.local.node.mounts import Bind
from keyless.local.node.procfs import start_ticks

PACKET_BYTES = 65536
FAREWELL_SECONDS = 3.0
PR_SET_NAME, PR_SET_PDEATHSIG = 15, 1
CANNOT_START = 127  # the shell's code for a command that could not be run
STDIO = 3


def main() -> None:
    """Serve the peer on the inherited socket until it goes."""
    peer = socket.socket(fileno=int(sys.argv[1]))
    for module in sys.argv[2:]:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a container that needs it will say so itself
            sys.stderr.write(f"keyless: {module} is not preloaded: {error}\n")
    gc.collect()
    gc.freeze()  # what was imported is never collected, so its pages stay shared with the children
    Spawner(peer).serve()


class Spawner:
    """Children by the peer's number for them."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._children: dict[int, int] = {}  # process id → number
        self._wake, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the peer decides when children end

    def serve(self) -> None:
        """Obey until the peer goes, then end all children."""
        self._say({"ready": os.getpid()})
        while True:
            readable = select.select([self._peer.fileno(), self._wake], [], [])[0]
            if self._wake in readable:
                self._reap()
            if self._peer.fileno() in readable and not self._obey():
                break
        self._farewell()

    def _obey(self) -> bool:
        packet, descriptors = _receive(self._peer)
        if not packet:
            return False
        order = json.loads(packet)
        if "signal" in order:
            self._signal(order["number"], order["signal"])
        else:
            self._start(order["number"], descriptors)
        return True

    def _start(self, number: int, descriptors: list[int]) -> None:
        payload, *stdio = descriptors
        with os.fdopen(payload, "rb") as file:
            launch = json.load(file)
        child = os.fork()
        if child == 0:
            _become(launch, stdio)
        for descriptor in stdio:
            os.close(descriptor)
        self._children[child] = number
        self._say({"number": number, "pid": child, "ticks": start_ticks(child)})

    def _signal(self, number: int, which: int) -> None:
        for process, known in self._children.items():
            if known == number:  # not reaped yet, so the id is still this child's
                _kill_group(process, which)

    def _reap(self) -> None:
        while _drain(self._wake):
            pass
        while self._children:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            number = self._children.pop(process, None)
            _kill_group(process, signal.SIGKILL)  # what the container left behind in its group
            if number is not None:
                self._say({"number": number, "status": status})

    def _farewell(self) -> None:
        for process in self._children:
            _kill_group(process, signal.SIGTERM)
        end = time.monotonic() + FAREWELL_SECONDS
        while self._children and time.monotonic() < end:
            select.select([self._wake], [], [], 0.1)
            self._reap()
        for process in self._children:
            _kill_group(process, signal.SIGKILL)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._peer.send(json.dumps(message).encode())
        except OSError:
            return  # it has gone: the next read says so


def _become(launch: dict[str, Any], stdio: list[int]) -> NoReturn:
    """In the child: turn into the container. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        _settle_stdio(stdio)
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if launch["root"]:
            namespaces.enter(namespaces.View(launch["root"], tuple(Bind(**bind) for bind in launch["binds"])))
        if launch["cwd"]:
            os.chdir(launch["cwd"])
        if launch["function"]:
            libc.prctl(PR_SET_NAME, launch["name"].encode()[:15])
            # As every Python program starts: a peer that hangs up is an exception, not the end.
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            _call(launch)
        os.execvpe(launch["argv"][0], launch["argv"], launch["env"])
    except BaseException as error:  # noqa: BLE001 - whatever happened, this process must not go on as the spawner
        os.write(2, f"keyless: cannot start {launch['argv'][:1]}: {error}\n".encode())
    os._exit(CANNOT_START)


def _settle_stdio(stdio: list[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in zip((null, *stdio), range(STDIO), strict=True):
        os.dup2(descriptor, target)
    os.closerange(STDIO, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 65536 else 65536)


def _call(launch: dict[str, Any]) -> NoReturn:
    """Run the image's function as if it were a program of its own."""
    code = 1
    try:
        os.environ.clear()
        os.environ.update(launch["env"])
        sys.argv = list(launch["argv"])
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(0, "r", closefd=False),
            os.fdopen(1, "w", buffering=1, closefd=False),
            os.fdopen(2, "w", buffering=1, closefd=False),
        )
        module, _, name = launch["function"].partition(":")
        code = getattr(importlib.import_module(module), name)(launch["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - a program's last word
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _receive(peer: socket.socket) -> tuple[bytes, list[int]]:
    descriptors = array.array("i")
    try:
        packet, ancillary, _, _ = peer.recvmsg(PACKET_BYTES, socket.CMSG_SPACE(8 * descriptors.itemsize))
    except OSError:
        return b"", []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return packet, list(descriptors)


def _drain(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except BlockingIOError:
        return b""


def _kill_group(process: int, number: int) -> None:
    try:
        os.killpg(process, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main()
