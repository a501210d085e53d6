from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator

import pytest

from keyless.local.cluster import Cluster, ClusterSettings, keyring
from keyless.local.cluster.keyring import new_pem
from unit.local.cluster.support import Clock, Kubectl, ScriptedWebhooks


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keys() -> dict[str, bytes]:
    """A key for each cluster of the tests, made once: RSA takes its time."""
    return {name: new_pem() for name in ("keyless", "t1", "t2")}


@pytest.fixture
def database(keys: dict[str, bytes]) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in keyring.FIRST_MIGRATIONS:
        connection.execute(statement)
    connection.executemany("INSERT INTO cluster_keys VALUES (?, ?)", keys.items())
    yield connection
    connection.close()


@pytest.fixture
def webhooks() -> ScriptedWebhooks:
    return ScriptedWebhooks()


@pytest.fixture
def settings(database: sqlite3.Connection, clock: Clock) -> ClusterSettings:
    return ClusterSettings(
        database=database,
        server_url="https://127.0.0.1:6443",
        admin_token="the-admin-token",
        kubelet_token="the-kubelet-token",
        node_token="the-node-token",
        ca_pem="CA",
        now=clock,
    )


@pytest.fixture
async def cluster(settings: ClusterSettings, webhooks: ScriptedWebhooks) -> AsyncIterator[Cluster]:
    made = Cluster(settings, webhooks=webhooks)
    yield made
    await made.aclose()


@pytest.fixture
def kubectl(cluster: Cluster) -> Kubectl:
    return Kubectl(cluster)
