"""One works, the others wait: whatever happens to the holder, its API server or its clock."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.kube import Forbidden, Kube, Unavailable
from keyless.kube.errors import failure_status
from keyless.kube.lease import Lease, Sighting, Terms, decide, sighted, written
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import LEASES
from virtual_time import JumpingLoop

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TERMS = Terms()


def held_by(holder, seconds=15, version="1"):
    return {
        "metadata": {"resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds},
    }


@pytest.mark.parametrize(
    ("lease", "seconds", "move"),
    [
        (None, 0, "create"),
        (held_by("me"), 0, "renew"),
        (held_by("me"), 99, "renew"),
        (held_by("you"), 0, "wait"),
        (held_by("you"), 14.9, "wait"),
        (held_by("you"), 15, "take"),
        (held_by("", 1), 0, "take"),
        ({"metadata": {}}, 0, "take"),
        (held_by("you", None), 0, "take"),
    ],
)
def test_who_may_do_what_with_a_lease(lease, seconds, move):
    assert decide(lease, "me", Sighting("1", 100.0), 100.0 + seconds) == move


def test_a_lease_that_changes_is_waited_for_anew():
    first = sighted(held_by("you", version="1"), None, 0.0)
    assert sighted(held_by("you", version="1"), first, 14.0) == first
    renewed = sighted(held_by("you", version="2"), first, 14.0)
    assert decide(held_by("you", version="2"), "me", renewed, 28.0) == "wait"


def test_the_record_counts_who_followed_whom():
    first = written(None, "a", NOON, TERMS)
    assert (first["leaseTransitions"], first["acquireTime"]) == (0, "2026-01-01T12:00:00.000000Z")
    again = written({"spec": first}, "a", NOON.replace(minute=1), TERMS)
    assert (again["leaseTransitions"], again["acquireTime"]) == (0, first["acquireTime"])
    assert written({"spec": again}, "b", NOON, TERMS)["leaseTransitions"] == 1


class Line:
    """The way from one contender to the API server: ``fault`` cuts it, ``NEVER`` lets requests hang."""

    def __init__(self, server):
        self._server, self.fault = server, None

    async def send(self, request):
        if self.fault is NEVER:
            await asyncio.Event().wait()
        if self.fault:
            raise self.fault
        return await self._server.send(request)


NEVER = object()


class Crowd:
    """Contenders of one Lease, and who of them works at the moment."""

    def __init__(self):
        self.kube, self.working, self.most, self.turns = MemoryKube(), set(), 0, []
        self.tasks, self.lines = {}, {}

    def contend(self, name):
        async def work():
            self.working.add(name)
            self.turns.append(name)
            self.most = max(self.most, len(self.working))
            try:
                await asyncio.Event().wait()
            finally:
                self.working.discard(name)

        clock = asyncio.get_running_loop().time
        line = self.lines[name] = Line(self.kube._transport)
        lease = Lease(
            Kube(line), "controller", "default", name, clock=clock, now=lambda: NOON + timedelta(seconds=clock())
        )
        self.tasks[name] = asyncio.create_task(lease.hold(work))
        return lease

    async def end(self, name):
        self.tasks[name].cancel()
        await asyncio.wait([self.tasks[name]])

    async def end_all(self):
        for name in self.tasks:
            await self.end(name)


@pytest.fixture
async def crowd():
    crowd = Crowd()
    yield crowd
    crowd.kube.before = lambda request: None
    for line in crowd.lines.values():
        line.fault = None
    await crowd.end_all()


async def test_two_never_work_at_once_and_the_second_follows_a_release(crowd):
    crowd.contend("a")
    await asyncio.sleep(1)
    crowd.contend("b")
    await asyncio.sleep(60)
    assert crowd.turns == ["a"]
    await crowd.end("a")
    await asyncio.sleep(3)
    assert (crowd.turns, crowd.most) == (["a", "b"], 1)


@pytest.mark.parametrize("fault", [Unavailable(failure_status(503, "ServiceUnavailable", "")), NEVER])
async def test_a_holder_that_cannot_renew_stops_before_another_begins(crowd, fault):
    crowd.contend("a")
    await asyncio.sleep(1)
    crowd.contend("b")
    crowd.lines["a"].fault = fault
    await asyncio.sleep(12)
    assert crowd.working == set()
    await asyncio.sleep(8)
    assert (crowd.turns, crowd.most) == (["a", "b"], 1)
    crowd.lines["a"].fault = None


async def test_an_api_server_that_is_away_for_an_hour_is_outlived(crowd):
    lease = crowd.contend("a")
    await asyncio.sleep(1)

    def away(request):
        raise Unavailable(failure_status(503, "ServiceUnavailable", ""))

    crowd.kube.before = away
    await asyncio.sleep(3600)
    assert (crowd.working, lease.is_held) == (set(), False)
    assert lease.fault == "lease controller: ServiceUnavailable"
    crowd.kube.before = lambda request: None
    await asyncio.sleep(20)
    assert (crowd.turns, lease.fault) == (["a", "a"], "")


async def test_a_right_that_is_missing_is_told_and_not_fatal(crowd):
    def refuse(request):
        raise Forbidden(failure_status(403, "Forbidden", ""))

    crowd.kube.before = refuse
    lease = crowd.contend("a")
    await asyncio.sleep(5)
    assert (lease.fault, crowd.turns) == ("lease controller: Forbidden", [])


async def test_a_lease_that_another_took_ends_the_work(crowd):
    crowd.contend("a")
    await asyncio.sleep(1)
    live = await crowd.kube.get(LEASES, "controller", "default")
    await crowd.kube.replace(LEASES, {**live, "spec": {**live["spec"], "holderIdentity": "thief"}})
    await asyncio.sleep(3)
    assert crowd.working == set()


async def test_a_lease_that_somebody_deleted_is_made_again(crowd):
    crowd.contend("a")
    await asyncio.sleep(1)
    await crowd.kube.delete(LEASES, "controller", "default")
    await asyncio.sleep(3)
    assert crowd.working == {"a"}
    assert (await crowd.kube.get(LEASES, "controller", "default"))["spec"]["holderIdentity"] == "a"


async def test_a_fault_of_the_work_is_raised_and_frees_the_lease():
    kube = MemoryKube()

    async def broken():
        raise RuntimeError("x")

    with pytest.raises(RuntimeError):
        await Lease(kube, "controller", "default", "a").hold(broken)
    assert (await kube.get(LEASES, "controller", "default"))["spec"]["holderIdentity"] == ""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "end"]), st.integers(0, 40)), max_size=8))
def test_whatever_comes_and_goes_never_two_at_once(story):
    async def told():
        crowd = Crowd()
        for name, what, seconds in story:
            running = name in crowd.tasks and not crowd.tasks[name].done()
            if what == "start" and not running:
                crowd.contend(name)
            elif what == "end" and running:
                await crowd.end(name)
            await asyncio.sleep(seconds)
        alive = [name for name, task in crowd.tasks.items() if not task.done()]
        await asyncio.sleep(30)
        assert len(crowd.working) == min(1, len(alive))
        await crowd.end_all()
        return crowd.most

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        assert runner.run(told()) <= 1
