"""The informer's copy is complete, current and free of ghosts, whatever happens to its watch."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from keyless.kube import Forbidden, Informer, Invalid, Unreachable
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS


def configmap(name, **data):
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


class Seen:
    """Collects changes and lets a test wait for the next one."""

    def __init__(self):
        self.queue = asyncio.Queue()

    def __call__(self, event):
        self.queue.put_nowait((event.type, event.object["metadata"]["name"]))

    async def next(self, count=1):
        return [await asyncio.wait_for(self.queue.get(), 1000) for _ in range(count)]


@asynccontextmanager
async def running(kube, **selection):
    informer, seen = Informer(kube, CONFIGMAPS, **selection), Seen()
    informer.on_change(seen)
    task = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced(), 1000)
        yield informer, seen
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_it_holds_what_exists_and_follows_changes():
    kube = MemoryKube()
    kube.put(CONFIGMAPS, configmap("old"))
    async with running(kube) as (informer, seen):
        assert informer.get("old", "default")["kind"] == "ConfigMap"
        await kube.create(CONFIGMAPS, configmap("new"))
        await kube.patch(CONFIGMAPS, "new", {"data": {"k": "v"}}, "default")
        await kube.delete(CONFIGMAPS, "old", "default")
        assert await seen.next(4) == [("ADDED", "old"), ("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "old")]
        assert [item["metadata"]["name"] for item in informer.items()] == ["new"]
        assert len(kube.calls) == 4, "one watch brings what exists and what changes"


async def test_a_dropped_watch_is_continued_without_repeats():
    kube = MemoryKube()
    kube.put(CONFIGMAPS, configmap("one"))
    async with running(kube) as (_, seen):
        kube.drop_watches()
        await kube.create(CONFIGMAPS, configmap("two"))
        assert await seen.next(2) == [("ADDED", "one"), ("ADDED", "two")]


async def test_after_an_expired_version_there_are_no_ghosts_and_no_repeats():
    kube = MemoryKube()
    for name in ("kept", "gone", "remade"):
        kube.put(CONFIGMAPS, configmap(name))
    async with running(kube) as (informer, seen):
        await seen.next(3)
        kube.drop_watches()
        await kube.delete(CONFIGMAPS, "gone", "default")
        await kube.delete(CONFIGMAPS, "remade", "default")
        await kube.create(CONFIGMAPS, configmap("remade"))
        await kube.create(CONFIGMAPS, configmap("new"))
        kube.expire_history()
        changes = await seen.next(4)
        assert sorted(changes) == [("ADDED", "new"), ("ADDED", "remade"), ("DELETED", "gone"), ("DELETED", "remade")]
        assert changes.index(("DELETED", "remade")) < changes.index(("ADDED", "remade"))
        assert informer.get("gone", "default") is None


async def test_a_bookmark_moves_the_version_so_that_a_quiet_watch_survives_a_cut_log():
    kube = MemoryKube()
    async with running(kube) as (_, seen):
        kube.put(CONFIGMAPS, configmap("one"))
        await seen.next()
        kube.bookmark()
        await asyncio.sleep(0)
        kube.expire_history()
        kube.drop_watches()
        await kube.create(CONFIGMAPS, configmap("two"))
        assert await seen.next() == [("ADDED", "two")]


async def test_a_server_without_initial_events_is_listed():
    kube = MemoryKube()
    kube.put(CONFIGMAPS, configmap("one"))

    def before(request):
        if "sendInitialEvents" in request.params:
            raise Invalid(failure_status(422, "Invalid", "sendInitialEvents is forbidden"))

    kube.before = before
    async with running(kube) as (informer, _):
        assert informer.get("one", "default")


async def test_an_outage_keeps_the_copy_waits_longer_each_time_and_heals():
    kube, loop, tries = MemoryKube(), asyncio.get_running_loop(), []
    kube.put(CONFIGMAPS, configmap("one"))

    def down(request):
        tries.append(loop.time())
        if len(tries) == 6:
            kube.before = lambda request: None
        raise Unreachable(failure_status(0, "", "connection refused"))

    async with running(kube) as (informer, seen):
        await seen.next()
        kube.before = down
        kube.drop_watches()
        kube.put(CONFIGMAPS, configmap("two"))
        assert await seen.next() == [("ADDED", "two")]
        assert informer.last_error is None
        waits = [after - before for before, after in itertools.pairwise(tries)]
        assert waits[-1] > waits[0] * 2
        assert informer.get("one", "default")


async def test_a_refusal_is_shown_and_retried_until_the_right_is_given():
    kube = MemoryKube()
    refused = asyncio.Event()

    def before(request):
        refused.set()
        raise Forbidden(failure_status(403, "Forbidden", "configmaps is forbidden"))

    kube.before = before
    informer = Informer(kube, CONFIGMAPS)
    task = asyncio.create_task(informer.run())
    await refused.wait()
    await asyncio.sleep(0)
    assert "forbidden" in str(informer.last_error)
    assert not informer.has_synced
    kube.before = lambda request: None
    await asyncio.wait_for(informer.synced(), 1000)
    assert informer.last_error is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_keeps_only_metadata_when_only_that_is_asked_for():
    asked = []
    kube = MemoryKube()
    kube.before = lambda request: asked.append(request.headers["accept"])
    async with running(kube, metadata_only=True):
        assert asked == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]
