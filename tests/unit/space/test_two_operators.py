"""Several operators, one lease: one acts, the others are ready to follow, and nothing is done twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from keyless.kube import Kube, NotHeld
from keyless.kube.resources import CONTROLPLANES, CRDS, LEASES, LOGICALCLUSTERS, NAMESPACES, PODS
from keyless.space import Settings
from keyless.space.predecessors import running_predecessors
from keyless.space.service import Operator
from unit.space.test_service import _establish, _ready, _set_values, _until
from unit.space.world import WRITES, World

HUNG = "hung"


class Line:
    """The way of one operator to the API server, with what it wrote; ``cut`` lets every request hang."""

    def __init__(self, world: World) -> None:
        self.world, self.written, self.cut, self.cut_after = world, [], "", None

    async def send(self, request):
        if self.cut_after is not None and len(self.written) >= self.cut_after:
            self.cut = HUNG
        if self.cut:
            await asyncio.Event().wait()
        if request.method in WRITES and "leases" not in request.path and "dryRun" not in request.params:
            self.written.append(request.subject)
        return await self.world.host._transport.send(request)

    def stream(self, request):
        return self.world.host._transport.stream(request)

    async def aclose(self):
        pass


class Pair:
    """Operators of one cluster."""

    def __init__(self) -> None:
        self.world, self.lines, self.operators, self._tasks = World(), {}, {}, {}
        _set_values(self.world)
        self._playing = asyncio.create_task(self._play())

    def start(self, name: str) -> Operator:
        line = self.lines[name] = Line(self.world)
        operator = Operator(Settings(pod_name=name), Kube(line), self.world._door, now=lambda: self.world.clock)
        self.operators[name] = operator
        self._tasks[name] = asyncio.create_task(operator.run())
        return operator

    async def end(self, name: str) -> None:
        """As on SIGTERM."""
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)

    async def aclose(self) -> None:
        for name in self._tasks:
            await self.end(name)
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)

    async def holder(self) -> str:
        lease = await self.world.host.get(LEASES, "spaces-operator", "default")
        return str(lease["spec"]["holderIdentity"])

    async def _play(self) -> None:
        while True:
            _establish(self.world)
            self.world.play()
            await asyncio.sleep(0.2)
            self.world.clock += timedelta(seconds=0.2)


@pytest.fixture
async def pair():
    made = Pair()
    yield made
    for line in made.lines.values():
        line.cut, line.cut_after = "", None
    await made.aclose()


async def _is_ready(operator: Operator) -> bool:
    return operator.ready() == ""


async def test_the_second_is_ready_and_writes_nothing(pair: Pair) -> None:
    first, second = pair.start("a"), pair.start("b")
    await _until(pair.world, lambda: _is_ready(first))
    await _until(pair.world, lambda: _is_ready(second))
    pair.world.create()
    await _until(pair.world, lambda: _ready(pair.world))
    assert (first.lease.is_held, second.lease.is_held) == (True, False)
    assert pair.lines["a"].written
    assert pair.lines["b"].written == []


async def test_one_that_ends_hands_over_within_seconds(pair: Pair) -> None:
    pair.start("a")
    await _until(pair.world, lambda: _is_ready(pair.operators["a"]))
    second = pair.start("b")
    await _until(pair.world, lambda: _is_ready(second))
    await pair.end("a")
    pair.world.create()
    async with asyncio.timeout(5):
        while not await _ready(pair.world):
            await asyncio.sleep(0.05)
    assert await pair.holder() == "b"


@pytest.mark.parametrize("writes", [0, 1, 2, 5, 9])
async def test_a_lease_lost_while_a_control_plane_is_half_made(pair: Pair, writes: int) -> None:
    first = pair.start("a")
    await _until(pair.world, lambda: _is_ready(first))
    second = pair.start("b")
    await _until(pair.world, lambda: _is_ready(second))
    pair.lines["a"].cut_after = len(pair.lines["a"].written) + writes
    pair.world.create()
    await _until(pair.world, lambda: _ready(pair.world))
    assert await pair.holder() == "b"
    assert not first.lease.is_held
    before = list(pair.lines["a"].written)
    pair.lines["a"].cut, pair.lines["a"].cut_after = "", None
    await asyncio.sleep(30)
    assert pair.lines["a"].written == before, "who lost the lease writes nothing"
    assert len(pair.world._objects(LOGICALCLUSTERS)) == 1
    assert len([each for each in pair.world._objects(NAMESPACES) if "mxp-" in each["metadata"]["name"]]) == 1


async def test_a_write_of_one_that_does_not_know_yet_that_it_lost_is_not_sent(pair: Pair) -> None:
    first = pair.start("a")
    await _until(pair.world, lambda: _is_ready(first))
    assert first.lease.is_held
    # The process was stopped: its clock ran on, and none of its timers fired yet.
    asyncio.get_running_loop().offset_seconds += 11
    before = list(pair.lines["a"].written)
    with pytest.raises(NotHeld):
        await first._writing.delete(CONTROLPLANES, "ctp1", "default")
    assert pair.lines["a"].written == before


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(hours=3), timedelta(days=400)])
async def test_a_clock_that_jumps_moves_no_lease_and_makes_nothing_twice(pair: Pair, jump: timedelta) -> None:
    first = pair.start("a")
    await _until(pair.world, lambda: _is_ready(first))
    second = pair.start("b")
    pair.world.create()
    await asyncio.sleep(0.1)
    pair.world.clock += jump
    await _until(pair.world, lambda: _ready(pair.world))
    await asyncio.sleep(30)
    assert (first.lease.is_held, second.lease.is_held) == (True, False)
    assert pair.lines["b"].written == []
    assert len(pair.world._objects(LOGICALCLUSTERS)) == 1


async def test_the_definitions_are_applied_by_the_holder_alone(pair: Pair) -> None:
    pair.start("a")
    second = pair.start("b")
    await _until(pair.world, lambda: _is_ready(second))
    applied = [each for each in pair.lines["b"].written if CRDS.plural in each]
    assert applied == []


def _pod(name: str, *, env: tuple[str, ...] = (), phase: str = "Running"):
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app.kubernetes.io/name": "spaces-operator"}},
        "spec": {"containers": [{"name": "operator", "env": [{"name": each} for each in env]}]},
        "status": {"phase": phase},
    }


def test_a_predecessor_is_a_running_pod_that_names_no_contender() -> None:
    pods = [
        _pod("old"),
        _pod("new", env=("POD_IP", "POD_NAME")),
        _pod("done", phase="Succeeded"),
        {"metadata": {"name": "bare"}},
    ]
    assert running_predecessors(pods) == ("old", "bare")


async def test_an_operator_of_a_version_without_a_lease_is_outlasted(pair: Pair) -> None:
    pair.start("a")
    await _until(pair.world, lambda: _is_ready(pair.operators["a"]))
    await pair.end("a")
    pair.world._end_pods = lambda: False
    old = pair.world.host.put(PODS, _pod("old"))
    pair.world.create()
    second = pair.start("b")
    await asyncio.sleep(10)
    assert (second.lease.is_held, second.ready()) == (True, ""), "ready, or the chart would never end the old one"
    assert pair.lines["b"].written == []
    pair.world._forget(PODS, old)
    await _until(pair.world, lambda: _ready(pair.world))


async def test_an_operator_whose_node_never_says_that_it_ended_is_not_waited_for_for_ever(pair: Pair) -> None:
    pair.world._end_pods = lambda: False
    pair.world.host.put(PODS, _pod("old"))
    first = pair.start("a")
    await asyncio.sleep(70)
    assert first.ready() == ""
