from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator

import pytest

from keyless.local.cluster import Cluster, ClusterSettings
from unit.local.cluster.support import Clock, Kubectl, ScriptedWebhooks


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
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
