"""The census knows lives, and the collector's conditions stand side by side."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.collector.host import Space, billing_status, head_of, lost_of, member_of, not_stored
from keyless.billing.collector.plan import NEIGHBOURS, neighbours
from keyless.billing.collector.ports import Said
from keyless.billing.ledger.model import ChainHead, Pause
from keyless.kube import NotFound, condition_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES
from unit.billing.faults.stage import SETTINGS
from unit.billing.samples import CTP1, CTP2, NOON, seconds


class Clock:
    def __init__(self):
        self.at = NOON

    def __call__(self):
        return self.at


def control_plane(member, **status):
    return {
        "metadata": {
            "name": member.name,
            "namespace": member.group,
            "creationTimestamp": "2026-10-30T12:00:00Z",
        },
        "status": {"controlPlaneID": member.id, "hostNamespace": member.host_namespace, **status},
    }


@asynccontextmanager
async def a_space(*members):
    kube, clock = MemoryKube(), Clock()
    for member in members:
        kube.put(CONTROLPLANES, control_plane(member))
    space = Space(kube, SETTINGS, clock)
    task = asyncio.create_task(space.run())
    await space.synced()
    try:
        yield space, kube, clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def conditions(kube):
    return (await kube.get(CONTROLPLANES, "ctp1", "default"))["status"].get("conditions")


async def until(true):
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")


async def test_the_first_report_dates_what_is_owed_and_later_ones_keep_it():
    async with a_space(CTP1) as (space, kube, clock):
        await space.report()
        assert space.own().billed_from == NOON
        clock.at += timedelta(days=3)
        await space.report(Said("BillingStored", True, "UsageStored", "m"))
        await space.report(Said("BillingHealthy", False, "KindsNotCounted", "n"))
        found = await conditions(kube)
        assert [(c["type"], c["status"]) for c in found] == [
            ("Billed", "True"),
            ("BillingStored", "True"),
            ("BillingHealthy", "False"),
        ]
        assert condition_of(found, "Billed")["lastTransitionTime"] == "2026-10-31T12:00:00Z"


async def test_a_new_pod_keeps_what_the_one_before_said():
    async with a_space(CTP1) as (space, kube, clock):
        await space.report(Said("BillingStored", True, "UsageStored", "m"))
        clock.at += timedelta(hours=1)
        other = Space(kube, SETTINGS, clock)
        task = asyncio.create_task(other.run())
        await other.synced()
        assert other.own().billed_from == NOON
        await other.report(Said("BillingHealthy", True, "UsageComplete", "n"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [c["type"] for c in await conditions(kube)] == ["Billed", "BillingStored", "BillingHealthy"]


async def test_each_condition_names_the_pod_that_said_it_and_a_new_pod_vouches_for_its_own_alone():
    async with a_space(CTP1) as (_space, kube, clock):
        for pod, said in (("a", "BillingStored"), ("b", "BillingHealthy")):
            other = Space(kube, replace(SETTINGS, pod_name=pod), clock)
            task = asyncio.create_task(other.run())
            await other.synced()
            await other.report(Said(said, True, "Why", "m"))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        found = {each["type"]: each.get("pod") for each in await conditions(kube)}
        assert found == {"Billed": None, "BillingStored": "a", "BillingHealthy": "b"}


async def test_a_definition_that_keeps_no_pods_name_is_not_taken_for_another_pods_word():
    async with a_space(CTP1) as (_space, kube, clock):
        ours = Space(kube, replace(SETTINGS, pod_name="a"), clock)
        task = asyncio.create_task(ours.run())
        await ours.synced()
        await ours.report(Said("BillingStored", True, "UsageStored", "m"))
        pruned = [{k: v for k, v in each.items() if k != "pod"} for each in await conditions(kube)]
        for live, wins in ((pruned, False), ([{**each, "pod": "b"} for each in pruned], True)):
            found = await kube.get(CONTROLPLANES, "ctp1", "default")
            kube.put(CONTROLPLANES, {**found, "status": {**found["status"], "conditions": live}})
            kube.calls.clear()
            await ours.reassert()
            assert any(call.startswith("PATCH") for call in kube.calls) is wins
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_same_report_is_written_once():
    async with a_space(CTP1) as (space, kube, _clock):
        await space.report(Said("BillingStored", True, "UsageStored", "m"))
        kube.calls.clear()
        await space.report(Said("BillingStored", True, "UsageStored", "m"))
        assert kube.calls == []


@asynccontextmanager
async def replaced(kube, clock):
    """The pod before: it has spoken, is being replaced, and the new pod speaks next."""
    other = Space(kube, SETTINGS, clock)
    task = asyncio.create_task(other.run())
    await other.synced()
    await other.report(Said("BillingStored", False, "NoSuchBucket", "s3://old"))
    try:
        yield other
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_pod_that_is_replaced_does_not_speak_over_the_one_after_it():
    for last in (Said("BillingStored", True, "UsageStored", "s3://old"), Said("BillingHealthy", False, "Why", "n")):
        async with a_space(CTP1) as (space, kube, clock), replaced(kube, clock) as before:
            await space.report(Said("BillingStored", True, "UsageStored", "s3://new"))
            before.leave()
            await before.report(last)
            assert condition_of(await conditions(kube), "BillingStored")["message"] == "s3://new"
            assert condition_of(await conditions(kube), "BillingHealthy") is None


async def test_the_last_word_of_a_pod_that_nobody_replaces_is_written():
    async with a_space(CTP1) as (_space, kube, clock), replaced(kube, clock) as last:
        last.leave()
        await last.report(Said("BillingStored", True, "UsageStored", "flushed"))
        assert condition_of(await conditions(kube), "BillingStored")["message"] == "flushed"
        await kube.delete(CONTROLPLANES, "ctp1", "default")
        with suppress(NotFound):
            await last.report(Said("BillingStored", True, "UsageStored", "again"))


async def test_what_another_pod_said_over_us_is_said_again_once():
    async with a_space(CTP1) as (space, kube, clock), replaced(kube, clock) as before:
        await space.report(Said("BillingStored", True, "UsageStored", "s3://new"))
        await before.report(Said("BillingStored", False, "NoSuchBucket", "s3://old, later"))
        await space.reassert()
        assert condition_of(await conditions(kube), "BillingStored")["message"] == "s3://new"
        kube.calls.clear()
        await space.reassert()
        assert [call for call in kube.calls if call.startswith("PATCH")] == []
        before.leave()
        await before.reassert()
        assert condition_of(await conditions(kube), "BillingStored")["message"] == "s3://new"


async def test_a_control_plane_that_went_stays_in_the_census_for_a_day_with_its_end():
    async with a_space(CTP1, CTP2) as (space, kube, clock):
        await kube.delete(CONTROLPLANES, "ctp2", "default")
        await until(lambda: any(m.deleted_at for m in space.census()))
        gone = next(m for m in space.census() if m.id == CTP2.id)
        assert gone.deleted_at == NOON
        clock.at += timedelta(hours=25)
        assert [m.id for m in space.census()] == [CTP1.id]


def test_what_a_deleted_control_plane_could_not_store_is_read_from_its_own_last_word():
    stored = {
        "type": "BillingStored",
        "status": "False",
        "reason": "AccessDenied",
        "message": f"{not_stored(NOON, NOON + seconds(90))}: no",
    }
    document = control_plane(CTP2, conditions=[stored])
    assert member_of(document).lost is None, "not before it is deleted: it may still be stored"
    document["metadata"]["deletionTimestamp"] = "2026-10-31T12:30:00Z"
    member = member_of(document)
    assert member.deleted_at == NOON + seconds(1800)
    assert (member.lost.start, member.lost.end, member.lost.reason) == (NOON, NOON + seconds(90), "AccessDenied")
    for changed in ({"status": "True"}, {"message": "who knows"}, {"message": "usage from x to y is not stored"}):
        assert lost_of({"conditions": [stored | changed]}) is None


HOUR = timedelta(hours=1)
RESTS = [
    {"from": "2026-10-29T12:00:00Z", "to": "2026-10-30T11:00:00Z"},
    {"from": "2026-10-30T12:00:00Z", "to": "2026-10-30T14:00:00Z"},
    {"from": "x"},
    "word",
    {"from": "2026-10-31T11:00:00Z", "to": "2026-10-31T10:00:00Z"},
    {"from": "2026-10-31T11:00:00Z"},
]


async def test_pauses_of_the_last_day_stand_in_the_census_and_what_nobody_can_read_is_none():
    async with a_space(CTP1, CTP2) as (space, kube, _):
        kube.put(CONTROLPLANES, control_plane(CTP2, pauses=RESTS))
        known = (Pause(NOON - 24 * HOUR, NOON - 22 * HOUR), Pause(NOON - HOUR))
        await until(lambda: next(m for m in space.census() if m.id == CTP2.id).pauses == known)


@pytest.mark.parametrize(
    ("state", "leaves", "told"),
    [
        ("Paused", True, (Pause(NOON),)),
        ("Paused", False, ()),
        ("Running", True, ()),
    ],
)
async def test_a_collector_that_ends_with_its_control_plane_tells_that_it_pauses(state, leaves, told):
    async with a_space(CTP1, CTP2) as (space, kube, _):
        for member in (CTP1, CTP2):
            kube.put(CONTROLPLANES, {**control_plane(member, told=1), "spec": {"crossplane": {"state": state}}})
        await until(lambda: all("told" in each["status"] for each in space._informer.items()))
        if leaves:
            space.leave()
        assert space.own().pauses == told
        assert next(m for m in space.census() if m.id == CTP2.id).pauses == (), "that is for its own collector to say"


def test_a_control_plane_without_an_id_is_no_member():
    assert member_of({**control_plane(CTP1), "status": {}}) is None
    assert member_of(control_plane(replace(CTP1, host_namespace=""))) is None


HEAD = ChainHead(CTP1.id, "spool", 7, "a" * 64, NOON)


async def test_the_head_of_the_chain_stands_beside_the_conditions_and_a_new_pod_keeps_it():
    async with a_space(CTP1) as (space, kube, clock):
        await space.report()
        space.stored(HEAD)
        await space.report(Said("BillingStored", True, "UsageStored", "m"))
        stored = await kube.get(CONTROLPLANES, "ctp1", "default")
        assert head_of(stored, SETTINGS.account, SETTINGS.bucket) == HEAD
        other = Space(kube, SETTINGS, clock)
        task = asyncio.create_task(other.run())
        await other.synced()
        await other.report(Said("BillingHealthy", True, "UsageComplete", "n"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stored = await kube.get(CONTROLPLANES, "ctp1", "default")
        assert head_of(stored, SETTINGS.account, SETTINGS.bucket) == HEAD


async def test_the_heads_of_others_that_store_in_the_same_place_are_known():
    async with a_space(CTP1, CTP2) as (space, kube, _clock):
        assert space.heads() == ()
        theirs = replace(HEAD, control_plane=CTP2.id)
        told = billing_status(theirs, SETTINGS.account, SETTINGS.bucket)
        kube.put(CONTROLPLANES, control_plane(CTP1, billing=billing_status(HEAD, SETTINGS.account, SETTINGS.bucket)))
        kube.put(CONTROLPLANES, control_plane(CTP2, billing=told))
        await until(space.heads)
        assert space.heads() == (theirs,)
        kube.put(CONTROLPLANES, control_plane(CTP2, billing={**told, "bucket": "another"}))
        await until(lambda: not space.heads())


@pytest.mark.parametrize(
    "change",
    [{"sequence": "x"}, {"storedTo": "soon"}, {"spool": None, "storedTo": None}, {"account": "other"}],
    ids=str,
)
def test_a_status_that_tells_of_no_head_has_none(change):
    told = billing_status(HEAD, "acme", "usage")
    assert head_of(control_plane(CTP1, billing=told), "acme", "usage") == HEAD
    assert head_of(control_plane(CTP1, billing={**told, **change}), "acme", "usage") is None
    assert head_of({"metadata": {}}, "acme", "usage") is None


@effort(30)
@given(st.sets(st.sampled_from("abcdefghij"), min_size=1))
def test_every_head_is_kept_by_as_many_others_as_there_are_up_to_four(names):
    heads = [replace(HEAD, control_plane=name) for name in sorted(names)]
    kept = [head.control_plane for own in names for head in neighbours(own, heads)]
    assert {kept.count(name) for name in names} == {min(NEIGHBOURS, len(names) - 1)}
