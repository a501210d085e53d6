"""What is counted, and what is owned up to, whatever happens to the control plane's API."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from keyless.billing.collector.counting import ManagedResources
from keyless.billing.collector.kinds import DEFINITION, kind_of
from keyless.billing.ledger.model import Gvk, Polled, hour_of
from keyless.kube import Forbidden, Resource, Unavailable, Unreachable
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CRDS
from unit.billing.samples import NOON, seconds

GROUP = "aws.example"
INTERVAL = seconds(15)


def definition(plural, *, categories=("managed",), versions=("v1",), storage="v1", generation=1):
    return {
        "metadata": {"name": f"{plural}.{GROUP}", "generation": generation},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {"plural": plural, "kind": plural.title(), "categories": list(categories)},
            "versions": [{"name": name, "served": True, "storage": name == storage} for name in versions],
        },
    }


def resource(plural, version="v1"):
    return Resource(GROUP, version, plural, plural.title(), namespaced=False)


def gvk(plural, version="v1"):
    return Gvk(GROUP, version, plural.title())


class Plane:
    """A control plane in memory, and a counter on it."""

    def __init__(self, *plurals, **options):
        self.kube = MemoryKube()
        self.refused = {}
        self.kube.before = self.answer
        for plural in plurals:
            self.kube.put(CRDS, definition(plural))
        loop = asyncio.get_running_loop()
        start = loop.time()
        self.counter = ManagedResources(
            self.kube, INTERVAL, lambda: NOON + timedelta(seconds=loop.time() - start), **options
        )

    def answer(self, request):
        for part, error in self.refused.items():
            if part in request.path:
                raise error

    def make(self, plural, name, version="v1"):
        self.kube.put(resource(plural, version), {"metadata": {"name": name}})

    def requests(self, plural):
        return sum(1 for call in self.kube.calls if call.endswith(f"/{plural}"))


@asynccontextmanager
async def running(plane):
    task = asyncio.create_task(plane.counter.run())
    try:
        await plane.counter.settled()
        yield plane.counter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def refused(code=403, reason="Forbidden"):
    kind = {403: Forbidden, 500: Unavailable, 0: Unreachable}[code]
    return kind(failure_status(code, reason, "refused"))


async def test_every_kind_of_is_counted_and_nothing_else():
    plane = Plane("vpcs", "buckets")
    plane.kube.put(CRDS, definition("settings", categories=()))
    plane.make("vpcs", "a")
    plane.make("vpcs", "b")
    plane.make("settings", "x")
    async with running(plane) as counter:
        counts = counter.counts()
    assert (counts.counts, counts.unknown, counts.failure, counts.polled) == ({gvk("vpcs"): 2}, {}, None, None)


async def test_what_comes_and_goes_between_two_counts_is_a_peak():
    plane = Plane("vpcs")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        counter.counts()
        for name in "bcd":
            plane.make("vpcs", name)
        await asyncio.sleep(1)
        for name in "bcd":
            await plane.kube.delete(resource("vpcs"), name)
        await asyncio.sleep(1)
        counts = counter.counts()
        assert counts.counts == {gvk("vpcs"): 1}
        assert counts.peaks == {NOON: {gvk("vpcs"): 4}}
        assert counter.counts().peaks == {}, "told once"


async def test_a_peak_is_told_for_the_hour_in_which_it_was():
    plane = Plane("vpcs")
    async with running(plane) as counter:
        await asyncio.sleep(3590)
        plane.make("vpcs", "a")
        await asyncio.sleep(1)
        await plane.kube.delete(resource("vpcs"), "a")
        await asyncio.sleep(20)
        plane.make("vpcs", "b")
        plane.make("vpcs", "c")
        await asyncio.sleep(1)
        assert counter.counts().peaks == {NOON: {gvk("vpcs"): 1}, NOON + timedelta(hours=1): {gvk("vpcs"): 2}}


async def test_a_count_asks_nobody():
    plane = Plane(*(f"kind{n}" for n in range(30)))
    async with running(plane) as counter:
        plane.kube.calls.clear()
        for _ in range(50):
            counter.counts()
        assert plane.kube.calls == []


async def test_a_change_brings_no_request_for_other_kinds():
    plane = Plane(*(f"kind{n}" for n in range(30)))
    async with running(plane) as counter:
        plane.kube.calls.clear()
        plane.make("kind3", "a")
        await asyncio.wait_for(counter.changed(), 5)
        assert counter.counts().counts == {gvk("kind3"): 1}
        assert plane.kube.calls == []


@pytest.mark.parametrize("code", [403, 500, 0])
async def test_a_kind_that_cannot_be_asked_is_unknown_and_the_others_go_on(code):
    plane = Plane("vpcs", "buckets")
    plane.make("vpcs", "a")
    plane.refused["/v1/buckets"] = refused(code, {403: "Forbidden", 500: "InternalError", 0: ""}[code])
    async with running(plane) as counter:
        assert counter.beginning, "what was never asked with success is not whole"
        await asyncio.sleep(60)
        counts = counter.counts()
        assert counts.counts == {gvk("vpcs"): 1}
        assert set(counts.unknown) == {gvk("buckets")}
        why = counts.unknown[gvk("buckets")]
        assert why.detail == str(plane.refused["/v1/buckets"])
        assert why.since - NOON < seconds(5)
        assert why.reason == {403: "Forbidden", 500: "InternalError", 0: "Unreachable"}[code]
        plane.refused.clear()
        await asyncio.sleep(60)
        assert counter.counts().unknown == {}
        assert not counter.beginning


async def test_a_conversion_webhook_that_is_down_costs_its_kind_alone():
    """The API server answers 500 to every list of such a kind, of metadata too."""
    plane = Plane("vpcs", "buckets")
    plane.make("vpcs", "a")
    plane.make("buckets", "a")
    async with running(plane) as counter:
        await asyncio.sleep(20)
        counter.counts()
        plane.refused["/v1/buckets"] = refused(500, "InternalError")
        plane.kube.drop_watches()
        await asyncio.sleep(20)
        counts = counter.counts()
        assert counts.counts == {gvk("vpcs"): 1}
        assert set(counts.unknown) == {gvk("buckets")}


async def test_a_restart_of_the_api_server_is_no_gap_where_the_watch_goes_on():
    plane = Plane("vpcs")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        counter.counts()
        plane.refused["/"] = refused(0)
        plane.kube.drop_watches()
        await asyncio.sleep(3)
        plane.make("vpcs", "b")
        plane.refused.clear()
        await asyncio.sleep(30)
        counts = counter.counts()
        assert (counts.counts, counts.unknown, counts.failure) == ({gvk("vpcs"): 2}, {}, None)


async def test_a_control_plane_that_is_gone_is_a_failure_never_a_zero():
    plane = Plane("vpcs")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        plane.refused["/"] = refused(0)
        plane.kube.drop_watches()
        await asyncio.sleep(120)
        assert counter.counts().failure[0] == "ControlPlaneUnreachable"


async def test_changes_that_a_watch_has_missed_are_owned_up_to():
    """410: the history is gone, and with it what came and went."""
    plane = Plane("vpcs")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        await asyncio.sleep(10)
        counter.counts()
        plane.refused["/vpcs"] = refused(0)
        plane.kube.drop_watches()
        await asyncio.sleep(2)
        plane.make("vpcs", "b")
        plane.kube.expire_history()
        plane.refused.clear()
        await asyncio.sleep(30)
        counts = counter.counts()
        assert counts.unknown[gvk("vpcs")].reason == "WatchExpired"
        assert abs(counts.unknown[gvk("vpcs")].since - NOON - seconds(10)) < seconds(1)
        later = counter.counts()
        assert (later.counts, later.unknown) == ({gvk("vpcs"): 2}, {})


async def test_a_kind_that_comes_later_is_counted_within_a_second():
    plane = Plane("vpcs")
    async with running(plane) as counter:
        plane.kube.put(CRDS, definition("buckets"))
        plane.make("buckets", "a")
        await asyncio.sleep(1)
        assert counter.counts().counts == {gvk("buckets"): 1}


async def test_a_kind_whose_stored_version_changes_within_the_hour_is_never_zero():
    plane = Plane("vpcs")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        assert counter.counts().counts == {gvk("vpcs"): 1}
        plane.kube.put(CRDS, definition("vpcs", versions=("v1", "v2"), storage="v2", generation=2))
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert sum(counter.counts().counts.values()) == 1
        await asyncio.sleep(30)
        counts = counter.counts()
        assert (counts.counts, counts.unknown) == ({gvk("vpcs", "v2"): 1}, {})


async def test_a_kind_that_is_removed_is_no_gap_and_no_number():
    plane = Plane("vpcs", "buckets")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        await plane.kube.delete(CRDS, f"vpcs.{GROUP}")
        await asyncio.sleep(60)
        counts = counter.counts()
        assert (counts.counts, counts.unknown) == ({}, {})


async def test_a_definition_that_cannot_be_read_is_a_gap_of_kinds_that_nobody_can_name():
    plane = Plane("vpcs")
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        plane.refused["/customresourcedefinitions/buckets"] = refused(500, "InternalError")
        plane.kube.put(CRDS, definition("buckets"))
        await asyncio.sleep(60)
        counts = counter.counts()
        assert counts.counts == {gvk("vpcs"): 1}
        assert counts.unknown[DEFINITION].reason == "InternalError"


async def test_a_thousand_kinds_at_once_stop_no_sample():
    plane = Plane("vpcs", watches=50)
    plane.make("vpcs", "a")
    async with running(plane) as counter:
        for n in range(1000):
            plane.kube.put(CRDS, definition(f"kind{n}"))
        for _ in range(20):
            await asyncio.sleep(15)
            counts = counter.counts()
            assert counts.failure is None
            assert counts.counts[gvk("vpcs")] == 1
        assert counts.unknown == {}
        assert counts.polled == Polled(951, 476)


async def test_kinds_beyond_the_budget_are_asked_in_turn_at_a_bounded_rate():
    plane = Plane(*(f"kind{n}" for n in range(100)), watches=10)
    async with running(plane) as counter:
        await asyncio.sleep(60)
        plane.kube.calls.clear()
        await asyncio.sleep(100)
        lists = [call for call in plane.kube.calls if "/kind" in call]
        assert len(lists) <= 210
        assert counter.counts().polled == Polled(90, 45)
        assert len(set(lists)) >= 90, "each has its turn"


async def test_a_kind_beyond_the_budget_that_has_instances_takes_the_watch_of_an_empty_one():
    plane = Plane(*(f"kind{n}" for n in range(10)), watches=3)
    async with running(plane) as counter:
        plane.make("kind7", "a")
        await asyncio.sleep(60)
        plane.make("kind7", "b")
        plane.kube.calls.clear()
        await asyncio.sleep(1)
        counts = counter.counts()
        assert counts.counts == {gvk("kind7"): 2}
        assert counts.polled == Polled(7, 15)


async def test_more_kinds_with_instances_than_watches_are_all_counted():
    plane = Plane(*(f"kind{n}" for n in range(10)), watches=3)
    for n in range(10):
        plane.make(f"kind{n}", "a")
    async with running(plane) as counter:
        await asyncio.sleep(60)
        assert counter.counts().counts == {gvk(f"kind{n}"): 1 for n in range(10)}
        await plane.kube.delete(resource("kind9"), "a")
        await asyncio.sleep(60)
        assert counter.counts().counts == {gvk(f"kind{n}"): 1 for n in range(9)}


async def test_a_kind_that_hangs_does_not_hold_up_the_polls_of_others():
    plane = Plane(*(f"kind{n}" for n in range(10)), watches=1)
    real = plane.kube.list

    async def slow(res, *args, **kwargs):
        if res.plural == "kind5":
            await asyncio.sleep(10_000)
        return await real(res, *args, **kwargs)

    plane.kube.list = slow
    async with running(plane) as counter:
        plane.make("kind8", "a")
        await asyncio.sleep(200)
        counts = counter.counts()
        assert counts.counts == {gvk("kind8"): 1}
        assert set(counts.unknown) == {gvk("kind5")}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"spec": {}},
        {"spec": {"names": {"categories": None}}},
        {"spec": {"names": {"categories": ["managed"]}, "versions": None}},
        {"spec": {"names": {"categories": ["managed"]}, "versions": [{"name": "v1", "served": False}]}},
        definition("x", categories=("all",)),
    ],
)
def test_what_is_no_counted_kind_is_none(document):
    assert kind_of(document) is None


def test_the_hour_of_a_moment_is_its_start():
    assert hour_of(NOON + seconds(3599)) == NOON


XAPP = Resource(GROUP, "v1", "xapps", "XApp", namespaced=False)


def composite(name, composition, *, size=3):
    parts = [{"apiVersion": "v1", "kind": "ConfigMap", "name": f"c{n}"} for n in range(size)]
    return {
        "metadata": {"name": name, "uid": f"u-{name}", "labels": {"crossplane.io/composite": name}},
        "spec": {"crossplane": {"compositionRef": {"name": composition}, "resourceRefs": parts}},
    }


def owned(name, by, team):
    owner = {"apiVersion": f"{GROUP}/v1", "kind": "XApp", "name": by, "uid": f"u-{by}", "controller": True}
    labels = {"crossplane.io/composite": by, "team": team}
    return {"metadata": {"name": name, "labels": labels, "ownerReferences": [owner]}}


async def test_dimensions_follow_owners_labels_and_lists_that_begin_anew():
    plane = Plane("vpcs", labels=("team",))
    xapps = definition("xapps", categories=("composite",))
    xapps["spec"]["names"]["kind"] = "XApp"
    plane.kube.put(CRDS, xapps)
    plane.kube.put(XAPP, composite("shop", "web"))
    plane.kube.put(resource("vpcs"), owned("a", "shop", "payments"))
    async with running(plane) as counter:
        assert counter.counts().counts == {gvk("vpcs"): 1}, "the peer's numbers know no composites"
        rows = seen(counter, 0)
        assert rows == {
            ("managed", "Vpcs", "shop", "web", "payments"): 1,
            ("composite", "XApp", "shop", "web", None): 1,
            ("composed", "ConfigMap", "shop", "web", None): 3,
        }
        plane.kube.put(resource("vpcs"), owned("a", "shop", "search"))
        plane.kube.put(XAPP, composite("shop", "web-2", size=1))
        await asyncio.sleep(1)
        rows = seen(counter, 5)
        assert rows == {
            ("managed", "Vpcs", "shop", "web-2", "search"): 1,
            ("composite", "XApp", "shop", "web-2", None): 1,
            ("composed", "ConfigMap", "shop", "web-2", None): 1,
        }
        await plane.kube.delete(resource("vpcs"), "a")
        await plane.kube.delete(XAPP, "shop")
        await asyncio.sleep(1)
        assert seen(counter, 10) == {}


def seen(counter, at):
    counter.counts()
    metered = counter.metered(NOON + seconds(at), whole=True)
    told = ((metered.new[number], measure.count) for number, measure in metered.rows.items() if measure.count)
    return {
        (d.meter.value, d.gvk.kind, d.composite, d.composition, d.labels[0] if d.labels else None): count
        for d, count in told
    }


@pytest.mark.parametrize("expired", [False, True])
async def test_dimensions_that_changed_while_a_watch_was_away_are_told_by_its_list(expired):
    plane = Plane("vpcs", labels=("team",))
    plane.kube.put(resource("vpcs"), owned("a", "shop", "payments"))
    plane.kube.put(resource("vpcs"), owned("b", "shop", "payments"))
    async with running(plane) as counter:
        assert sum(seen(counter, 0).values()) == 2
        plane.refused["/vpcs"] = refused(0)
        plane.kube.drop_watches()
        await asyncio.sleep(2)
        plane.kube.put(resource("vpcs"), owned("a", "shop", "search"))
        plane.refused.clear()
        await plane.kube.delete(resource("vpcs"), "b")
        if expired:
            plane.kube.expire_history()
        await asyncio.sleep(60)
        assert seen(counter, 60) == {("managed", "Vpcs", "shop", None, "search"): 1}
