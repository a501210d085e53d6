"""An event loop whose clock jumps to the next timer whenever nothing else is ready.

A ``conftest.py`` turns it on for its folder::

    def pytest_asyncio_loop_factories(config, item):
        return {"virtual": JumpingLoop}
"""

from __future__ import annotations

import asyncio
import selectors


class _JumpingSelector(selectors.DefaultSelector):
    loop: JumpingLoop

    def select(self, timeout=None):
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            return super().select(None)
        self.loop.offset_seconds += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """Waits take no real time. Not for tests with sockets or threads: their time-outs would fire at once."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.offset_seconds = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return super().time() + self.offset_seconds


class StillLoop(JumpingLoop):
    """Time stands still while anything is ready: a timer never overtakes work, however slow the machine is."""

    def time(self) -> float:
        return self.offset_seconds
