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


async def test_a_hundred_keys_that_fail_slowly_do_not_keep_a_healthy_one_waiting():
    loop, synced = asyncio.get_running_loop(), {}

    async def reconcile(key):
        if key != "healthy":
            await asyncio.sleep(6)  # how long a throttled read took before it gave up
            raise Transient(f"{key}: throttled")
        synced.setdefault(key, loop.time())
        return

    controller = Controller("test", reconcile, backoff=Backoff(first_seconds=1.0, cap_seconds=300.0))
    for number in range(100):
        controller.enqueue(f"throttled-{number}")
    task = asyncio.create_task(controller.run(4))
    await asyncio.sleep(300)  # each has failed once by now, and many wait for their next try
    for _ in range(5):
        began = loop.time()
        controller.enqueue("healthy", urgent=False)
        await asyncio.sleep(0.5)
        assert synced.pop("healthy") == pytest.approx(began, abs=0.01)
        await asyncio.sleep(7)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failing_key_has_its_turn_while_healthy_ones_never_end():
    runs = []

    async def reconcile(key):
        runs.append(key)
        await asyncio.sleep(0.1)
        if key == "mended" and runs.count("mended") == 1:
            raise Transient("not yet")
        if key.startswith("busy"):
            controller.enqueue(key)
        return

    controller = Controller("test", reconcile, backoff=Backoff(first_seconds=1.0, cap_seconds=300.0))
    controller.enqueue("mended")
    for number in range(10):
        controller.enqueue(f"busy-{number}")
    task = asyncio.create_task(controller.run(4))
    await asyncio.sleep(3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert runs.count("mended") == 2


async def test_a_key_that_succeeded_leaves_the_lane():
    queue = Queue()
    queue.suspect("a", failing=True)
    queue.add("a", urgent=False)
    queue.add("b")
    assert await queue.get() == "a"  # its turn: no other suspect is worked on
    queue.suspect("a", failing=False)
    queue.done("a")
    queue.add("a")
    assert [await queue.get() for _ in range(2)] == ["b", "a"]


async def test_a_single_worker_takes_turns_between_failing_and_healthy_keys():
    queue = Queue()
    for name in ("f1", "f2", "f3"):
        queue.suspect(name, failing=True)
        queue.add(name, urgent=False)
    for name in ("h1", "h2"):
        queue.add(name)
    taken = []
    for _ in range(5):
        taken.append(await queue.get())
        queue.done(taken[-1])
    assert taken == ["f1", "h1", "f2", "h2", "f3"]


async def test_a_change_of_a_failing_key_runs_at_once():
    queue = Queue()
    for name in ("f1", "f2"):
        queue.suspect(name, failing=True)
        queue.add(name, urgent=False)
    queue.add("healthy", urgent=False)
    queue.add("f2")
    assert [await queue.get() for _ in range(3)] == ["f1", "f2", "healthy"]
    assert len(queue) == 0


async def test_what_comes_next_can_be_seen_and_stays_in_its_order():
    queue = Queue()
    queue.add("later", urgent=False)
    queue.add("first")
    queue.suspect("failing", failing=True)
    queue.add("failing", urgent=False)
    assert queue.upcoming(9) == ["first", "later"]
    assert queue.upcoming(1) == ["first"]
    assert len(queue) == 3
