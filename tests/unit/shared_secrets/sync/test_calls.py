"""How many calls many ExternalSecrets are: one for each secret, or for twenty, and one if all read the same."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from keyless.kube import Name
from keyless.kube.resources import EXTERNALSECRETS
from keyless.shared_secrets.stores.batching import Batchers
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


def made(count, key):
    """Return a bench with so many ExternalSecrets of three keys, whose batches the policy allows."""
    bench = Bench(secrets={f"s{n}": '{"a": "1", "b": "2", "c": "3"}' for n in range(count)})
    bench.tools.stores._batchers = Batchers(lambda: bench.now.timestamp())
    bench.aws.BatchGetSecretValue = lambda SecretIdList: {  # noqa: N803 - AWS's own name
        "SecretValues": [{"Name": name, "SecretString": bench.aws.secrets[name]} for name in SecretIdList]
    }
    for number in range(count):
        data = [
            {"secretKey": part, "remoteRef": {"key": key.format(n=number), "property": part}}
            for part in ("a", "b", "c")
        ]
        bench.kube.put(EXTERNALSECRETS, an_external_secret(f"e{number}", data=data))
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


@pytest.mark.parametrize("count", [100])
async def test_many_on_one_secret_are_one_call(count):
    bench, names = made(count, "s0")
    assert await synced(bench, names) == {"GetSecretValue": 1}
    bench.now += timedelta(hours=1)
    assert await synced(bench, names) == {"GetSecretValue": 1}
