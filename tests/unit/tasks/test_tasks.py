"""A group of tasks ends with the failure itself, and with the one that matters where there are several."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from keyless.api import Bug, Permanent, Transient
from keyless.kube import Forbidden, Unreachable
from keyless.kube.errors import failure_status
from keyless.tasks import Tasks

FAILURES = [
    Bug("ours"),
    KeyError("not foreseen"),
    Permanent("port 80 is taken"),
    Transient("away"),
]
"""From the most to the least telling."""


async def _fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def _for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise


async def _together(*works: Coroutine[Any, Any, None], body: Coroutine[Any, Any, None] | None = None) -> None:
    async with Tasks() as tasks:
        for work in works:
            tasks.create_task(work)
        if body is not None:
            await body


@pytest.mark.parametrize(
    "error",
    [*FAILURES, OSError(28, "No space left on device"), Forbidden(failure_status(403, "", "no"))],
    ids=lambda error: type(error).__name__,
)
async def test_one_failure_is_raised_as_it_is_and_ends_the_others(error: BaseException) -> None:
    ended: list[str] = []
    with pytest.raises(type(error)) as raised:
        await _together(_for_ever(ended), _fail(error))
    assert raised.value is error
    assert ended == ["cancelled"]


@pytest.mark.parametrize(("more", "less"), list(itertools.combinations(FAILURES, 2)), ids=repr)
@pytest.mark.parametrize("turned", [False, True])
async def test_of_several_the_one_is_raised_that_decides_what_to_do(more, less, turned) -> None:
    more, less = _fresh(more), _fresh(less)
    with pytest.raises(type(more)) as raised:
        await _together(*(_fail(error) for error in ((less, more) if turned else (more, less))))
    assert raised.value is more
    assert raised.value.__notes__ == [f"at the same time: {type(less).__name__}: {less}"]


async def test_groups_inside_groups_are_unwrapped() -> None:
    lost = Unreachable(failure_status(0, "", "no answer"))

    with pytest.raises(Unreachable) as raised:
        await _together(_together(_fail(lost)))
    assert raised.value is lost


async def test_what_the_body_raises_is_raised_as_it_is() -> None:
    ended: list[str] = []
    with pytest.raises(Permanent, match="taken"):
        await _together(_for_ever(ended), body=_fail(Permanent("port 80 is taken")))
    assert ended == ["cancelled"]


async def test_cancelling_the_owner_cancels_the_tasks_and_stays_a_cancellation() -> None:
    ended: list[str] = []
    owner = asyncio.create_task(_together(_for_ever(ended), body=_for_ever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    owner.cancel()
    await asyncio.wait({owner})
    assert owner.cancelled()
    assert ended == ["cancelled", "cancelled"]


async def test_a_group_that_ends_well_says_nothing() -> None:
    async with Tasks() as tasks:
        done = tasks.create_task(asyncio.sleep(0, "value"))
    assert done.result() == "value"


def _fresh(error: BaseException) -> BaseException:
    return type(error)(*error.args)
