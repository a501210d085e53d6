"""Ask a process to render, and end it when it takes too long.

Two lanes, each with a process of its own that exists while there is work. Everything begins in the quick lane, where a
rendering has a fraction of a second; what does not end there runs once more in the patient lane, and only then counts
as running away. So one bad template costs the others a fraction of a second once: it is remembered by what it was, and
refused at once until somebody changes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from keyless.api import Transient
from keyless.gotemplate import TemplateError
from keyless.gotemplate.jobs import Rendered, Work
from keyless.rendering.child import Child, Gone
from keyless.rendering.frames import GONE, answer_from_bytes, work_to_bytes

REMEMBERED = 1024
GRACE_SECONDS = 2.0
"""What the process may take beyond its time to say that a worker took too long."""


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """How long a rendering may take, how much it may use, and how long a process waits for the next one."""

    quick_seconds: float = 0.3
    patient_seconds: float = 3.0
    start_seconds: float = 30.0
    idle_seconds: float = 30.0
    forget_seconds: float = 600.0
    """A rendering that ran away on a busy machine is given another chance after this time."""
    address_space_bytes: int = 384 << 20


class RendererBusy(Transient):
    """No process can be had now, or those that may run away are being rendered; try again later."""


class _Lane:
    """One process at a time, one rendering at a time."""

    def __init__(self, limits: RenderLimits, seconds: float) -> None:
        self._limits, self._seconds = limits, seconds
        self._child: Child | None = None
        self._idle: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        return self._turn.locked()

    async def ask(self, payload: bytes) -> bytes:
        """Return the answer; raises ``Gone`` when there is none in time."""
        async with self._turn:
            if self._idle:
                self._idle.cancel()
            child = await self._ready()
            answer = b""
            try:
                async with asyncio.timeout(self._seconds + GRACE_SECONDS):
                    answer = await child.ask(payload)
            except TimeoutError:
                raise Gone from None
            finally:
                if not answer:
                    # Also when whoever asked is gone: an answer would be taken for that of the next.
                    self._replace(child)
            self._idle = asyncio.create_task(self._end_when_idle())
            if answer == GONE:
                raise Gone
            return answer

    async def _ready(self) -> Child:
        if self._child is None or not self._child.is_alive:
            self._child = self._new()
        child = self._child
        try:
            async with asyncio.timeout(self._limits.start_seconds):
                await child.ready()
        except (TimeoutError, Gone):
            self._replace(child)
            raise RendererBusy("the renderer did not start", retry_after_seconds=self._limits.patient_seconds) from None
        return child

    def _new(self) -> Child:
        return Child(self._limits.address_space_bytes, self._seconds)

    def _replace(self, child: Child) -> None:
        self._child = None
        ending = asyncio.create_task(child.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _end_when_idle(self) -> None:
        await asyncio.sleep(self._limits.idle_seconds)
        await self._end_all()

    async def _end_all(self) -> None:
        child, self._child = self._child, None
        if child:
            await child.end()

    async def aclose(self) -> None:
        """End the processes and wait for them."""
        if self._idle:
            self._idle.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._idle
        await self._end_all()
        await asyncio.gather(*self._ending)


class Renderer:
    """Renders work for many, fairly; ``aclose`` ends its processes."""

    def __init__(self, limits: RenderLimits = RenderLimits()) -> None:
        self._limits = limits
        self._quick = _Lane(limits, limits.quick_seconds)
        self._patient = _Lane(limits, limits.patient_seconds)
        self._slow: OrderedDict[bytes, float] = OrderedDict()
        self._ran_away: OrderedDict[bytes, float] = OrderedDict()

    async def render(self, work: Work) -> list[Rendered]:
        """Return what each job made; raises ``TemplateError``, or ``RendererBusy`` when it must be tried again."""
        if not work.jobs:
            return []
        payload = await asyncio.to_thread(work_to_bytes, work) if _is_large(work) else work_to_bytes(work)
        mark = hashlib.sha256(payload).digest()
        if self._remembers(self._ran_away, mark):
            raise self._too_slow(work)
        if not self._remembers(self._slow, mark):
            with contextlib.suppress(Gone):
                return answer_from_bytes(await self._quick.ask(payload))
            self._remember(self._slow, mark)
        if self._patient.is_busy:
            # Waiting here would keep a worker of the controller from those that are quick.
            seconds = self._limits.patient_seconds
            raise RendererBusy("templates that take long are being rendered", retry_after_seconds=seconds)
        try:
            return answer_from_bytes(await self._patient.ask(payload))
        except Gone:
            self._remember(self._ran_away, mark)
            raise self._too_slow(work) from None

    def _too_slow(self, work: Work) -> TemplateError:
        problem = f"it takes longer than {self._limits.patient_seconds:g} seconds, or more memory than there is"
        first, others = work.jobs[0].name, len(work.jobs) - 1
        return TemplateError(f"{first} or one of {others} others" if others else first, 1, problem, limit=True)

    def _remembers(self, where: OrderedDict[bytes, float], mark: bytes) -> bool:
        until = where.get(mark)
        return until is not None and asyncio.get_running_loop().time() < until

    def _remember(self, where: OrderedDict[bytes, float], mark: bytes) -> None:
        where[mark] = asyncio.get_running_loop().time() + self._limits.forget_seconds
        where.move_to_end(mark)
        while len(where) > REMEMBERED:
            where.popitem(last=False)

    async def aclose(self) -> None:
        """End both lanes' processes."""
        await self._quick.aclose()
        await self._patient.aclose()


def _is_large(work: Work) -> bool:
    # Writing a megabyte as JSON takes the loop some ten milliseconds.
    return sum(len(value) for values in work.data for value in values.values()) > 1 << 18
