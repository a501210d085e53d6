"""The process that renders: work on standard input, answers on standard output, nothing else.

It starts without the environment of its parent, so without credentials, takes limits on itself, and renders nothing: it
forks a worker that does, and ends that when it takes too long. The next worker is there at once, for all is loaded; a
new process would need a second on a busy machine, and everybody would wait for it.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
from typing import BinaryIO

from keyless.gotemplate import TemplateError
from keyless.gotemplate.functions.later import load_now
from keyless.gotemplate.jobs import render_all
from keyless.rendering.frames import (
    GONE,
    LENGTH_BYTES,
    READY,
    error_to_bytes,
    framed,
    made_to_bytes,
    work_from_bytes,
)


def main(address_space_bytes: int, seconds: float) -> None:
    """Serve until standard input ends."""
    load_now()  # each worker is a fork: what is loaded here costs none of a rendering's time
    for limit, value in (
        (resource.RLIMIT_AS, address_space_bytes),
        (resource.RLIMIT_CORE, 0),  # a core dump would hold the values
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    # A terminal's interrupt is for the parent, which ends this process by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervise(sys.stdin.buffer, sys.stdout.buffer, seconds)


def supervise(source: BinaryIO, out: BinaryIO, seconds: float) -> None:
    """Have a worker answer every frame of ``source`` within ``seconds``; ``GONE`` says that it did not."""
    worker = Worker(seconds)
    _say(out, READY)
    try:
        while (payload := _read(source)) is not None:
            answer = worker.ask(payload)
            _say(out, GONE if answer is None else answer)
            if answer is None:
                worker.end()
                worker = Worker(seconds)
    finally:
        worker.end()


class Worker:
    """A fork of this process that renders."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        from_parent, self._to = os.pipe()
        self._from, to_parent = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(from_parent)
            os.close(to_parent)
            return
        try:
            # Its parent's ends are not for it: else it would never see that the parent is gone.
            for descriptor in (0, 1, self._to, self._from):
                os.close(descriptor)
            with os.fdopen(from_parent, "rb") as source, os.fdopen(to_parent, "wb") as out:
                serve(source, out, seconds * 2)
        finally:
            os._exit(0)

    def ask(self, payload: bytes) -> bytes | None:
        """Return the answer; None when there is none in time."""
        until = time.monotonic() + self._seconds
        try:
            with open(self._to, "wb", closefd=False) as out:
                out.write(framed(payload))
            head = self._take(LENGTH_BYTES, until)
            return head and self._take(int.from_bytes(head, "big"), until)
        except BrokenPipeError:
            return None

    def _take(self, size: int, until: float) -> bytes | None:
        found = bytearray()
        while len(found) < size:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(self._from, size - len(found)) if ready else b""
            if not piece:
                return None
            found += piece
        return bytes(found)

    def end(self) -> None:
        """End it at once, and wait until it is gone."""
        os.close(self._to)
        os.close(self._from)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def serve(source: BinaryIO, out: BinaryIO, seconds: float) -> None:
    """Answer every frame of ``source``; SIGALRM ends the process when one takes longer, also when nobody else can."""
    while (payload := _read(source)) is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = _answer(payload)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _say(out, answer)


def _read(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH_BYTES)
    return source.read(int.from_bytes(head, "big")) if len(head) == LENGTH_BYTES else None


def _say(out: BinaryIO, payload: bytes) -> None:
    out.write(framed(payload))
    out.flush()


def _answer(payload: bytes) -> bytes:
    try:
        return made_to_bytes(render_all(work_from_bytes(payload)))
    except TemplateError as error:
        return error_to_bytes(error)
    except MemoryError:
        return error_to_bytes(TemplateError("templates", 1, "they need more memory than there is", limit=True))
    except Exception as error:  # noqa: BLE001 - its text and its trace may hold values
        return error_to_bytes(TemplateError("templates", 1, f"internal fault {type(error).__name__}"))
