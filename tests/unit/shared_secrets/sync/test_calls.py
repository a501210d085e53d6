"""How many calls many ExternalSecrets are: one for each secret, or for twenty, and one if all read the same."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from keyless.kube import Event, Name
from keyless.kube.queue import Queue
from keyless.kube.resources import EXTERNALSECRETS
from keyless.shared_secrets.stores.batching import Batchers
from keyless.shared_secrets.sync.ahead import Ahead
from keyless.shared_secrets.sync.hashes import resource_version
from keyless.shared_secrets.watching import on_asked
from unit.shared_secrets.bench import Bench
from unit.shared_secrets.fakes import an_external_secret

WORKERS = 20


async def synced(bench, names):
    """Reconcile all, as many at once as there are workers; returns the calls that were made."""
    bench.aws.calls.clear()
    waiting = list(names)

    async def work():
        while waiting:
            await bench.controller.reconcile(Name("app", waiting.pop()))

    await asyncio.gather(*(work() for _ in range(WORKERS)))
    return Counter(operation for operation, _ in bench.aws.calls)


def made(count, key, stores=("aws",)):
    """Return a bench with so many ExternalSecrets of three keys, whose batches the policy allows."""
    contents = {f"s{n}": '{"a": "1", "b": "2", "c": "3"}' for n in range(count)}
    bench = Bench(secrets=contents, parameters=dict(contents))
    bench.tools.stores._batchers = Batchers(lambda: bench.now.timestamp())
    bench.aws.BatchGetSecretValue = lambda SecretIdList: {  # noqa: N803 - AWS's own name
        "SecretValues": [{"Name": name, "SecretString": bench.aws.secrets[name]} for name in SecretIdList]
    }
    bench.aws.GetParameters = lambda Names, WithDecryption: {  # noqa: N803 - AWS's own name
        "Parameters": [{"Name": name, "Value": bench.aws.parameters[name]} for name in Names]
    }
    for number in range(count):
        data = [
            {"secretKey": part, "remoteRef": {"key": key.format(n=number), "property": part}}
            for part in ("a", "b", "c")
        ]
        store = {"name": stores[number % len(stores)], "kind": "SecretStore"}
        bench.kube.put(EXTERNALSECRETS, an_external_secret(f"e{number}", data=data, secretStoreRef=store))
    return bench, [f"e{number}" for number in range(count)]


@pytest.mark.parametrize("count", [40])
async def test_distinct_secrets_are_a_call_for_twenty_where_that_is_allowed(count):
    bench, names = made(count, "s{n}")
    assert await synced(bench, names) == {"BatchGetSecretValue": count / 20}
    assert await synced(bench, names) == {}
    bench.now += timedelta(hours=1)
    assert await synced(bench, names) == {"BatchGetSecretValue": count / 20}


@pytest.mark.parametrize("count", [40])
async def test_distinct_secrets_are_a_call_each_within_the_guides_actions(count):
    bench, names = made(count, "s{n}")
    bench.aws.refuse["BatchGetSecretValue"] = "AccessDeniedException"
    assert await synced(bench, names) == {"BatchGetSecretValue": 1, "GetSecretValue": count}
    bench.now += timedelta(hours=1)
    assert (await synced(bench, names))["GetSecretValue"] == count


@pytest.mark.parametrize("allowed", [True, False])
async def test_200_on_one_secret_are_one_call(allowed):
    bench, names = made(200, "s0")
    if not allowed:
        bench.aws.refuse["BatchGetSecretValue"] = "AccessDeniedException"
    assert await synced(bench, names) == {"GetSecretValue": 1}
    bench.now += timedelta(hours=1)
    assert await synced(bench, names) == {"GetSecretValue": 1}


def reading_ahead(bench, waiting):
    """Wire what reads ahead to a queue that is a list."""
    by_name = {obj["metadata"]["name"]: obj for obj in bench.kube.stored(EXTERNALSECRETS)}
    ahead = Ahead(
        bench.tools.stores,
        bench.tools.guard,
        bench.facts.store,
        upcoming=lambda most: [Name("app", name) for name in reversed(waiting[-most:])],
        found=lambda key: by_name.get(key.name),
        now=lambda: bench.now,
        clock=lambda: bench.now.timestamp(),
    )
    bench.ahead = ahead.look


async def synced_by_few(bench, names, seconds_each=0.01):
    bench.aws.calls.clear()
    waiting = list(names)
    reading_ahead(bench, waiting)

    async def work():
        while waiting:
            bench.now += timedelta(seconds=seconds_each)
            await bench.controller.reconcile(Name("app", waiting.pop()))

    await asyncio.gather(*(work() for _ in range(3)))
    return Counter(operation for operation, _ in bench.aws.calls)


@pytest.mark.parametrize(
    ("stores", "calls"),
    [
        (("aws",), {"BatchGetSecretValue": 100 / 20}),
        (("params",), {"GetParameters": 100 / 10}),
        (("aws", "params"), {"BatchGetSecretValue": 3, "GetParameters": 5}),
    ],
)
async def test_batches_are_full_though_few_work_at_a_time(stores, calls):
    bench, names = made(100, "s{n}", stores)
    at_most = {call: number + 1 for call, number in calls.items()}
    for _ in ("new", "refreshed"):
        found = await synced_by_few(bench, names)
        assert set(found) == set(calls)
        assert all(number <= at_most[call] for call, number in found.items()), found
        bench.now += timedelta(hours=1, minutes=2)


async def test_what_a_person_asks_for_anew_travels_together_too():
    bench, names = made(100, "s{n}")
    await synced_by_few(bench, names)
    for number, name in enumerate(names):
        bench.aws.secrets[f"s{number}"] = '{"a": "new", "b": "2", "c": "3"}'
        await bench.change({"metadata": {"annotations": {"force-sync": "1"}}}, name)
    calls = await synced_by_few(bench, names)
    assert set(calls) == {"BatchGetSecretValue"}
    assert calls["BatchGetSecretValue"] <= 6
    assert {(await bench.data(name))["a"] for name in names} == {"new"}


async def test_200_on_one_secret_are_one_call_however_slowly_they_are_written():
    bench, names = made(200, "s0")
    assert await synced_by_few(bench, names, seconds_each=0.1) == {"GetSecretValue": 1}


async def test_reading_ahead_makes_no_more_calls_where_batches_are_denied():
    bench, names = made(100, "s{n}")
    bench.aws.refuse["BatchGetSecretValue"] = "AccessDeniedException"
    calls = await synced_by_few(bench, names)
    assert calls["GetSecretValue"] == 100
    assert calls["BatchGetSecretValue"] <= 3, "those that were under way before the first refusal"


async def test_what_a_person_asks_for_anew_is_never_what_was_read_ahead():
    bench, names = made(10, "s{n}")
    await synced_by_few(bench, names)
    for number, name in enumerate(names):
        bench.aws.secrets[f"s{number}"] = '{"a": "new", "b": "2", "c": "3"}'
        await bench.change({"metadata": {"annotations": {"force-sync": "1"}}}, name)
    calls = await synced_by_few(bench, names)
    assert sum(calls.values()) <= 10
    assert [(await bench.data(name))["a"] for name in names] == ["new"] * 10


async def test_what_cannot_be_read_ahead_is_told_by_its_own_sync():
    bench, names = made(5, "s{n}")
    del bench.aws.secrets["s3"]
    bench.aws.BatchGetSecretValue = lambda SecretIdList: {  # noqa: N803 - AWS's own name
        "SecretValues": [
            {"Name": name, "SecretString": bench.aws.secrets[name]}
            for name in SecretIdList
            if name in bench.aws.secrets
        ]
    }
    waiting = list(names)
    reading_ahead(bench, waiting)
    for _ in names:
        name = waiting.pop()
        if name == "e3":
            assert "ResourceNotFoundException" in (await bench.fails(name=name))[2]
        else:
            await bench.sync(name=name)


@pytest.mark.parametrize("when", ["after a restart", "when 1,000 are due in one second"])
async def test_a_new_one_comes_before_10_000_that_are_merely_due(when):
    source, queue = Source(), Queue()
    on_asked(source, queue.add)
    due = {"status": {"syncedResourceVersion": resource_version(an_external_secret("e"))}}
    for number in range(10_000):
        obj = {**an_external_secret("e"), **due}
        obj["metadata"] = {**obj["metadata"], "name": f"e{number}"}
        source.heard(Event("ADDED", obj, None))
        if when != "after a restart":
            queue.add(Name("app", f"e{number}"), urgent=False)
    taken = [await queue.get() for _ in range(WORKERS)]
    source.heard(Event("ADDED", an_external_secret("new"), None))
    changed = {**an_external_secret("e77", refreshInterval="5m"), **due}
    changed["metadata"]["generation"] = 2
    source.heard(Event("MODIFIED", changed, {**an_external_secret("e77"), **due}))
    queue.done(taken[0])
    assert await queue.get() == Name("app", "new")
    queue.done(taken[1])
    assert await queue.get() == Name("app", "e77")


class Source:
    """An informer as far as its listeners see it."""

    def on_change(self, heard):
        self.heard = heard
