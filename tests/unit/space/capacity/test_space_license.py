"""The SpaceLicense: what of a capacity is used, warned of in time, and as ``keyless billing capacity`` says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.collector.host import billing_status
from keyless.billing.ledger.capacity_used import DAYS_KEPT, Used, added, used_document, used_untrusted
from keyless.billing.ledger.model import HOUR, ChainHead, Malformed
from keyless.billing.report.capacity import Bought, meetings
from keyless.billing.report.service import Asked, capacity_of
from keyless.billing.report.teams import DEFAULT
from keyless.kube import KubeObject, condition_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import EVENTS, SECRETS, SPACELICENSES
from keyless.space.capacity.controller import Licensing
from keyless.space.capacity.plan import (
    Kept,
    PlaneUse,
    kept_document,
    kept_next,
    kept_untrusted,
    lines_of,
    measured_to,
    plane_use,
    status_of,
)
from unit.billing.bucket import MemoryBucket
from unit.billing.samples import BUCKET, VPC
from unit.billing.teams_bucket import Filler

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BOUGHT = Bought(1000, 500, START, START + 92 * DAY)
SINCE = "2026-10-01"


def use(**days: tuple[int, int]) -> Used:
    """Resource-hours and operations by day of October."""
    used = Used(SINCE)
    for day, (hours, operations) in days.items():
        used = added(used, START + (int(day[1:]) - 1) * DAY, hours * 3_600_000, operations)
    return used


def plane(name: str, used: Used | None, stored_to: datetime = START + 10 * DAY) -> KubeObject:
    head = ChainHead(f"id-{name}", "spool", 3, "ab" * 32, stored_to)
    billing = billing_status(head, "acme", "usage", used)
    return {
        "metadata": {"name": name, "namespace": "default"},
        "status": {"controlPlaneID": f"id-{name}", "billing": billing},
    }


class World:
    """A host in memory, the ControlPlanes that the operator has seen, and its clock."""

    def __init__(self, bought: Bought | None = BOUGHT) -> None:
        self.now = START + 10 * DAY
        self.host = MemoryKube(now=lambda: self.now)
        self.bought = bought
        self.planes: list[KubeObject] = []
        self.loop = Licensing(self.host, lambda: self.bought, lambda: self.planes, now=lambda: self.now)

    async def look(self) -> KubeObject:
        await self.loop.look()
        found: KubeObject = await self.host.get(SPACELICENSES, "space")
        return dict(found.get("status") or {})

    def warnings(self) -> list[str]:
        return [each["reason"] for each in self.host.stored(EVENTS)]


async def test_a_capacity_of_the_values_makes_a_license_that_says_how_much_of_it_is_used() -> None:
    world = World()
    world.planes = [plane("a", use(d2=(100, 10), d9=(20, 5))), plane("b", use(d3=(50, 0)))]
    status = await world.look()
    assert status["plan"] == "community"
    assert status["capacity"] == {"resourceHours": 1000, "operations": 500}
    assert status["usage"] == {
        "resourceHours": 170,
        "operations": 15,
        "resourceHoursUtilization": "17.00%",
        "operationsUtilization": "3.00%",
        "firstMeasurement": "2026-10-01T00:00:00Z",
        "lastMeasurement": "2026-10-11T00:00:00Z",
    }
    valid, lasts = (condition_of(status["conditions"], kind) for kind in ("LicenseValid", "CapacityLasts"))
    assert valid is not None
    assert (valid["status"], valid["reason"]) == ("True", "Valid")
    assert lasts is not None
    assert (lasts["status"], lasts["reason"]) == ("True", "WithinCapacity")
    assert world.warnings() == []


@pytest.mark.parametrize(
    ("used", "reason"),
    [
        (use(d1=(799, 0)), "WithinCapacity"),
        (use(d1=(800, 0)), "NearlySpent"),
        (use(d1=(0, 400)), "NearlySpent"),
        (use(d9=(100, 0)), "WillBeSpent"),
        (use(d9=(0, 60)), "WillBeSpent"),
        (use(d1=(1000, 0)), "CapacitySpent"),
        (use(d1=(0, 0), d9=(5000, 5000)), "CapacitySpent"),
    ],
)
async def test_it_is_told_before_a_capacity_is_spent_once_and_nothing_is_switched_off(used: Used, reason: str) -> None:
    world = World()
    world.planes = [plane("a", used)]
    for _ in range(2):
        lasts = condition_of((await world.look())["conditions"], "CapacityLasts")
        assert lasts is not None
        assert lasts["reason"] == reason
        assert "Nothing is switched off" in lasts["message"]
    assert world.warnings() == ([] if reason == "WithinCapacity" else [reason])
    assert {call.split()[1].rpartition("/")[0].split("/")[-1] for call in world.host.calls if "PATCH" in call} <= {
        "spacelicenses",
        "space",
    }


async def test_a_license_file_is_neither_read_nor_called_valid_or_invalid() -> None:
    world = World()
    reference = {"name": "space-license", "namespace": "upbound-system", "key": "license.json"}
    world.host.put(SPACELICENSES, {"metadata": {"name": "space"}, "spec": {"secretRef": reference}})
    status = await world.look()
    valid = condition_of(status["conditions"], "LicenseValid")
    assert valid is not None
    assert (valid["status"], valid["reason"]) == ("Unknown", "LicenseFormatUnknown")
    assert "upbound-system/space-license" in valid["message"]
    assert "plan" not in status
    assert not [call for call in world.host.calls if "secrets" in call]
    assert not world.host.stored(SECRETS)


async def test_without_a_capacity_a_license_is_the_users_to_make() -> None:
    world = World(None)
    world.planes = [plane("a", None)]
    await world.loop.look()
    assert not world.host.stored(SPACELICENSES)
    world.host.put(SPACELICENSES, {"metadata": {"name": "space"}, "spec": {}})
    status = await world.look()
    assert [each["type"] for each in status["conditions"]] == ["LicenseValid"]
    assert "usage" not in status


async def test_values_that_change_are_looked_at_at_once() -> None:
    world = World(None)
    task = asyncio.create_task(world.loop.run())
    try:
        await _settled()
        assert world.host.stored(SPACELICENSES) == []
        world.bought = BOUGHT
        world.loop.wake()
        await _settled()
        (license_,) = world.host.stored(SPACELICENSES)
        assert license_["status"]["capacity"] == {"resourceHours": 1000, "operations": 500}
        world.bought = replace(BOUGHT, resource_hours=7)
        world.loop.wake()
        await _settled()
        assert world.host.stored(SPACELICENSES)[0]["status"]["capacity"]["resourceHours"] == 7
    finally:
        task.cancel()


async def _settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_before_anything_is_stored_nothing_is_said_to_last() -> None:
    world = World()
    world.planes = [plane("a", None)]
    lasts = condition_of((await world.look())["conditions"], "CapacityLasts")
    assert lasts is not None
    assert (lasts["status"], lasts["reason"]) == ("Unknown", "NotMeasured")


async def test_what_control_planes_used_stays_used_when_they_go() -> None:
    world = World()
    world.planes = [plane("a", use(d2=(100, 1))), plane("b", use(d2=(30, 2)))]
    await world.look()
    world.planes = [plane("a", use(d2=(100, 1)))]
    for _ in range(3):
        usage = (await world.look())["usage"]
        assert (usage["resourceHours"], usage["operations"]) == (130, 3)
    # A collector that lost its count begins anew; a capacity of another year counts for itself.
    world.planes = [plane("a", use(d9=(1, 0)))]
    assert (await world.look())["usage"]["resourceHours"] == 130
    world.bought = replace(BOUGHT, start=START + DAY)
    lasts = condition_of((await world.look())["conditions"], "CapacityLasts")
    assert lasts is not None
    assert lasts["reason"] == "NotMeasured"


SPOILT = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "nothing in it": "{}",
    "one number": '{"since":"2026-10-01","gone":[1],"known":{}}',
    "no number": '{"since":"2026-10-01","gone":[Infinity,1],"known":{}}',
    "a number beyond all": '{"since":"2026-10-01","gone":[1e400,1],"known":{}}',
    "without end": "[" * 100_000,
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
async def test_a_memory_that_somebody_spoilt_is_begun_anew(spoilt: str) -> None:
    world = World()
    world.host.put(SPACELICENSES, {"metadata": {"name": "space", "annotations": {"keyless.dev/capacity-used": spoilt}}})
    world.planes = [plane("a", use(d2=(100, 1)))]
    assert (await world.look())["usage"]["resourceHours"] == 100


USES = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 900), st.integers(0, 9)), max_size=4)


@effort(60)
@given(st.lists(USES, max_size=6), st.booleans())
def test_whatever_comes_and_goes_use_never_shrinks_and_is_counted_once(
    looks: list[dict[str, tuple[int, int]]], again: bool
) -> None:
    kept: Kept | None = None
    most: dict[str, int] = {}
    born = {"a": 0, "b": 0, "c": 0, "d": 0}
    before: set[str] = set()
    for uses in looks:
        for name in uses.keys() - before:
            born[name] += 1
        before = set(uses)
        planes = []
        for name, (milliseconds, operations) in uses.items():
            id_ = f"{name}{born[name]}"
            most[id_] = max(most.get(id_, 0), milliseconds)
            planes.append(PlaneUse(id_, added(Used(SINCE), START, milliseconds, operations), START + DAY))
        kept = kept_next(kept, planes, SINCE)
        if again:
            kept = kept_next(kept_untrusted(json.loads(json.dumps(kept_document(kept)))), planes, SINCE)
        assert sum(line.quantity.milliseconds for line in lines_of(kept, planes)) == sum(most.values())


@effort(15)
@given(
    st.lists(
        st.tuples(st.integers(0, 13), st.integers(0, 23), st.integers(0, 4), st.integers(0, 4)),
        unique_by=lambda each: each[:2],
        max_size=12,
    ),
    st.integers(0, 40),
)
def test_the_license_says_what_the_command_says(hours: list[tuple[int, int, int, int]], bought: int) -> None:
    bucket = MemoryBucket()
    fillers = [Filler(bucket, number, START) for number in (0, 1)]
    used = [Used(SINCE), Used(SINCE)]
    last = START + HOUR
    for day, hour, one, two in sorted(hours):
        at = START + day * DAY + hour * HOUR
        for number, (filler, counts) in enumerate(zip(fillers, (one, two), strict=True)):
            packed = filler.hour(at, [(VPC, "payments", counts), (BUCKET, None, 1)])
            used[number] = added(used[number], packed.runs.start, packed.resource_milliseconds, packed.operations)
        last = at + HOUR
    capacity = Bought(bought, 7, START, START + 30 * DAY)
    asked = Asked(("acme",), (START, last), ZoneInfo("UTC"), ("meter",), "all", DEFAULT, force_incomplete=True)
    told = capacity_of(bucket, asked, capacity, now=last + DAY)
    planes = [PlaneUse(f"{number}", each, last) for number, each in enumerate(used)]
    assert meetings(capacity, lines_of(kept_next(None, planes, SINCE), planes), measured_to(planes, capacity)) == told


@effort(60)
@given(st.lists(st.tuples(st.integers(-3, 40), st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_days_are_kept_for_the_forecast_and_none_is_lost(segments: list[tuple[int, int, int]]) -> None:
    used = Used(SINCE)
    for day, milliseconds, operations in segments:
        used = added(used, START + day * DAY, milliseconds, operations)
    assert used.milliseconds == sum(ms for day, ms, _ in segments if day >= 0)
    assert used.operations == sum(ops for day, _, ops in segments if day >= 0)
    assert len(used.days) <= DAYS_KEPT
    assert used_untrusted(json.loads(json.dumps(used_document(used)))) == used


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        {"since": "x"},
        {**used_document(Used(SINCE)), "days": [{"day": "x"}]},
        {**used_document(Used(SINCE)), "before": 3},
    ],
)
def test_a_count_that_somebody_spoilt_is_none(document: Any) -> None:
    with pytest.raises(Malformed):
        used_untrusted(document)
    spoilt = plane("a", use(d1=(1, 1)))
    spoilt["status"]["billing"]["capacity"] = document or {"since": 3}
    found = plane_use(spoilt, SINCE)
    assert found is not None
    assert found.used is None


def test_a_status_that_is_made_again_is_the_same() -> None:
    license_ = {"metadata": {"name": "space"}, "spec": {}}
    planes = [PlaneUse("a", use(d2=(900, 1)), START + 5 * DAY)]
    kept = kept_next(None, planes, SINCE)
    once = status_of(license_, BOUGHT, kept, planes, START + 5 * DAY)
    again = status_of({**license_, "status": once}, BOUGHT, kept, planes, START + 6 * DAY)
    assert once == again
