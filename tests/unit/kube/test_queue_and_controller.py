"""Keys run once, one worker each, changes first; failures wait as their class says."""

from __future__ import annotations

import asyncio

import pytest

from keyless.api import Permanent, Transient
from keyless.kube import Backoff, Controller, Queue


async def test_a_key_added_twice_runs_once_and_changes_run_before_sweeps():
    queue = Queue()
    for key in ("sweep-1", "sweep-2"):
        queue.add(key, urgent=False)
    queue.add("change")
    queue.add("change")
    queue.add("sweep-2")
    assert [await queue.get() for _ in range(len(queue))] == ["change", "sweep-2", "sweep-1"]


async def test_a_key_added_while_it_runs_runs_again_afterwards_and_never_twice_at_a_time():
    queue = Queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_a_run_fulfils_later_wishes_and_the_earliest_wish_counts():
    queue, loop = Queue(), asyncio.get_running_loop()
    began = loop.time()
    queue.add_after("a", 50)
    queue.add_after("a", 5)
    queue.add_after("a", 500)
    assert await queue.get() == "a"
    assert loop.time() - began == pytest.approx(5, abs=1)
    queue.done("a")
    queue.add_after("a", 5)
    queue.add("a")
    await queue.get()
    queue.done("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 60)
    queue.close()


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 0.1), (2, 0.2), (5, 1.6), (20, 60), (10**6, 60)])
def test_backoff_doubles_up_to_its_cap(failures, seconds):
    assert Backoff().seconds(failures) == pytest.approx(seconds)


async def run_until(controller, stop, workers=1):
    task = asyncio.create_task(controller.run(workers))
    try:
        await asyncio.wait_for(stop.wait(), 10_000)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def times_of(outcomes, **settings):
    """When each of the outcomes ran, counted from the first; an exception is raised, a value returned."""
    loop, stop, times = asyncio.get_running_loop(), asyncio.Event(), []

    async def reconcile(key):
        times.append(loop.time())
        if len(times) == len(outcomes):
            stop.set()
        outcome = outcomes[len(times) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    controller = Controller("test", reconcile, **settings)
    controller.enqueue("key")
    await run_until(controller, stop)
    return [round(time - times[0], 3) for time in times]


async def test_transient_failures_back_off_and_a_success_starts_afresh():
    again = Transient("not yet")
    times = await times_of([again, again, again, 0.0, again, None], backoff=Backoff(10, 25))
    assert times == pytest.approx([0, 10, 30, 55, 55, 65], rel=0.12, abs=0.2)


async def test_the_server_decides_how_long_to_wait_when_it_says_so():
    assert await times_of([Transient("busy", retry_after_seconds=7), None]) == pytest.approx([0, 7], abs=0.1)


async def test_a_permanent_failure_waits_for_the_slow_resync():
    assert await times_of([Permanent("no"), None], resync_seconds=300) == pytest.approx([0, 300], abs=0.1)


async def test_a_fault_of_ours_is_retried_and_leaves_the_other_keys_alone():
    seen, stop = [], asyncio.Event()

    async def reconcile(key):
        seen.append(key)
        if key == "bad" and seen.count("bad") < 3:
            raise ZeroDivisionError
        if seen.count("bad") == 3:
            stop.set()

    controller = Controller("test", reconcile)
    controller.enqueue("bad")
    controller.enqueue("good")
    await run_until(controller, stop)
    assert seen[:2] == ["bad", "good"]


async def test_a_change_runs_at_once_although_the_key_is_backing_off():
    loop, stop, times = asyncio.get_running_loop(), asyncio.Event(), []

    async def reconcile(key):
        times.append(loop.time())
        if len(times) == 1:
            loop.call_later(1, controller.enqueue, key)
            raise Permanent("broken")
        stop.set()

    controller = Controller("test", reconcile)
    controller.enqueue("key")
    await run_until(controller, stop)
    assert times[1] - times[0] == pytest.approx(1, abs=0.1)


async def test_cancelling_a_controller_cancels_the_work_and_its_timers():
    started, ended = asyncio.Event(), asyncio.Event()

    async def reconcile(key):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    controller = Controller("test", reconcile)
    controller.enqueue("key")
    controller.enqueue_after("later", 1000)
    await run_until(controller, started)
    assert ended.is_set()
