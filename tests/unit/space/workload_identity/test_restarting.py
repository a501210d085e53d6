"""Restarts and probes: a rollout has its time, and those that nothing helps keep nobody from a turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.kube.resources import DEPLOYMENTS, WORKLOADIDENTITIES
from keyless.space.workload_identity.controller import PROBES_AT_ONCE, RESTART_EVERY
from keyless.space.workload_identity.plan import RESTARTED_AT, RESTARTED_FOR, was_restarted
from unit.identity.grants.test_grants import host_namespace
from unit.space.workload_identity.test_following import NOON, World


async def restarted_at(world: World, number: int = 1) -> str:
    deployment = await world.host.get(DEPLOYMENTS, "vector", host_namespace(number))
    return str(((deployment["spec"]["template"]["metadata"]).get("annotations") or {}).get(RESTARTED_AT, ""))


async def looks(world: World, seconds: float) -> list[str]:
    """Look whenever it says so, for as long; the different moments at which the pods were told to be made anew."""
    until, seen = world.clock + timedelta(seconds=seconds), []
    while world.clock < until:
        again = await world.follower.reconcile("billing")
        assert again is not None
        found = await restarted_at(world)
        seen += [found] if found and found not in seen else []
        world.clock += timedelta(seconds=again)
    return seen


@pytest.mark.parametrize("forgetful", [False, True])
async def test_a_pod_that_takes_its_time_is_not_restarted_again_meanwhile(forgetful: bool) -> None:
    world = World(restart="Automatic")
    world.plane(1)
    world.pod(1)
    first = await looks(world, 60)
    if forgetful:
        world.start()
    rest = await looks(world, RESTART_EVERY.total_seconds() - 70)
    assert len(set(first + rest)) == 1
    again = set(await looks(world, 120)) - set(first)
    assert len(again) == 1, "one that hangs is tried again, minutes later"


async def test_a_restart_by_a_persons_hand_counts() -> None:
    world = World(restart="Automatic")
    world.plane(1)
    world.pod(1)
    by_hand = (NOON - timedelta(seconds=20)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    template = {"metadata": {"annotations": {RESTARTED_AT: by_hand}}}
    metadata = {"name": "vector", "namespace": host_namespace(1)}
    world.host.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"template": template}})
    assert await looks(world, 60) == [by_hand]


async def test_a_restart_for_another_identity_does_not_count() -> None:
    """The way was changed a moment after pods were made anew for the one of before."""
    world = World(restart="Automatic")
    world.plane(1)
    world.pod(1)
    first = await looks(world, 30)
    assert len(first) == 1
    world.host.put(
        WORKLOADIDENTITIES, {"metadata": {"name": "billing"}, "spec": {**world.spec, "mode": "pod-identity"}}
    )
    second = await looks(world, 60)
    assert len({*first, *second}) == 2
    assert not set(await looks(world, RESTART_EVERY.total_seconds() - 90)) - set(second), "and once for this one"


moments = st.integers(1_600_000_000, 2_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
texts = st.one_of(moments.map(lambda at: at.isoformat()), st.text(max_size=8), st.none(), st.integers())


@effort(60)
@given(texts, moments, st.sampled_from([None, "irsa role", "pod-identity role"]))
def test_whatever_stands_there_is_read_or_counts_as_nothing(text: Any, now: datetime, noted: str | None) -> None:
    annotations = {} if text is None else {RESTARTED_AT: text}
    deployment: dict[str, Any] = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    if noted is not None:
        deployment["metadata"] = {"annotations": {RESTARTED_FOR: noted}}
    try:
        near = abs(datetime.fromisoformat(text) - now) < RESTART_EVERY
    except (ValueError, TypeError):
        near = False
    assert was_restarted(deployment, now, RESTART_EVERY, "irsa role") is (near and noted != "pod-identity role")
    assert not was_restarted({"spec": {}}, now, RESTART_EVERY, "irsa role")


async def test_those_that_nothing_helps_keep_nobody_from_its_turn() -> None:
    """More of them than are probed at once, and all of them waiting longer."""
    world = World()
    stuck = PROBES_AT_ONCE + 2
    for number in range(stuck):
        world.plane(number)
        world.annotate(number, "arn:aws:iam::111122223333:role/another")
    for _ in range(3):
        await world.follower.reconcile("billing")
        world.clock += timedelta(minutes=2)
    world.plane(stuck)
    world.annotate(stuck, (await world.status())["nextRole"])
    for _ in range(3):
        await world.follower.reconcile("billing")
        world.clock += timedelta(seconds=30)
    rows = await world.rows()
    assert rows[f"cp{stuck}"] == "Effective", rows
