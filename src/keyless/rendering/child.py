"""A process that renders, seen from its parent: started without an environment, asked, ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from keyless.rendering.frames import LENGTH_BYTES, framed

_CODE = "import sys; sys.path[:] = {path!r}; from keyless.rendering.process import main; main({memory}, {seconds})"


class Gone(Exception):
    """The process ended, or was never there."""


class Child:
    """One process; ``ready`` is awaited before the first question."""

    def __init__(self, address_space_bytes: int, seconds: float) -> None:
        path = [entry for entry in sys.path if entry]
        self._code = _CODE.format(path=path, memory=address_space_bytes, seconds=seconds)
        self._starting = asyncio.create_task(self._start())

    @property
    def is_alive(self) -> bool:
        """Return whether it can still be asked."""
        if not self._starting.done():
            return True
        return not self._starting.cancelled() and not self._starting.exception() and self._process.returncode is None

    async def ready(self) -> None:
        """Wait until it listens; raises ``Gone``."""
        try:
            await asyncio.shield(self._starting)
        except (OSError, asyncio.IncompleteReadError):
            raise Gone from None

    async def ask(self, payload: bytes) -> bytes:
        """Return its answer; raises ``Gone``."""
        assert self._process.stdin  # it was opened
        try:
            self._process.stdin.write(framed(payload))
            return await self._read()
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None

    async def end(self) -> None:
        """End it at once, and wait until it is gone."""
        if not self._starting.done():
            self._starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            await self._starting
        process = getattr(self, "_process", None)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> None:
        # -I and an empty environment: neither credentials nor settings of the controller are in it.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", self._code, env={}, cwd="/", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await self._read()

    async def _read(self) -> bytes:
        assert self._process.stdout  # it was opened
        head = await self._process.stdout.readexactly(LENGTH_BYTES)
        return await self._process.stdout.readexactly(int.from_bytes(head, "big"))
