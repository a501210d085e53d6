"""A group of tasks whose failure is the failure itself, not a group around it.

``asyncio.TaskGroup`` wraps whatever ends it, so that no caller can tell a port that is taken (mend it) from a server
that is away (try again). :class:`Tasks` is that group but for its last word: one failure is raised as it is; of several
the one that someone must hear about, with the others as its notes. Cancellation is the group's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import TracebackType

from keyless.api import Bug, KeylessError, Permanent


class Tasks(asyncio.TaskGroup):  # noqa: TID251 - the one place that may
    """Use it like the group that it is: ``async with Tasks() as tasks: tasks.create_task(…)``."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for all tasks; raise what ended them."""
        try:
            await super().__aexit__(kind, error, trace)
            return
        except BaseExceptionGroup as group:
            failures = list(leaves(group))
        # Outside the handler: the group would come along as the context and print everything twice.
        chosen = most_telling(failures)
        for other in failures:
            if other is not chosen:
                chosen.add_note(f"at the same time: {type(other).__name__}: {other}")
        raise chosen


def leaves(failure: BaseException) -> Iterator[BaseException]:
    """The failures in a group, however deep; a failure that is no group is its own."""
    if isinstance(failure, BaseExceptionGroup):
        for each in failure.exceptions:
            yield from leaves(each)
    else:
        yield failure


def most_telling(failures: list[BaseException]) -> BaseException:
    """Of several failures the one that decides what to do next; among equals the first.

    Our own mistake before what someone must mend, and that before what passes by itself: a mistake that hides behind a
    lost connection is never found.
    """
    return min(failures, key=_rank)


def _rank(failure: BaseException) -> int:
    if not isinstance(failure, Exception):
        return 0  # told to end: nothing is more urgent
    if isinstance(failure, Bug):
        return 1
    if isinstance(failure, OSError):
        return 3  # a disk, a port: like what someone must mend
    if not isinstance(failure, KeylessError):
        return 2
    return 3 if isinstance(failure, Permanent) else 4
