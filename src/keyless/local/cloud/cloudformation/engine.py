"""Carries stacks on, one step at a time, as the caller of each.

A step is worked out from the stack's record (``plan.py``), done through the services' own operations (``flows.py``),
and written down with its event. A step that is not atomic carries a token, so doing it again finds what was made.
Whatever stops the process, the next start goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from keyless.local.cloud.cloudformation import progress
from keyless.local.cloud.cloudformation.flows import Flows, Outcome, Refused
from keyless.local.cloud.cloudformation.kinds import KINDS, Draft
from keyless.local.cloud.cloudformation.model import Stack
from keyless.local.cloud.cloudformation.naming import physical_name, step_token
from keyless.local.cloud.cloudformation.plan import Become, Change, Fail, Make, Remove, Restore, Step, next_step
from keyless.local.cloud.cloudformation.progress import Told
from keyless.local.cloud.cloudformation.store import Store
from keyless.local.cloud.cloudformation.target import outputs_of, target_of

_SETTLE_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class Engine:
    """Runs stacks to rest."""

    def __init__(self, store: Store, flows: Flows, *, region: str, now: Callable[[], float]) -> None:
        self.store = store
        self._flows = flows
        self._region = region
        self._now = now
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[asyncio.Task[None]] = set()

    async def settle(self, stack_id: str) -> None:
        """Run a stack to rest, waiting for a moment at most; the rest then goes on by itself."""
        task = asyncio.create_task(self._to_rest(stack_id), name=f"stack {stack_id}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=_SETTLE_SECONDS)

    async def resume(self) -> None:
        """Carry on with what an earlier process left."""
        for stack_id in self.store.unfinished():
            await self.settle(stack_id)

    async def aclose(self) -> None:
        """Stop; the next start goes on."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def step(self, stack_id: str) -> bool:
        """Do the next step of a stack; whether there was one."""
        async with self._locks[stack_id]:
            stack = self.store.stack(stack_id)
            if stack is None:
                return False
            step = next_step(stack, target_of(stack.wish, stack.id, stack.notification_arns))
            if step is None:
                return False
            await self._do(stack, step)
            return True

    def begin(self, stack: Stack) -> None:
        """Write a stack that an operation changed, with the event of its new status."""
        self._write(stack, progress.of_stack(stack))

    async def _to_rest(self, stack_id: str) -> None:
        while await self.step(stack_id):
            pass

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("%s cannot go on: %s", task.get_name(), type(error).__name__, exc_info=error)

    async def _do(self, stack: Stack, step: Step) -> None:
        now = self._now()
        match step:
            case Make() | Change():
                await self._make(self._begun(stack, step), step)
            case Remove():
                await self._remove(stack, step)
            case Fail():
                self._write_of(progress.failed(stack, step, step.reason, now), step.declared.logical_id)
            case Restore():
                self._write_of(progress.restored(stack, step, now), step.logical_id)
            case Become():
                after = progress.became(stack, step, now)
                if step.status.endswith("COMPLETE") and not after.is_gone:
                    after = replace(after, outputs=outputs_of(after))
                self._write(after, progress.of_stack(after))

    def _begun(self, stack: Stack, step: Make | Change) -> Stack:
        found = stack.resources.get(step.declared.logical_id)
        if found and found.status.endswith("_IN_PROGRESS"):
            return stack  # an earlier process began it
        stack = progress.began(stack, step, self._now())
        self._write_of(stack, step.declared.logical_id)
        return stack

    async def _make(self, stack: Stack, step: Make | Change) -> None:
        name, kind = step.declared.logical_id, KINDS[step.declared.type]
        found = stack.resources[name]
        draft = Draft(
            step.properties,
            physical_name(stack.id, name, found.generation, kind.longest_name),
            step_token(stack.id, name, found.generation),
            self._region,
        )
        flow = kind.update(found, draft) if isinstance(step, Change) else kind.create(draft)

        def write(outcome: Outcome) -> None:
            if isinstance(outcome, Refused):
                self._write_of(progress.failed(stack, step, outcome.reason, self._now()), name)
                return
            after = progress.done(stack, step, outcome, self._now())
            self._write(after, *progress.of_made(after.resources[name], is_new=not found.exists))

        await self._flows.run(stack, flow, is_atomic=kind.is_atomic, write=write)

    async def _remove(self, stack: Stack, step: Remove) -> None:
        def write(reason: str = "") -> None:
            after, one = progress.removed(stack, step, self._now(), reason)
            self._write(after, progress.of_resource(one))

        if step.kept or not step.resource.exists:
            write()
            return
        kind = KINDS[step.resource.type]
        self._write(stack, progress.of_resource(progress.removing(step, self._now())))
        await self._flows.run(
            stack,
            kind.delete(step.resource),
            is_atomic=kind.is_atomic,
            write=lambda outcome: write(outcome.reason if isinstance(outcome, Refused) else ""),
        )

    def _write_of(self, stack: Stack, logical_id: str) -> None:
        self._write(stack, progress.of_resource(stack.resources[logical_id]))

    def _write(self, stack: Stack, *told: Told) -> None:
        with self.store.database.transaction():
            self.store.save(stack)
            for one in told:
                self.store.add_event(stack.id, progress.event_of(one, stack, str(uuid4()), self._now()))
