"""The collector as a whole, on an API and a bucket in memory: it meters, and nothing that others do ends it."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.billing.collector import counting, kinds, service
from keyless.billing.collector.clock import Clock
from keyless.billing.collector.ports import Put
from keyless.billing.collector.service import Collector
from keyless.kube import (
    Backoff,
    Forbidden,
    Resource,
    Unauthorized,
    Unavailable,
    Unreachable,
    condition_of,
    contact,
    informer,
)
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, CRDS
from unit.billing.faults.stage import SETTINGS
from unit.billing.samples import CTP1, NOON

VPCS = Resource("ec2.aws.example", "v1", "vpcs", "VPC", namespaced=False)
NAMES = {"host": "the Space: ", "plane": "the control plane: "}
DEFINITION = {
    "metadata": {"name": "vpcs.ec2.aws.example", "generation": 1},
    "spec": {
        "group": VPCS.group,
        "scope": "Cluster",
        "names": {"plural": "vpcs", "kind": "VPC", "categories": ["managed"]},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}


class Bucket:
    """Keeps what is written; ``error`` is what it answers instead."""

    def __init__(self):
        self.held = {}
        self.error = None
        self.attempts = 0

    async def put_new(self, key, body, content_type):
        self._answer()
        self.held[key] = body
        return Put("R1", NOON)

    async def identity(self):
        self._answer()
        return "arn:aws:sts::1:assumed-role/billing/pod"

    async def learn_time(self):
        self.attempts += 1

    async def last(self, prefixes):
        self._answer()
        return

    def _answer(self):
        self.attempts += 1
        if self.error is not None:
            raise self.error


class World:
    def __init__(self, folder, flush_seconds=1):
        self.host, self.plane, self.bucket = MemoryKube(), MemoryKube(), Bucket()
        for kube in (self.host, self.plane):
            kube.answers["/version"] = lambda _: {"gitVersion": "v1.35.0"}
        self.host.put(
            CONTROLPLANES,
            {
                "metadata": {"name": "ctp1", "namespace": "default"},
                "status": {"controlPlaneID": CTP1.id, "hostNamespace": CTP1.host_namespace},
            },
        )
        self.plane.put(CRDS, DEFINITION)
        self.plane.put(VPCS, {"metadata": {"name": "a"}})
        self.plane.put(VPCS, {"metadata": {"name": "b"}})
        settings = replace(SETTINGS, spool_dir=str(folder), interval_seconds=1, flush_seconds=flush_seconds, port=0)
        self.collector = Collector(settings, self.bucket, Clock(), self.host, self.plane)

    def conditions(self):
        [plane] = self.host.stored(CONTROLPLANES)
        return plane["status"].get("conditions")

    def usage(self):
        return [
            json.loads(line)
            for key, body in self.bucket.held.items()
            if key.endswith(".json.gz")
            for line in gzip.decompress(body).splitlines()
        ]


@asynccontextmanager
async def running(world):
    task = asyncio.create_task(world.collector.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled(), task


async def until(true, task):
    async with asyncio.timeout(5):
        while not true():
            assert not task.done(), task
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    quick = Backoff(first_seconds=0.005, cap_seconds=0.01)
    monkeypatch.setattr(informer, "_BACKOFF", quick)
    monkeypatch.setattr(kinds, "_BACKOFF", quick)
    monkeypatch.setattr(contact, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(counting, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(service, "START_SECONDS", 0.02)
    monkeypatch.setattr(service, "HEALTH_SECONDS", 0.01)


async def test_it_counts_is_ready_and_stores_what_it_counted_when_it_is_told_to_end(tmp_path):
    world = World(tmp_path, flush_seconds=3600)  # so that only the end can store, however slow the machine
    async with running(world) as task:
        await until(lambda: world.collector.ready() == "", task)
        assert world.bucket.held == {}
    kinds = {key.rpartition("/")[2].rpartition(".")[2] for key in world.bucket.held}
    assert kinds == {"gz", "json"}
    assert "VPC" in json.dumps(world.usage())
    assert condition_of(world.conditions(), "BillingStored")["status"] == "True"


@pytest.mark.parametrize(
    "error",
    [
        Unauthorized(failure_status(401, "Unauthorized", "who are you")),
        Forbidden(failure_status(403, "Forbidden", "not you")),
        Unavailable(failure_status(503, "", "later")),
        Unreachable(failure_status(0, "", "no answer")),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("system", ["host", "plane"])
async def test_an_api_server_that_fails_in_any_way_leaves_it_running(tmp_path, system, error):
    world = World(tmp_path)

    def refuse(request):
        raise error

    kube = getattr(world, system)
    kube.before = refuse
    async with running(world) as task:
        await until(lambda: len(kube.calls) > 5, task)
        if not isinstance(error, Forbidden):  # which is an answer: it knows us
            await until(lambda: world.collector.ready().startswith(NAMES[system]), task)
        kube.before = lambda request: None
        await until(lambda: world.collector.ready() == "", task)


@pytest.mark.parametrize("name", ["host", "plane"])
async def test_a_token_that_became_void_makes_it_unready_and_names_whose(tmp_path, name):
    world = World(tmp_path)
    async with running(world) as task:
        await until(lambda: world.collector.ready() == "", task)
        getattr(world, name).contact.failed(Unauthorized(failure_status(401, "Unauthorized", "who are you")))
        assert world.collector.ready().startswith(NAMES[name])
        assert "who are you" in world.collector.ready()


@pytest.mark.parametrize(
    "error",
    [
        AwsPermanent(Said("PutObject", "NoSuchBucket", "The specified bucket does not exist")),
        AwsTransient(Said("PutObject", "SlowDown", "Please reduce your request rate.")),
        FileNotFoundError(2, "what a library makes of a missing bucket"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_bucket_that_fails_in_any_way_loses_nothing(tmp_path, error):
    world = World(tmp_path)
    world.bucket.error = error
    async with running(world) as task:
        await until(lambda: (condition_of(world.conditions(), "BillingStored") or {}).get("status") == "False", task)
        await until(lambda: world.collector.ready() == "", task)
        assert list(tmp_path.glob("*.spool"))
        assert world.bucket.held == {}
        world.bucket.error = None
    assert not list(tmp_path.glob("*.spool"))
    assert "VPC" in json.dumps(world.usage())
